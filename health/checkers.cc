#include "health/checkers.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace pgsteer {

Checkers::Checkers(RunningPtr running, CheckersOutput output, Lookup lookup)
    : output_(std::move(output)), lookup_(std::move(lookup)), running_(std::move(running)) {
  checkers_ = prepare(running_);
  for (const std::size_t slot : running_->slots.clusters) show(*running_, slot);
}

Checkers::~Checkers() { stop(); }

Checkers::BySlot Checkers::prepare(const RunningPtr& next) const {
  BySlot added;
  for (const std::size_t slot : next->slots.clusters) {
    if (checkers_[slot]) continue;
    added[slot] = std::make_unique<Checker>(next, slot, output_.checker, lookup_);
    added[slot]->prepare();
  }
  return added;
}

void Checkers::show(const Running& running, std::size_t cluster) const {
  if (!output_.checker.cluster) return;
  auto view = std::make_shared<ClusterView>();
  view->slot = cluster;
  view->name = running.cluster(cluster)->name;
  output_.checker.cluster(std::move(view));
}

void Checkers::start() {
  started_ = true;
  for (auto& checker : checkers_) {
    if (checker) checker->start();
  }
}

void Checkers::stop() {
  std::vector<std::thread> stopping;
  for (auto& checker : checkers_) {
    if (checker) stopping.emplace_back([&checker] { checker->stop(); });
  }
  for (std::thread& each : stopping) each.join();
}

void Checkers::use(const RunningPtr& next, BySlot added) {
  for (const std::size_t slot : next->slots.clusters) {
    if (added[slot]) {
      show(*next, slot);
    } else {
      checkers_[slot]->use(next);
    }
  }
  BySlot gone;
  {
    const std::lock_guard lock(mutex_);
    running_ = next;
    for (std::size_t slot = 0; slot < kMaxClusters; ++slot) {
      if (next->cluster(slot) == nullptr) gone[slot] = std::move(checkers_[slot]);
      if (added[slot]) checkers_[slot] = std::move(added[slot]);
    }
  }
  if (started_) start();  // those that are new
  for (std::size_t slot = 0; slot < kMaxClusters; ++slot) {
    if (!gone[slot]) continue;
    gone[slot]->stop();
    if (output_.gone) output_.gone(slot);
  }
}

std::uint64_t Checkers::in_force() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t least = running_->number;
  for (const auto& checker : checkers_) {
    if (checker) least = std::min(least, checker->in_force());
  }
  return least;
}

// Under mutex_, so that the checker lives on meanwhile.
Checker* Checkers::of_node(std::size_t node) const {
  if (running_->node(node) == nullptr) return nullptr;
  return checkers_[running_->cluster_of_node(node)].get();
}

void Checkers::suspect(const Suspicion& suspicion) {
  const std::lock_guard lock(mutex_);
  if (Checker* const checker = of_node(suspicion.node)) checker->suspect(suspicion);
}

void Checkers::found_writable(std::size_t node) {
  const std::lock_guard lock(mutex_);
  if (Checker* const checker = of_node(node)) checker->found_writable(node);
}

void Checkers::report(const WorkerReport& report) {
  const std::lock_guard lock(mutex_);
  if (const auto& checker = checkers_[report.cluster]) checker->report(report);
}

}  // namespace pgsteer
