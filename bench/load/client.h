// The measures: each opens its sessions, warms up, drives the load for its window on threads of its
// own while the calling thread reads the kernel's accounting at the window's edges, and returns
// what was seen as JSON. Any session that fails throws: a figure is of a load that worked, or is
// none.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/load/net.h"

namespace pgsteer {

struct ClientOptions {
  Address target{};
  std::vector<pid_t> watched;  // the proxy's processes
  std::vector<pid_t> load;     // the source's, to tell what else kept the machine busy
  std::size_t sessions = 16;
  std::size_t threads = 1;
  double seconds = 3;
  double warm_up = 0.5;
  double rate = 0;
  bool receive = true;
  bool beside_stream = false;
  // measure_cut: sessions on a second target, which stays as it is, and the REST of the first.
  Address beside{};
  Address rest{};
  std::size_t busy = 0;  // of `sessions`
  std::uint32_t row_bytes = 120;
};

nlohmann::json measure_round_trips(const ClientOptions& options);  // with a stream beside it or not
nlohmann::json measure_stream(const ClientOptions& options);
nlohmann::json measure_logins(const ClientOptions& options);  // `sessions` at a time
nlohmann::json measure_storm(const ClientOptions& options);   // `sessions` at once, once
nlohmann::json measure_idle(const ClientOptions& options);
// `sessions`, of which `busy` ask queries, and then their node is no primary any more.
nlohmann::json measure_cut(const ClientOptions& options);

}  // namespace pgsteer
