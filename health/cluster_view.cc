#include "health/cluster_view.h"

#include "config/address.h"
#include "health/judge_state.h"

namespace pgsteer {
namespace {

// When, on the wall clock, something happened at `then` on the monotonic one.
WallTime at_wall(Instant then, Instant now, WallTime wall) {
  if (then == Instant{}) return {};
  return wall - std::chrono::duration_cast<WallTime::duration>(now - then);
}

void show_checks(const NodeState& n, Instant now, WallTime wall, NodeView& view) {
  view.check_history = n.checks.passed;
  view.checks_kept = n.checks.kept;
  view.checks_total = n.checks.total;
  view.checks_failed = n.checks.failed;
  view.last_check_at = at_wall(n.checks.last, now, wall);
  view.check_seconds = std::chrono::duration<double>(n.checks.last_took).count();
  view.last_check_result = n.rest.tried ? n.rest.attempt.detail : "";
}

void show_report(const JudgeState& s, const NodeState& n, NodeView& view) {
  if (!n.rest.report) return;
  const Report& r = *n.rest.report;
  view.state = r.state_word;
  view.lease = is_fresh(n) && r.lease;
  view.timeline = r.timeline;
  view.wal_position = r.location ? *r.location : r.replayed.value_or(0);
  view.replication_state = r.replication_state;
  view.server_version = r.server_version;
  view.patroni_version = r.patroni_version;
  view.tags.assign(r.tags.begin(), r.tags.end());
  const bool primary = s.primary && &s.nodes[s.primary->node] == &n;
  if (!primary && n.replica.lag && r.in_recovery()) view.lag_bytes = n.replica.lag;
}

NodeView show_node(const Config& config, const JudgeState& s, std::size_t i, Instant now,
                   WallTime wall) {
  const NodeState& n = s.nodes[i];
  const NodeConfig& c = config.nodes[i];
  NodeView view;
  view.name = c.name;
  view.address = n.addresses.empty() ? "" : n.addresses.front().text();
  view.host = host_port(c.host, c.port);
  view.rest_url = rest_url(c);
  view.role = n.role;
  view.role_since = at_wall(n.role_since, now, wall);
  view.tls = n.tls.answer;
  view.weight = c.weight;
  view.leaving = c.leaving;
  view.discovered = c.discovered;
  // While Patroni answers, its own query is the proof that PostgreSQL does.
  const bool queried = is_fresh(n) && (n.rest.report->location || n.rest.report->replayed);
  view.database_answer = queried ? DatabaseAnswer::kAnswers : n.database.answer;
  show_checks(n, now, wall, view);
  show_report(s, n, view);
  for (std::size_t l = 0; l < s.published.pools.size(); ++l) {
    const Verdict& v = s.published.pools[l].by_node[i];
    view.verdicts.push_back({config.listen[l].name, v.admission, v.reason, v.why});
  }
  return view;
}

}  // namespace

ClusterView cluster_view(const Config& config, const JudgeState& s, Instant now, WallTime wall) {
  ClusterView view;
  view.name = config.clusters.front().name;
  view.leaving = config.clusters.front().leaving;
  view.topology_generation = s.published.generation;
  view.system_identifier = s.identity.identifier;
  view.no_primary_why = s.no_primary_why;
  view.first_round_done = s.first_round_done;
  view.hunting = s.rounds.hunting;
  if (s.primary) {
    view.primary = config.nodes[s.primary->node].name;
    view.primary_since = at_wall(s.primary->since, now, wall);
    view.timeline = s.primary->timeline;
    const NodeState& n = s.nodes[s.primary->node];
    const Reason reason = s.primary->verdict.reason;
    const bool leased = is_fresh(n) && n.rest.report->lease;
    if (!s.primary->proven && !leased && reason != Reason::kMaintenance &&
        reason != Reason::kUncheckable) {
      const Instant fence = fence_deadline(config, s, s.primary->node);
      view.fence_seconds = std::max(0.0, std::chrono::duration<double>(fence - now).count());
    }
  }
  view.paused = s.paused;
  view.failsafe = s.failsafe;
  view.scope = s.identity.scope;
  bool any = false;
  bool all_unlocked = true;
  for (const NodeState& n : s.nodes) {
    if (!is_fresh(n) || is_foreign(s, n)) continue;
    any = true;
    all_unlocked &= n.rest.report->cluster_unlocked;
  }
  // Every member without a view of the store, the leader included: the store is out of reach. When
  // only the key is missing, nobody leads.
  view.dcs_ok = !(any && all_unlocked && s.primary && s.primary->proven) && !view.failsafe;
  for (const auto& [key, text] : s.alarms) view.alarms.push_back(text);
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    view.nodes.push_back(show_node(config, s, i, now, wall));
  }
  return view;
}

}  // namespace pgsteer
