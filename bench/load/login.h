// Logins: connect, startup packet, and everything up to the first ReadyForQuery.
// One thread, one epoll set, at most `in_flight` logins at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/latency.h"
#include "bench/load/net.h"

namespace pgsteer {

struct LoginPlan {
  Address target{};
  std::size_t in_flight = 64;
  std::size_t count = 1;    // in total; with keep == false the deadline usually comes first
  bool keep = true;         // false: disconnect at once, like a client without a pool
  bool query_once = false;  // send one query: only then does a pooler connect to the server
  Clock::time_point deadline{};
};

struct Logins {
  std::vector<Fd> sessions;  // the ones kept, non-blocking and idle
  Latencies latencies;       // of those that succeeded
  std::uint64_t failed = 0;
  std::string first_error;
};

Logins log_in(const LoginPlan& plan);

// Opens `count` sessions, each of which has run one query. Throws if it cannot open all of them.
std::vector<Fd> open_sessions(const Address& target, std::size_t count);

}  // namespace pgsteer
