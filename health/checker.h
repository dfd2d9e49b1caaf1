// The checker thread: checks every node, lets judge decide and publishes the decision. Owns all of
// health: probes, name resolution, judge's state, the failover record. Created and stopped by main.
#pragma once

#include <functional>
#include <memory>

#include "config/config.h"
#include "health/resolver.h"
#include "health/topology.h"
#include "health/views.h"

namespace pgsteer {

// Called on the checker thread; must not block.
struct CheckerOutput {
  // Each new generation, and the same one again when its sentences or its valid_until are newer.
  std::function<void(TopologyPtr)> topology;
  std::function<void(ClusterViewPtr)> cluster;  // after each round and each change
  std::function<void(EventView)> event;         // one line for a person; already logged
};

class Checker {
 public:
  // `config` must outlive the checker. `lookup` is called on the resolver's threads.
  Checker(const Config& config, CheckerOutput output, Lookup lookup = look_up);
  ~Checker();  // stops

  void start();
  // Ends the thread; returns within about a second even if a name server hangs.
  void stop();

  // Any thread; all return at once.
  void suspect(const Suspicion& suspicion);
  void found_writable(
      std::size_t node);  // a login of a primary listener found in_hot_standby = off
  void report(const WorkerReport& report);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pgsteer
