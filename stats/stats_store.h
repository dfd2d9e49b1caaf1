// Hands the last views of the clusters and of the configuration, and the last events, to the HTTP
// threads. Any thread; each call holds the lock for a few moves.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "health/views.h"
#include "stats/snapshot.h"

namespace pgsteer {

class StatsStore {
 public:
  static constexpr std::size_t kEventsKept = 200;

  void publish(ClusterViewPtr view);  // replaces that of the same cluster
  void remove(std::size_t cluster);   // by its slot
  void publish(ConfigView view);
  void event(EventView event);

  // Fills in clusters, config and events.
  void read(StatsSnapshot& into) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::size_t, ClusterSnapshot> clusters_;  // by slot
  ConfigView config_;
  std::deque<EventView> events_;  // newest in front
};

}  // namespace pgsteer
