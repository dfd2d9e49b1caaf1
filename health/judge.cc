#include "health/judge.h"

#include <algorithm>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

bool same_route(const NodeRoute& a, const NodeRoute& b) {
  return a.addresses == b.addresses && a.tls == b.tls && a.weight == b.weight;
}

bool same_pool(const Pool& a, const Pool& b) {
  return std::equal(a.by_node.begin(), a.by_node.end(), b.by_node.begin(), b.by_node.end(),
                    [](const Verdict& x, const Verdict& y) {
                      return x.admission == y.admission && x.reason == y.reason;
                    });
}

// Would the proxy act in the same way? Sentences and figures alone make no new generation.
bool same(const Topology& a, const Topology& b) {
  return a.generation != 0 && a.primary == b.primary && a.timeline == b.timeline &&
         a.first_round_done == b.first_round_done &&
         a.no_primary_why.empty() == b.no_primary_why.empty() &&
         std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), same_route) &&
         std::equal(a.pools.begin(), a.pools.end(), b.pools.begin(), b.pools.end(), same_pool);
}

Topology build(JudgeContext& j) {
  const JudgeState& s = j.s;
  Topology t;
  t.generation = s.published.generation;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    t.nodes.push_back({j.name(i), n.addresses, n.tls.answer, j.config.nodes[i].weight});
  }
  for (std::size_t i = 0; i < j.config.listen.size(); ++i) t.pools.push_back(judge_pool(j, i));
  if (s.primary) {
    t.primary = s.primary->node;
    t.timeline = s.primary->timeline;
  }
  t.first_round_done = s.first_round_done;
  t.no_primary_why = s.no_primary_why;
  return t;
}

void publish(JudgeContext& j) {
  Topology t = build(j);
  const bool changed = !same(j.s.published, t);
  if (changed) ++t.generation;
  j.s.published = t;
  if (!changed) return;
  for (Transition& transition : j.out.transitions) transition.generation = t.generation;
  j.out.topology = std::move(t);
}

void compare_alarms(JudgeContext& j) {
  Alarms& old = j.s.alarms;
  for (const auto& [key, text] : j.alarms) {
    if (!old.contains(key)) j.announce(TransitionKind::kAlarm, Severity::kError, text);
  }
  for (const auto& [key, text] : old) {
    if (!j.alarms.contains(key)) {
      j.announce(TransitionKind::kAlarmOver, Severity::kInfo, "over: " + text);
    }
  }
  old = j.alarms;
}

}  // namespace

JudgeState initial_state(const Config& config, std::uint64_t seed) {
  JudgeState state;
  state.nodes.resize(config.nodes.size());
  state.memory.assign(config.listen.size(), std::vector<PoolMemory>(config.nodes.size()));
  state.random = seed;
  return state;
}

Decision judge(const Config& config, JudgeState& state, const std::vector<Evidence>& evidence,
               Instant now) {
  JudgeContext j{config, state, now, {}, {}};
  for (const Evidence& e : evidence) apply(j, e);
  update_roles(j);
  judge_primary(j);
  measure_lag(j);
  compare_alarms(j);
  publish(j);
  plan_requests(j);
  return std::move(j.out);
}

bool is_foreign(const JudgeState& s, const NodeState& n) {
  return n.rest.report && !s.system_identifier.empty() &&
         !n.rest.report->system_identifier.empty() &&
         n.rest.report->system_identifier != s.system_identifier;
}

bool is_fresh(const NodeState& n) { return n.rest.report && n.rest.failures == 0; }

bool claims_primary(const JudgeState& s, const NodeState& n) {
  return is_fresh(n) && n.rest.report->leads() && !is_foreign(s, n);
}

bool leads_standbys(const JudgeState& s, const NodeState& n) {
  return is_fresh(n) && n.rest.report->lease && n.rest.report->role == Role::kStandbyLeader &&
         !is_foreign(s, n);
}

bool turned_away(const NodeState& n, Instant now) {
  return n.database.turned_away && now - *n.database.turned_away < kTurnedAway;
}

bool is_late(const NodeState& n, Instant now) {
  return n.rest.in_flight && n.rest.kind == ProbeKind::kLeader && now - n.rest.sent >= kLate;
}

}  // namespace pgsteer
