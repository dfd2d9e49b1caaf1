#include "stats/readiness.h"

#include <algorithm>

namespace pgsteer {
namespace {

// Of the listener's cluster; null: nothing is known of it yet.
const ClusterView* cluster_of(const StatsSnapshot& snapshot, const ListenerView& listener) {
  const auto cluster = std::ranges::find_if(snapshot.clusters, [&](const ClusterSnapshot& each) {
    return each.view->slot == listener.cluster_slot;
  });
  const bool known = cluster != snapshot.clusters.end() && cluster->view->first_round_done;
  return known ? cluster->view.get() : nullptr;
}

// What the view shows of a primary is out of date then.
bool nobody_may_write(const StatsSnapshot& snapshot, const ListenerView& listener) {
  return listener.to == Target::kPrimary && snapshot.traffic.stopped(listener.cluster_slot);
}

bool has_node(const ClusterView& cluster, const ListenerView& listener) {
  for (const NodeView& node : cluster.nodes) {
    for (const VerdictView& verdict : node.verdicts) {
      if (verdict.listener == listener.name && verdict.admission == Admission::kAdmit) return true;
    }
  }
  return false;
}

// One line; empty: it has a node.
std::string missing(const StatsSnapshot& snapshot, const ClusterView& cluster,
                    const ListenerView& listener) {
  const bool stopped = nobody_may_write(snapshot, listener);
  if (!stopped && has_node(cluster, listener)) return {};
  std::string text = listener.name + ": no node may serve it";
  if (stopped) {
    text += ": the checks of the nodes have stopped";
  } else if (listener.to == Target::kPrimary && !cluster.no_primary_why.empty()) {
    text += ": " + cluster.no_primary_why;
  }
  return text + "\n";
}

}  // namespace

Readiness readiness(const StatsSnapshot& snapshot, const std::optional<std::string>& listener) {
  using Answer = Readiness::Answer;
  std::string missing_nodes;
  bool found = false;
  bool known = !snapshot.clusters.empty();
  for (const ListenerView& candidate : snapshot.traffic.listeners) {
    // One that leaves takes no new clients, and another one may have its name.
    if (candidate.leaving || (listener && candidate.name != *listener)) continue;
    found = true;
    if (const ClusterView* const cluster = cluster_of(snapshot, candidate)) {
      missing_nodes += missing(snapshot, *cluster, candidate);
    } else {
      known = false;
    }
  }
  if (listener && !found) return {Answer::kNoSuchListener, "no such listener: " + *listener + "\n"};
  if (!known) return {Answer::kNotReady, "the first round of checks is not done\n"};
  if (!missing_nodes.empty()) return {Answer::kNotReady, missing_nodes};
  return {Answer::kReady, "ready\n"};
}

}  // namespace pgsteer
