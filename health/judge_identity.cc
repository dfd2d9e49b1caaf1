// Which of the configured nodes are ours. A cluster is known by Patroni's scope and by the system
// identifier of its data: a standby cluster shares the identifier and has a scope of its own, two
// clusters of one scope in different stores share the scope, and pg_upgrade or a new initdb change
// the identifier.
//
// The cluster is learnt from the first answers, and kept once a majority of the nodes agrees. Only
// a new identifier within the scope is accepted later, once every node in sight has shown it for
// `identity_settle`.
#include <algorithm>
#include <map>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

// At the start a minority of the nodes is not believed before this has passed: the others may be
// slow, or their names may not resolve yet.
constexpr std::chrono::seconds kMinorityWait{3};

// The nodes in sight that show one scope and one identifier.
struct Group {
  std::vector<std::size_t> nodes;
  bool leads = false;    // one of them is a primary with the lease
  bool standby = false;  // one of them leads a standby cluster
};
using Groups = std::map<std::pair<std::string, std::string>, Group>;

Groups groups_in_sight(const JudgeState& s) {
  Groups groups;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (is_unproven(n) || !is_fresh(n) || n.rest.report->system_identifier.empty()) continue;
    const Report& r = *n.rest.report;
    Group& group = groups[{r.scope, r.system_identifier}];
    group.nodes.push_back(i);
    group.leads |= r.leads();
    group.standby |= r.lease && r.role == Role::kStandbyLeader;
  }
  return groups;
}

std::string groups_text(const JudgeContext& j, const Groups& groups) {
  std::string text;
  for (const auto& [key, group] : groups) {
    text += text.empty() ? "" : "; ";
    for (const std::size_t i : group.nodes) {
      text += (i == group.nodes.front() ? "" : ", ") + j.name(i);
    }
    text += " in scope '" + key.first + "' with system identifier " + key.second;
  }
  return text;
}

// Ours is another cluster now: its history counts from the beginning, and who belonged to another
// one before may be ours.
void forget_history(JudgeState& s) {
  s.timelines = {};
  for (NodeState& n : s.nodes) {
    if (n.primary.lost == Reason::kForeign) n.primary = {};
  }
}

// A majority of the nodes decides, unless only another cluster has a leader: after pg_upgrade the
// majority may be nodes that are still to be rebuilt. Fewer decide only while nobody in sight
// disagrees, and only as long as nothing else was believed before: whoever answers first, or alone,
// may be the stranger. A standby cluster beside ours does not count.
void learn(JudgeContext& j) {
  ClusterIdentity& ours = j.s.identity;
  Groups groups = groups_in_sight(j.s);
  std::size_t nodes = j.s.nodes.size();
  if (groups.size() > 1) {
    for (auto it = groups.begin(); it != groups.end();) {
      const bool beside = it->second.standby && groups.size() > 1;
      if (beside) nodes -= it->second.nodes.size();
      it = beside ? groups.erase(it) : std::next(it);
    }
  }
  if (groups.empty()) return;
  const auto most = std::max_element(
      groups.begin(), groups.end(),
      [](const auto& a, const auto& b) { return a.second.nodes.size() < b.second.nodes.size(); });
  const std::size_t agree = most->second.nodes.size();
  const bool other_leads = std::any_of(groups.begin(), groups.end(), [&](const auto& g) {
    return g.second.leads && !most->second.leads;
  });
  const bool majority = 2 * agree > nodes && !other_leads;
  if (!majority && groups.size() > 1) {
    j.alarms[AlarmKey{AlarmKind::kIdentity}] =
        "the configured nodes belong to different clusters, and it is not clear which one is "
        "meant: " +
        groups_text(j, groups);
    ours.disputed = j.now;
    return;
  }
  const bool disputed = ours.disputed && j.now - *ours.disputed < j.config.health.identity_settle;
  const bool waited = 2 * agree == nodes || j.now >= j.s.rounds.first + kMinorityWait;
  const bool alone = ours.identifier.empty() && !disputed && waited;
  if (!majority && !alone) return;
  if (ours.identifier != most->first.second) forget_history(j.s);
  ours.scope = most->first.first;
  ours.identifier = most->first.second;
  ours.settled = majority;
}

// The identifier that every node of our scope in sight shows, if one of them leads and most of them
// were ours before, or half of them if that is the last primary: a node that was a stranger from
// the start stays one, and a node that was added since is none for that. The leader has to be the
// last primary, or the nodes in sight are a majority: a single replica that was rebuilt from
// another cluster by mistake is not believed while the others are out of sight. Otherwise empty.
std::string common_identifier(const JudgeState& s) {
  std::string common;
  bool leads = false;
  bool last_leads = false;
  std::size_t in_sight = 0;
  std::size_t known = 0;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (is_unproven(n) || !is_fresh(n) || n.rest.report->system_identifier.empty()) continue;
    const Report& r = *n.rest.report;
    if (!r.scope.empty() && r.scope != s.identity.scope) continue;
    if (!common.empty() && common != r.system_identifier) return "";
    common = r.system_identifier;
    ++in_sight;
    known += n.was_ours ? 1 : 0;
    const bool leader = r.leads() && !r.by_role();
    leads |= leader;
    last_leads |= leader && s.last_primary == i;
  }
  const std::size_t enough = in_sight / 2 + (last_leads && in_sight % 2 == 0 ? 0 : 1);
  if (!leads || known < enough) return "";
  const auto proven = static_cast<std::size_t>(
      std::ranges::count_if(s.nodes, [](const NodeState& n) { return !is_unproven(n); }));
  return last_leads || 2 * in_sight > proven ? common : "";
}

void follow_change(JudgeContext& j) {
  ClusterIdentity& ours = j.s.identity;
  const std::string common = common_identifier(j.s);
  if (common.empty() || common == ours.identifier) return ours.next.clear();
  if (common != ours.next) {
    ours.next = common;
    ours.next_since = j.now;
  }
  const auto settle = j.config.health.identity_settle;
  if (j.now - ours.next_since < settle) {
    j.alarms[AlarmKey{AlarmKind::kNewIdentifier}] =
        "every node in sight shows the system identifier " + common + ", which was " +
        ours.identifier + " before; it is accepted once they have shown it for " +
        seconds_text(settle);
    return;
  }
  j.announce(TransitionKind::kCluster, Severity::kWarn,
             "the cluster's system identifier is " + common + " now, it was " + ours.identifier);
  ours.identifier = common;
  ours.next.clear();
  forget_history(j.s);
}

}  // namespace

std::string other_cluster(const JudgeContext& j, std::size_t i) {
  const Report& r = *j.node(i).rest.report;
  const ClusterIdentity& ours = j.s.identity;
  const std::string text = j.name(i) + " belongs to another cluster: its ";
  if (!r.scope.empty() && !ours.scope.empty() && r.scope != ours.scope) {
    return text + "scope is '" + r.scope + "', ours is '" + ours.scope + "'";
  }
  return text + "system identifier is " + r.system_identifier + ", ours is " + ours.identifier;
}

bool shows_another_cluster(const JudgeState& s, const NodeState& n) {
  if (!n.rest.report || s.identity.identifier.empty()) return false;
  const Report& r = *n.rest.report;
  const auto differs = [](const std::string& theirs, const std::string& ours) {
    return !theirs.empty() && !ours.empty() && theirs != ours;
  };
  return differs(r.scope, s.identity.scope) || differs(r.system_identifier, s.identity.identifier);
}

bool is_foreign(const JudgeState& s, const NodeState& n) {
  return is_unproven(n) || shows_another_cluster(s, n);
}

Verdict verdict_on_stranger(const JudgeState& s, const NodeState& n) {
  if (shows_another_cluster(s, n)) {
    return {Admission::kCut, Reason::kForeign, "belongs to another cluster"};
  }
  return {Admission::kCut, Reason::kUnknown,
          "is listed by a member, and has not shown yet that it belongs to this cluster"};
}

// What was named by a member alone has to show our identifier once.
bool is_unproven(const NodeState& n) { return n.discovered && !n.was_ours; }

void judge_identity(JudgeContext& j) {
  JudgeState& s = j.s;
  if (!s.first_round_done) return;
  if (!s.identity.settled) learn(j);
  if (s.identity.identifier.empty()) return;
  follow_change(j);
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    NodeState& n = j.node(i);
    if (shows_another_cluster(s, n)) {
      // A nominee that turns out so is dropped (judge_discovery.cc).
      if (!is_unproven(n)) j.alarms[AlarmKey{AlarmKind::kForeign, i}] = other_cluster(j, i);
    } else if (is_fresh(n) && !n.rest.report->system_identifier.empty()) {
      n.was_ours = true;
    }
  }
}

}  // namespace pgsteer
