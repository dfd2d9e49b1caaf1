// A PostgreSQL server that costs next to nothing itself. It logs everybody in, answers every
// simple query with the same small reply, and moves COPY data on request:
//
//   STREAM rows bytes    CopyOut: that many CopyData messages of that many bytes
//   SINK rows bytes      CopyIn: takes exactly that many, then CopyDone
//
// A third word "yielding" runs the stream at the lowest priority (nice 19), so that on a shared
// core the scheduler does not make the source's small sessions wait for it: what they wait for then
// is the proxy's doing.
//
// `loops` threads serve the small sessions; a session that asks for a stream moves to a thread of
// its own, so that the source itself is never what makes a small session wait for a stream.
#pragma once

#include <cstddef>

#include "bench/load/net.h"

namespace pgsteer {

struct SourceOptions {
  Address listen{};
  Address rest{};
  bool primary = true;  // what the REST says at first
  std::size_t reply_bytes = 5;
  int loops = 1;
};

// Serves until the process ends. Ready is said with one line on stdout.
[[noreturn]] void run_source(const SourceOptions& options);

}  // namespace pgsteer
