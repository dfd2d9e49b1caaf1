// Canned states of a cluster, for looking at the status page and for its tests. Pure.
#pragma once

#include <string>
#include <vector>

#include "health/views.h"
#include "proxy/routing/traffic_view.h"
#include "proxy/session/session_view.h"
#include "stats/config_view.h"

namespace pgsteer {

struct Scene {
  ClusterViewPtr cluster;
  ClusterViewPtr second;  // at slot 1; null: there is no second cluster
  ConfigView config;
  TrafficView traffic;
  std::vector<SessionView> sessions;
  std::vector<EventView> events;  // oldest first
};

// healthy, failover, paused, alarm, trouble, nothing, starting, many, single, hostile,
// reload_failed, leaving, clusters.
const std::vector<std::string>& scene_names();

// The state as of `now`, `elapsed` seconds after the start: counters grow with it.
Scene make_scene(const std::string& name, WallTime now, double elapsed);

}  // namespace pgsteer
