#include "health/judge.h"

#include <algorithm>
#include <utility>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How often sentences and deadlines are published again while nothing else changes.
constexpr milliseconds kRenewal{1'000};

bool same_route(const NodeRoute& a, const NodeRoute& b) {
  return a.addresses == b.addresses && a.tls == b.tls && a.weight == b.weight;
}

bool same_pool(const Pool& a, const Pool& b) {
  return a.to == b.to && std::equal(a.by_node.begin(), a.by_node.end(), b.by_node.begin(),
                                    b.by_node.end(), [](const Verdict& x, const Verdict& y) {
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

// Without a primary: until when the sessions may stay that no proof has ended. The earliest of
// their leases counts.
Instant valid_without_primary(const JudgeContext& j, const Topology& t, Instant least) {
  std::optional<Instant> first;
  for (std::size_t l = 0; l < t.pools.size(); ++l) {
    if (j.config.listen[l].to != Target::kPrimary) continue;
    for (std::size_t i = 0; i < t.pools[l].by_node.size(); ++i) {
      if (t.pools[l].by_node[i].admission == Admission::kCut) continue;
      const Instant fence = fence_deadline(j.config, j.s, i);
      first = std::min(first.value_or(fence), fence);
    }
  }
  return std::max(least, first.value_or(least));
}

// Until when the workers may act on `t` without hearing from the checker again.
Instant valid_until(const JudgeContext& j, const Topology& t) {
  const JudgeState& s = j.s;
  const HealthConfig& h = j.config.health;
  const Instant least =
      j.now + std::max<milliseconds>(kLeastValidity, 2 * h.interval + h.timeout + seconds(1));
  if (!s.primary) return valid_without_primary(j, t, least);
  const Reason reason = s.primary->verdict.reason;
  // These hold whatever the clocks say.
  if (reason == Reason::kMaintenance || reason == Reason::kUncheckable) {
    return std::max(least, j.now + s.settings.times.ttl);
  }
  return std::max(least, fence_deadline(j.config, s, s.primary->node));
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
  t.valid_until = valid_until(j, t);
  return t;
}

// A replica begins or ceases to take sessions of a listener.
void announce_admissions(JudgeContext& j, const Topology& before, const Topology& after) {
  if (before.generation == 0) return;
  for (std::size_t l = 0; l < after.pools.size(); ++l) {
    if (j.config.listen[l].to == Target::kPrimary) continue;
    for (std::size_t i = 0; i < after.nodes.size(); ++i) {
      const Verdict& now = after.pools[l].by_node[i];
      const bool was = before.pools[l].by_node[i].admission == Admission::kAdmit;
      const bool is = now.admission == Admission::kAdmit;
      if (was == is) continue;
      j.announce(TransitionKind::kNode, Severity::kInfo,
                 j.name(i) + (is ? " takes sessions of " : " takes no new sessions of ") +
                     j.config.listen[l].name + ": " + now.why,
                 i);
    }
  }
}

void publish(JudgeContext& j) {
  JudgeState& s = j.s;
  Topology t = build(j);
  const bool reconfigured = std::exchange(s.reconfigured, false);
  if (!reconfigured && same(s.published, t)) {
    if (j.now - s.published_at < kRenewal) return;
    s.published = std::move(t);
    s.published_at = j.now;
    j.out.renewed = true;
    return;
  }
  ++t.generation;
  announce_admissions(j, s.published, t);
  s.published = t;
  s.published_at = j.now;
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

// Maintenance and failsafe mode, as the members in sight say.
void note_modes(JudgeContext& j) {
  bool paused = false;
  bool failsafe = false;
  bool any = false;
  for (const NodeState& n : j.s.nodes) {
    if (!is_fresh(n) || is_foreign(j.s, n)) continue;
    any = true;
    paused |= n.pause.paused;
    failsafe |= n.rest.report->failsafe;
  }
  if (!any) return;  // what was said last stands
  const auto note = [&](bool& mode, bool now_on, const char* on, const char* off) {
    if (mode == now_on) return;
    mode = now_on;
    j.announce(TransitionKind::kCluster, Severity::kWarn, now_on ? on : off);
  };
  note(j.s.paused, paused, "the cluster is in maintenance mode: Patroni does not act",
       "maintenance mode is over");
  note(j.s.failsafe, failsafe, "failsafe mode is active: the store is out of reach",
       "failsafe mode is over");
}

// A primary that was removed from the configuration takes nobody, however well it does.
void explain_removed_primary(JudgeContext& j) {
  const auto& primary = j.s.primary;
  if (!primary || !j.s.nodes[primary->node].leaving_since) return;
  j.s.no_primary_why = j.name(primary->node) + " was removed from the configuration";
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
  // Once: a checker that is always late has to decide all the same.
  const bool late = state.wake != Instant{} && now - state.wake >= kStall;
  if (late && now - state.grace_until >= kStall) state.grace_until = now + kStall;
  for (std::size_t i = 0; i < state.nodes.size(); ++i) {
    auto& since = state.nodes[i].leaving_since;
    since = config.nodes[i].leaving ? std::optional(since.value_or(now)) : std::nullopt;
    state.nodes[i].discovered = config.nodes[i].discovered;
  }
  for (const Evidence& e : evidence) apply(j, e);
  note_first_round(j);
  judge_identity(j);
  judge_discovery(j);
  update_roles(j);
  note_modes(j);
  judge_primary(j);
  explain_removed_primary(j);
  measure_lag(j);
  compare_alarms(j);
  publish(j);
  plan_requests(j);
  return std::move(j.out);
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

bool needs_port_check(const NodeState& n, Instant now) {
  return n.rest.failures > 0 || n.rest.incomplete_replies > 0 || is_late(n, now);
}

bool is_late(const NodeState& n, Instant now) {
  return n.rest.in_flight && n.rest.kind == ProbeKind::kLeader && now - n.rest.sent >= kLate;
}

}  // namespace pgsteer
