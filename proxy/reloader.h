// The configuration file, read again while sessions go on: everything of it is put in force, or
// nothing. Lives on the control thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "config/changes.h"
#include "config/nominees.h"
#include "config/running.h"
#include "health/checkers.h"
#include "proxy/server.h"
#include "stats/config_view.h"
#include "stats/server.h"

namespace pgsteer {

class Reloader {
 public:
  // What takes the configuration over; all of it outlives this.
  struct Parts {
    Server& server;
    Checkers& checkers;
    StatsServer& stats;
  };
  Reloader(asio::io_context& io, std::string path, RunningPtr running, Parts parts);

  // Returns at once. Requests while one waits or just before it are one. What came of it is said in
  // the log, on the page and in the metrics.
  void ask();
  // The nodes of a cluster that its members name and the file does not: they replace those that
  // were named before.
  void nominate(const std::string& cluster, std::vector<NodeConfig> nodes);
  const Running& running() const { return *running_; }

 private:
  using Clock = std::chrono::steady_clock;

  void tick();
  bool settled() const;
  void read_file();
  std::vector<ConfigChange> use_file(const Config& read, const Nominees& nominees);
  std::vector<ConfigChange> use_with(const Config& read, const Nominees& nominees);
  void use_nominees();
  void put_in_force(Config config, Certificates certificates);
  void let_leave();
  void done(const std::vector<ConfigChange>& changes);
  void failed(const std::string& why);

  const std::string path_;
  RunningPtr running_;
  Parts parts_;
  asio::steady_timer timer_;
  Config file_;  // as it was read last, without fault
  Nominees nominees_;
  bool nominated_ = false;       // they have changed
  std::string nominees_failed_;  // why they are not in force; said once
  bool asked_ = false;
  Clock::time_point asked_at_{};
  ConfigView view_;
};

}  // namespace pgsteer
