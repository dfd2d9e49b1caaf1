// Everything an observer may ask about at one moment; JSON, metrics and readiness are made from it.
// A value; the thread that took it owns it.
#pragma once

#include <string>
#include <vector>

#include "health/views.h"
#include "proxy/routing/traffic_view.h"
#include "stats/config_view.h"
#include "stats/failover_counts.h"

namespace pgsteer {

struct ClusterSnapshot {
  ClusterViewPtr view;  // never null
  FailoverCounts failover_counts;
};

struct StatsSnapshot {
  WallTime now{};
  WallTime started{};
  std::string version;
  ConfigView config;
  std::vector<ClusterSnapshot> clusters;  // by slot
  TrafficView traffic;
  std::vector<EventView> events;  // newest first
};

}  // namespace pgsteer
