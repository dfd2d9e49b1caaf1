// One checker per cluster, each with a thread of its own: one cluster in trouble delays nothing in
// another. A reload starts those of new clusters, and ends those of clusters that have gone for
// good. Created, started and stopped by main, which alone calls what is not marked otherwise.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>

#include "health/checker.h"

namespace pgsteer {

struct CheckersOutput {
  // Called on all checker threads. `cluster` comes once before that, from whoever adds the cluster:
  // it is shown from its beginning, with nothing known.
  CheckerOutput checker;
  // The cluster in this slot has gone, and nothing more of it will come. Called where use() is.
  std::function<void(std::size_t cluster)> gone;
};

class Checkers {
 public:
  Checkers(RunningPtr running, CheckersOutput output, Lookup lookup = look_up);
  ~Checkers();  // stops

  void start();
  void stop();  // like Checker::stop(), for all at the same time
  // The checkers of clusters that `next` adds, with threads that wait. Changes nothing; throws
  // std::exception if there is no thread or memory for one.
  using BySlot = std::array<std::unique_ptr<Checker>, kMaxClusters>;
  BySlot prepare(const RunningPtr& next) const;
  // May wait for the end of a checker whose cluster has gone: about a second.
  void use(const RunningPtr& next, BySlot added);
  // The number of the configuration that the last topology of every cluster was made under.
  std::uint64_t in_force() const;

  // Any thread; these return at once. What concerns a cluster that has gone is dropped.
  void suspect(const Suspicion& suspicion);
  void found_writable(std::size_t node);
  void report(const WorkerReport& report);

 private:
  void show(const Running& running, std::size_t cluster) const;
  Checker* of_node(std::size_t node) const;

  const CheckersOutput output_;
  const Lookup lookup_;
  bool started_ = false;
  mutable std::mutex mutex_;  // guards what follows; held for a few moves
  RunningPtr running_;
  BySlot checkers_;
};

}  // namespace pgsteer
