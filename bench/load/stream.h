// One long COPY stream, either way, with blocking calls on a thread of its own.
#pragma once

#include <cstdint>

#include "bench/load/latency.h"
#include "bench/load/net.h"

namespace pgsteer {

struct StreamPlan {
  bool receive = true;  // false: the client sends (COPY FROM STDIN)
  std::uint32_t row_bytes = 120;
  bool yielding = false;  // both ends at the lowest priority
};

struct Streamed {
  std::uint64_t bytes = 0;    // within the window
  Clock::duration longest{};  // longest pause between two reads or writes within it
};

// Streams COPY after COPY of about 1 GiB each over `session` until the window ends. Every COPY that
// ends within it is checked to have had exactly the bytes it should. Throws when it has not.
Streamed run_stream(const Fd& session, const StreamPlan& plan, const Window& window);

}  // namespace pgsteer
