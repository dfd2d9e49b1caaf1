// Small round trips: one short query, one short answer, the next query. One thread, one epoll set.
#pragma once

#include <vector>

#include "bench/load/latency.h"
#include "bench/load/net.h"

namespace pgsteer {

struct RoundTripPlan {
  // Round trips per second over all sessions together; 0 is a closed loop, each session asking as
  // soon as it was answered. With a rate every session has its own due times, and a latency counts
  // from the due time: a session that waits for a late answer delays its next query, and that
  // delay is part of what the next query cost.
  double rate = 0;
};

// Drives `sessions` through warm-up and window. Throws when one of them ends or is told an error.
Latencies run_round_trips(const std::vector<Fd>& sessions, const RoundTripPlan& plan,
                          const Window& window);

}  // namespace pgsteer
