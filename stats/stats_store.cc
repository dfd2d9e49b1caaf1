#include "stats/stats_store.h"

#include <utility>

namespace pgsteer {

void StatsStore::publish(ClusterViewPtr view) {
  const std::lock_guard lock(mutex_);
  if (view) failover_counts_.add(*view);
  cluster_.swap(view);  // the old view is destroyed after the lock is released
}

void StatsStore::event(EventView event) {
  const std::lock_guard lock(mutex_);
  events_.push_front(std::move(event));
  if (events_.size() > kEventsKept) events_.pop_back();
}

void StatsStore::read(StatsSnapshot& into) const {
  const std::lock_guard lock(mutex_);
  into.cluster = cluster_;
  into.events.assign(events_.begin(), events_.end());
  into.failover_counts = failover_counts_;
}

}  // namespace pgsteer
