// Logging in: connect, startup packet, everything up to the first ReadyForQuery.
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
  std::size_t count = 1;  // how many in all; with keep == false the deadline usually comes first
  bool keep = true;       // false: say goodbye at once, as a client without a pool does
  bool ask_once = false;  // one query each: a pooler connects to the server no earlier
  Clock::time_point deadline{};
};

struct Logins {
  std::vector<Fd> sessions;  // those kept, non-blocking and idle
  Latencies latencies;       // of those that succeeded
  std::uint64_t failed = 0;
  std::string first_error;
};

Logins log_in(const LoginPlan& plan);

// All of `count`, each having asked one query, or an exception that says why not.
std::vector<Fd> open_sessions(const Address& target, std::size_t count);

}  // namespace pgsteer
