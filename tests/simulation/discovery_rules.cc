#include "tests/simulation/discovery_rules.h"

#include <algorithm>

namespace pgsteer {

using std::chrono::seconds;

namespace {

// Its list counts.
bool speaks(const NodeLedger& n) { return n.answers() && n.report->state == State::kRunning; }

}  // namespace

void DiscoveryRules::answered(const Evidence& evidence) {
  if (const auto* e = std::get_if<LeaderEvidence>(&evidence)) {
    Found& n = nodes_[e->node];
    const bool shows = e->report.answered() && !e->report.system_identifier.empty();
    if (shows && !s_.is_stranger(e->node)) n.ours = true;
  }
  const auto* list = std::get_if<ClusterEvidence>(&evidence);
  if (!list || !list->report || s_.is_stranger(list->node)) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const auto& members = list->report->members;
    Found& n = nodes_[i];
    const auto at = std::ranges::find(members, model_name(i), &ClusterMember::name);
    if (at == members.end()) {
      if (speaks(s_.told[list->node])) n.absent = n.absent.value_or(s_.now());
    } else {
      n.listed = true;
      n.absent.reset();
    }
  }
}

// Who shows that it is one of ours counts as that at once.
void DiscoveryRules::decided() const {
  if (!s_.is_ours_settled()) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.unproven_nodes[i] || !s_.told[i].answers()) continue;
    const Report& r = *s_.told[i].report;
    if (r.scope == s_.cluster.scopes[0].name && r.system_identifier == s_.settled) {
      s_.fail(model_name(i) + " has shown that it is one of ours, and is not taken for that");
    }
  }
}

void DiscoveryRules::bound(const ModelSession& session) const {
  const std::size_t i = session.node;
  if (!s_.discovered(i)) return;
  if (s_.cluster.nodes[i].scope != 0) {
    s_.fail("a session goes to " + model_name(i) + ", a stranger that a list has named");
  }
  if (!nodes_[i].ours) {
    s_.fail("a session goes to " + model_name(i) + ", which has not shown whose it is");
  }
}

void DiscoveryRules::reloading(const Change& change) {
  const Span limit = s_.config.clusters.front().forget_after;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    Found& n = nodes_[i];
    const bool was_used = change.nodes[i] == Place::kListed && change.config.nodes[i].discovered;
    const bool is_used = s_.discovered(i) && !s_.leaving(i);
    if (is_used && !was_used && change.nodes[i] != Place::kListed && !n.listed) {
      s_.fail(model_name(i) + " is used, and no member has listed it");
    }
    const bool let_go =
        was_used && s_.discovers() && !is_used && s_.layout.node(i) != Place::kListed;
    const auto since = lost(i);
    const bool early = !since || s_.now() - *since < limit;
    // While the cluster is being replaced, who shows what it will be is a stranger.
    if (let_go && early && s_.now() - n.strange > limit && s_.is_ours_settled()) {
      s_.fail(model_name(i) + " is forgotten" +
              (since ? " after " + seconds_of(s_.now() - *since) : ", and listed or in sight"));
    }
    if (!s_.has(i)) n.ours = false;
  }
}

// Since when it is neither listed nor answers.
std::optional<Instant> DiscoveryRules::lost(std::size_t i) const {
  const NodeLedger& n = s_.told[i];
  if (!nodes_[i].absent || n.answers()) return std::nullopt;
  return n.failures > 0 ? std::max(*nodes_[i].absent, n.failing_since) : nodes_[i].absent;
}

// The list is read in its time, by somebody who is known as one of ours.
bool DiscoveryRules::reads_list() const {
  const Topology& t = s_.topology;
  if (t.generation == 0 || !t.primary || !s_.discovers() || !s_.is_ours_settled()) return false;
  const std::size_t i = *t.primary;
  return t.pools[kReadWrite].by_node[i].reason == Reason::kPrimary && s_.told[i].answers() &&
         s_.prompt(i) && s_.cluster.reaches_store(i) && !s_.is_disputed();
}

void DiscoveryRules::check_missing(std::size_t i, bool calm) {
  Found& n = nodes_[i];
  const bool member = s_.cluster.nodes[i].scope == 0 && !s_.cluster.foreign(i) &&
                      s_.cluster.is_member(i) && s_.layout.node(i) != Place::kListed;
  if (!calm || !member) {
    n.missing.reset();
  } else if (!n.missing) {
    n.missing = s_.now();
  }
  // It is taken for a stranger for so long.
  const Span limit = s_.config.clusters.front().forget_after;
  if (!n.missing || (n.strange != Instant{} && s_.now() - n.strange < limit + seconds(30))) return;
  const Span reads = s_.members_period() + 4 * s_.interval() + s_.timeout();
  if (s_.now() - std::max(*n.missing, s_.resumed) > reads + seconds(2)) {
    s_.fail(model_name(i) + " has been a member for " + seconds_of(s_.now() - *n.missing) +
            ", and is not found");
  }
}

void DiscoveryRules::check_forgotten(std::size_t i) const {
  if (!s_.discovered(i) || s_.leaving(i)) return;
  const auto since = lost(i);
  const Span limit = s_.config.clusters.front().forget_after + s_.interval() + seconds(2);
  if (since && s_.now() - std::max(*since, s_.resumed) > limit) {
    s_.fail(model_name(i) + " is still used, and not listed nor in sight for " +
            seconds_of(s_.now() - *since));
  }
}

void DiscoveryRules::after_step() {
  if (!s_.cluster.settings.discover) return;
  const bool calm = reads_list();
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (s_.is_stranger(i) || s_.cluster.foreign(i)) nodes_[i].strange = s_.now();
    check_missing(i, calm);
    check_forgotten(i);
  }
}

}  // namespace pgsteer
