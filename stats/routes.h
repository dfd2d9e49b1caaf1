// From a request to the answer: what each path returns. No I/O. Any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "health/views.h"
#include "proxy/routing/traffic_view.h"
#include "proxy/session/session_view.h"
#include "stats/allowed_hosts.h"
#include "stats/stats_store.h"

namespace pgsteer {

// Where the numbers come from. Both functions are called on HTTP threads.
struct StatsSources {
  std::function<TrafficView()> traffic;                // cheap
  std::function<std::vector<SessionView>()> sessions;  // asks the workers: may take about 200 ms
  std::string version;
  WallTime started{};
};

struct HttpRequest {
  std::string_view method;
  std::string_view path;
  std::optional<std::string> listener;  // the query parameter of that name
  std::optional<std::string> host;      // the Host header; HTTP/1.0 may have none
  bool on_loopback = false;             // it came in at a loopback address of stats.bind
};

struct HttpAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

class Routes {
 public:
  Routes(const StatsStore& store, StatsSources sources, ShowSessions show_sessions,
         const std::vector<std::string>& hosts);

  // Requests from now on follow these.
  void use(ShowSessions show_sessions, const std::vector<std::string>& hosts);
  HttpAnswer answer(const HttpRequest& request);

 private:
  struct Rules {
    ShowSessions show_sessions;
    AllowedHosts hosts;
  };
  std::shared_ptr<const Rules> rules() const;

  StatsSnapshot snapshot() const;
  HttpAnswer ready(const std::optional<std::string>& listener) const;
  HttpAnswer sessions(bool on_loopback);
  HttpAnswer resource(const HttpRequest& request);

  const StatsStore& store_;
  const StatsSources sources_;
  mutable std::mutex rules_mutex_;
  std::shared_ptr<const Rules> rules_;

  // However many clients ask, the workers are asked once at a time and at most twice a second.
  std::mutex sessions_mutex_;
  std::chrono::steady_clock::time_point sessions_at_{};
  std::string sessions_body_;
};

}  // namespace pgsteer
