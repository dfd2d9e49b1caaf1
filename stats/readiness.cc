#include "stats/readiness.h"

namespace pgsteer {
namespace {

bool has_node(const StatsSnapshot& snapshot, const ListenerView& listener) {
  // What the cluster view shows of a primary is out of date then.
  if (snapshot.traffic.checks_stopped && listener.to == Target::kPrimary) return false;
  for (const NodeView& node : snapshot.cluster->nodes) {
    for (const VerdictView& verdict : node.verdicts) {
      if (verdict.listener == listener.name && verdict.admission == Admission::kAdmit) return true;
    }
  }
  return false;
}

std::string missing(const StatsSnapshot& snapshot, const ListenerView& listener) {
  std::string text = listener.name + ": no node may serve it";
  if (listener.to == Target::kPrimary) {
    const std::string& why = snapshot.cluster->no_primary_why;
    if (snapshot.traffic.checks_stopped) return text + ": the checks of the nodes have stopped\n";
    if (!why.empty()) text += ": " + why;
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
    if (known && !has_node(snapshot, candidate)) {
      missing_nodes += missing(snapshot, candidate);
    }
  }
  if (listener && !found) return {Answer::kNoSuchListener, "no such listener: " + *listener + "\n"};
  if (!known) return {Answer::kNotReady, "the first round of checks is not done\n"};
  if (!missing_nodes.empty()) return {Answer::kNotReady, missing_nodes};
  return {Answer::kReady, "ready\n"};
}

}  // namespace pgsteer
