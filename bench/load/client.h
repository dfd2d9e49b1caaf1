// The measures. Each opens its sessions, warms up and runs its load on separate threads, while the
// calling thread reads the kernel's accounting at the start and the end of the window. The result
// is JSON. A session that fails throws: there are no figures for a load that did not work.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/load/net.h"

namespace pgsteer {

struct ClientOptions {
  Address target{};
  std::vector<pid_t> watched;  // the proxy's processes
  std::vector<pid_t> load;     // the source's processes, to detect other load on the machine
  std::size_t sessions = 16;
  std::size_t threads = 1;
  double seconds = 3;
  double warm_up = 0.5;
  double rate = 0;
  bool receive = true;
  bool beside_stream = false;
  // measure_cut: a second target, whose sessions stay, and the REST API of the first.
  Address beside{};
  Address rest{};
  std::size_t busy = 0;  // of `sessions`
  std::uint32_t row_bytes = 120;
};

nlohmann::json measure_round_trips(const ClientOptions& options);  // optionally beside a stream
nlohmann::json measure_stream(const ClientOptions& options);
nlohmann::json measure_logins(const ClientOptions& options);  // `sessions` at a time
nlohmann::json measure_storm(const ClientOptions& options);   // `sessions` at once, once
nlohmann::json measure_idle(const ClientOptions& options);
// Takes the role from the node that `sessions` are on; `busy` of them send queries.
nlohmann::json measure_cut(const ClientOptions& options);

}  // namespace pgsteer
