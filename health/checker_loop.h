// The checker thread itself: one loop that sleeps until something is learnt or due, lets judge
// decide and carries the decision out. For health/checker*.cc only.
#pragma once

#include <atomic>
#include <mutex>
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
  Loop(const Config& config, CheckerOutput output);
  ~Loop();

  void start();
  void stop();
  void suspect(const Suspicion& suspicion);
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
    bool rest_known = false;              // looked up, whatever came of it
  };

  void run();
  void take_inbox(Instant now);
  void take_replies();
  void take_checks(Instant now);
  void take_names(Instant now);
  void look_up_names();
  void carry_out(const Decision& decision, Instant now);
  void begin(const Request& request, Instant now);
  void begin_waiting(Instant now);
  void unresolved(const Request& request, Instant since, Instant now);
  void announce(const Transition& transition, Instant now);
  void event(Severity severity, const std::string& text, WallTime at);
  void show(Instant now);
  void sleep(Instant until);

  const Config& config_;
  CheckerOutput output_;

  // The inbox: the only state that other threads touch.
  std::mutex mutex_;
  std::vector<Suspicion> suspicions_;
  std::vector<WorkerReport> reports_;
  std::atomic<bool> stopping_ = false;

  // The checker thread's own.
  RestClient rest_client_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<PortCheck>> checks_;
  std::vector<Waiting> waiting_;
  std::vector<Evidence> evidence_;
  bool round_moved_ = false;  // a probe has ended since the last view
  JudgeState state_;
  FailoverRecord record_;
  std::unique_ptr<Resolver> resolver_;  // calls into rest_client_: goes first
  std::thread thread_;
};

}  // namespace pgsteer
