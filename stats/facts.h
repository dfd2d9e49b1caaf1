// The tables of facts, one per subject. They are the reference for JSON and metrics.
//
// To add a metric: count it (proxy/routing/counters.h or health/), give it a field in the view of
// its room, filled in beside the counter (proxy/routing/traffic_view.cc, health/cluster_view.cc),
// and add one row here. Constant; any thread.
#pragma once

#include <span>

#include "health/views.h"
#include "proxy/routing/traffic_view.h"
#include "proxy/session/session_view.h"
#include "stats/fact.h"
#include "stats/snapshot.h"

namespace pgsteer {

// A cluster as its checker shows it; and whether that stands still, which workers notice.
struct ShownCluster {
  const ClusterView& view;
  bool checks_stopped = false;
};

// A node and the cluster it belongs to.
struct ClusterNode {
  const ClusterView& cluster;
  const NodeView& node;
};

// facts_traffic.cc
std::span<const Fact<StatsSnapshot>> process_facts();
std::span<const Fact<ConfigView>> config_facts();
std::span<const Fact<ListenerView>> listener_facts();
std::span<const Fact<NodeTrafficView>> listener_node_facts();
std::span<const Fact<SessionView>> session_facts();

// facts_cluster.cc
std::span<const Fact<ShownCluster>> cluster_facts();
std::span<const Fact<ClusterNode>> node_facts();
std::span<const Fact<VerdictView>> verdict_facts();  // of one node for one listener

// facts_failover.cc
std::span<const Fact<FailoverView>> failover_facts();  // the metrics describe the newest one
std::span<const Fact<FailoverStep>> failover_step_facts();
std::span<const Fact<FailoverCounts>> failover_counts_facts();
std::span<const Fact<EventView>> event_facts();

}  // namespace pgsteer
