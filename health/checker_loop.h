// The checker thread itself: one loop that sleeps until evidence comes in or something is due, lets
// judge decide and carries out the decision. For health/checker*.cc only.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "health/checker.h"
#include "health/failover_record.h"
#include "health/judge.h"
#include "health/patroni/rest_client.h"
#include "health/port_check.h"
#include "health/resolver.h"

namespace pgsteer {

class Checker::Loop {
 public:
  Loop(const Running& running, std::size_t cluster, CheckerOutput output, Lookup lookup);
  ~Loop();

  void prepare();
  void start();
  void stop();
  void use(RunningPtr running);
  std::uint64_t in_force() const { return in_force_.load(std::memory_order_acquire); }
  void suspect(const Suspicion& suspicion);
  void found_writable(std::size_t node);
  void report(const WorkerReport& report);

 private:
  // A request for a node whose name has not been looked up yet.
  struct Waiting {
    Request request;
    Instant since;
  };
  struct Node {
    RestEndpoint rest;
    std::vector<Address> rest_addresses;  // without a port
    bool rest_known = false;              // a lookup has ended, found or not
  };

  void run();
  void enter(const Running& running);
  void take_configuration(Instant now);
  void take_inbox(Instant now);
  void take_replies();
  void take_checks(Instant now);
  void take_names(Instant now);
  void look_up_names();
  std::optional<std::size_t> node_in(std::size_t slot) const;
  void publish(const Topology& topology) const;
  void carry_out(const Decision& decision, Instant now);
  void begin(const Request& request, Instant now);
  void begin_waiting(Instant now);
  void unresolved(const Request& request, Instant since, Instant now);
  void announce(const Transition& transition, Instant now);
  void event(Severity severity, const std::string& text, WallTime at);
  void show(Instant now);
  void sleep(Instant until);

  const std::size_t cluster_;  // its slot
  std::uint64_t number_;       // of the configuration
  Config config_;              // of this cluster: its nodes and listeners as judge counts them
  Slots slots_;                // where those are in the process
  std::string prefix_;         // before each line, if the cluster has a name
  CheckerOutput output_;
  const Lookup lookup_;

  // The inbox: the only state that other threads touch.
  std::mutex mutex_;
  std::vector<Suspicion> suspicions_;
  std::set<std::size_t> writable_;
  std::vector<WorkerReport> reports_;
  RunningPtr next_running_;
  std::atomic<bool> started_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> in_force_ = 0;

  // Used by the checker thread alone.
  RestClient rest_client_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<PortCheck>> checks_;
  std::vector<Waiting> waiting_;
  std::vector<Evidence> evidence_;
  bool view_is_old_ = false;  // a check has ended since the last view
  JudgeState state_;
  FailoverRecord record_;
  std::set<std::string> names_;         // that are looked up
  std::unique_ptr<Resolver> resolver_;  // calls into rest_client_: destroyed first
  std::thread thread_;
};

}  // namespace pgsteer
