#include "stats/stats_store.h"

#include <utility>

namespace pgsteer {

void StatsStore::publish(ClusterViewPtr view) {
  const std::lock_guard lock(mutex_);
  ClusterSnapshot& cluster = clusters_[view->slot];
  cluster.failover_counts.add(*view);
  cluster.view.swap(view);  // the old view is destroyed after the lock is released
}

void StatsStore::remove(std::size_t cluster) {
  const std::lock_guard lock(mutex_);
  clusters_.erase(cluster);
}

void StatsStore::publish(ConfigView view) {
  const std::lock_guard lock(mutex_);
  config_ = std::move(view);
}

void StatsStore::event(EventView event) {
  const std::lock_guard lock(mutex_);
  events_.push_front(std::move(event));
  if (events_.size() > kEventsKept) events_.pop_back();
}

void StatsStore::read(StatsSnapshot& into) const {
  const std::lock_guard lock(mutex_);
  into.clusters.clear();
  for (const auto& [slot, cluster] : clusters_) into.clusters.push_back(cluster);
  into.config = config_;
  into.events.assign(events_.begin(), events_.end());
}

}  // namespace pgsteer
