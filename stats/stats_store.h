// Hands the last cluster view and the last events from the checker to the HTTP threads. Any thread;
// each call holds the lock for a few pointer moves.
#pragma once

#include <deque>
#include <mutex>

#include "health/views.h"
#include "stats/snapshot.h"

namespace pgsteer {

class StatsStore {
 public:
  static constexpr std::size_t kEventsKept = 200;

  void publish(ClusterViewPtr view);
  void event(EventView event);

  // Fills in cluster, events and failover_counts.
  void read(StatsSnapshot& into) const;

 private:
  mutable std::mutex mutex_;
  ClusterViewPtr cluster_;
  std::deque<EventView> events_;  // newest in front
  FailoverCounts failover_counts_;
};

}  // namespace pgsteer
