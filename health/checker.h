// The checker thread of one cluster: checks its nodes, lets judge decide and publishes the
// decision. Owns all that is known of the cluster: probes, name resolution, judge's state, the
// failover record. Checkers (health/checkers.h) creates and stops it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/running.h"
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
  // The nodes of this cluster that its members name and the file does not, whenever they change.
  std::function<void(const std::string& cluster, std::vector<NodeConfig>)> nominated;
};

class Checker {
 public:
  // Of the cluster with this slot of `running`. `lookup` is called on the resolver's threads.
  Checker(const RunningPtr& running, std::size_t cluster, CheckerOutput output,
          Lookup lookup = look_up);
  ~Checker();  // stops

  void start();
  // What can fail of it, which is to get a thread: that waits for start(). Throws
  // std::system_error.
  void prepare();
  // Ends the thread; returns within about a second even if a name server hangs.
  void stop();

  // Any thread; all return at once. Nodes are told by slot.
  // Nodes and listeners that stay keep what is known of them. `running` still has the cluster.
  void use(RunningPtr running);
  // The number of the configuration that the last topology was made under.
  std::uint64_t in_force() const;
  void suspect(const Suspicion& suspicion);
  void found_writable(
      std::size_t node);  // a login of a primary listener found in_hot_standby = off
  void report(const WorkerReport& report);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pgsteer
