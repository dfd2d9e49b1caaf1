#include "stats/readiness.h"

namespace pgsteer {
namespace {

bool has_node(const ClusterView& cluster, const std::string& listener) {
  for (const NodeView& node : cluster.nodes) {
    for (const VerdictView& verdict : node.verdicts) {
      if (verdict.listener == listener && verdict.admission == Admission::kAdmit) return true;
    }
  }
  return false;
}

std::string missing(const ClusterView& cluster, const ListenerView& listener) {
  std::string text = listener.name + ": no node may serve it";
  if (listener.to == Target::kPrimary && !cluster.no_primary_why.empty()) {
    text += ": " + cluster.no_primary_why;
  }
  return text + "\n";
}

}  // namespace

Readiness readiness(const StatsSnapshot& snapshot, const std::optional<std::string>& listener) {
  using Answer = Readiness::Answer;
  std::string missing_nodes;
  bool found = false;
  const bool known = snapshot.cluster && snapshot.cluster->first_round_done;
  for (const ListenerView& candidate : snapshot.traffic.listeners) {
    if (listener && candidate.name != *listener) continue;
    found = true;
    if (known && !has_node(*snapshot.cluster, candidate.name)) {
      missing_nodes += missing(*snapshot.cluster, candidate);
    }
  }
  if (listener && !found) return {Answer::kNoSuchListener, "no such listener: " + *listener + "\n"};
  if (!known) return {Answer::kNotReady, "the first round of checks is not done\n"};
  if (!missing_nodes.empty()) return {Answer::kNotReady, missing_nodes};
  return {Answer::kReady, "ready\n"};
}

}  // namespace pgsteer
