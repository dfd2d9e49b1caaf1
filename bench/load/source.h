// A PostgreSQL server that uses very little CPU itself. It lets everybody log in, answers every
// simple query with the same small reply, and streams COPY data on request:
//
//   STREAM rows bytes    CopyOut: that many CopyData messages of that many bytes
//   SINK rows bytes      CopyIn: reads exactly that many, then CopyDone
//
// A third word "yielding" runs the stream at the lowest priority (nice 19), so that on a shared
// core the scheduler does not make the source's small sessions wait for it.
//
// `loops` threads serve the small sessions; a session that requests a stream moves to its own
// thread. So small sessions never wait for a stream in the source: any such wait is caused by the
// proxy.
#pragma once

#include <cstddef>

#include "bench/load/net.h"

namespace pgsteer {

struct SourceOptions {
  Address listen{};
  Address rest{};
  bool primary = true;  // the role in the REST API at the start
  std::size_t reply_bytes = 5;
  int loops = 1;
};

// Serves until the process ends. Prints "ready" on stdout once it listens.
[[noreturn]] void run_source(const SourceOptions& options);

}  // namespace pgsteer
