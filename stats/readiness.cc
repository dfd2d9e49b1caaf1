#include "stats/readiness.h"

namespace pgsteer {
namespace {

bool has_node(const ClusterView& cluster, const std::string& listener) {
  for (const NodeView& node : cluster.nodes) {
    for (const VerdictView& verdict : node.verdicts) {
      if (verdict.listener == listener && verdict.admission == "admit") return true;
    }
  }
  return false;
}

std::string missing(const ClusterView& cluster, const ListenerView& listener) {
  std::string text = listener.name + ": no node may serve it";
  if (listener.to == "primary" && !cluster.no_primary_why.empty()) {
    text += ": " + cluster.no_primary_why;
  }
  return text + "\n";
}

}  // namespace

Readiness readiness(const StatsSnapshot& snapshot, const std::optional<std::string>& listener) {
  using Answer = Readiness::Answer;
  std::string diagnostics;
  bool found = false;
  const bool known = snapshot.cluster && snapshot.cluster->first_round_done;
  for (const ListenerView& candidate : snapshot.traffic.listeners) {
    if (listener && candidate.name != *listener) continue;
    found = true;
    if (known && !has_node(*snapshot.cluster, candidate.name)) {
      diagnostics += missing(*snapshot.cluster, candidate);
    }
  }
  if (listener && !found) return {Answer::kNoSuchListener, "no such listener: " + *listener + "\n"};
  if (!known) return {Answer::kNotReady, "the first round of checks is not done\n"};
  if (!diagnostics.empty()) return {Answer::kNotReady, diagnostics};
  return {Answer::kReady, "ready\n"};
}

}  // namespace pgsteer
