// One long COPY stream in either direction, with blocking calls on its own thread.
#pragma once

#include <cstdint>

#include "bench/load/latency.h"
#include "bench/load/net.h"

namespace pgsteer {

struct StreamPlan {
  bool receive = true;  // false: the client sends (COPY FROM STDIN)
  std::uint32_t row_bytes = 120;
  bool yielding = false;  // client and source run at the lowest priority
};

struct Streamed {
  std::uint64_t bytes = 0;    // within the window
  Clock::duration longest{};  // longest pause between two reads or writes in the window
};

// Runs one COPY of about 1 GiB after another over `session` until the window ends. Throws if a
// completed COPY does not have exactly the expected bytes.
Streamed run_stream(const Fd& session, const StreamPlan& plan, const Window& window);

}  // namespace pgsteer
