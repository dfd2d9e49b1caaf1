// Small round trips: one short query, one short answer, the next query. One thread, one epoll set.
#pragma once

#include <vector>

#include "bench/load/latency.h"
#include "bench/load/net.h"

namespace pgsteer {

struct RoundTripPlan {
  // Round trips per second over all sessions; 0 is a closed loop, in which each session sends its
  // next query as soon as the last one is answered. With a rate, every session has its own due
  // times and a latency counts from the due time: if a late answer delays the next query, that
  // delay is part of the next latency.
  double rate = 0;
};

// Runs `sessions` through warm-up and window. Throws if one of them ends or receives an error.
Latencies run_round_trips(const std::vector<Fd>& sessions, const RoundTripPlan& plan,
                          const Window& window);

}  // namespace pgsteer
