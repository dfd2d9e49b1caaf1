#include "tests/simulation/ledger.h"

#include <algorithm>
#include <map>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string seconds_of(Span d) {
  return std::to_string(std::chrono::duration<double>(d).count()) + " s";
}

void Scene::asked(const Request& request) {
  if (request.kind == ProbeKind::kDatabase || request.kind == ProbeKind::kTls) return;
  NodeLedger& n = told[request.node];
  n.in_flight = true;
  n.kind = request.kind;
  n.asked = now();
  n.slot_free = now() + config.health.timeout;
  if (request.kind != ProbeKind::kLeader) n.other_ask = now();
}

namespace {

void note_proof(NodeLedger& n, const LeaderEvidence& e, Instant read_shown) {
  if (n.proof_sent == Instant{} || n.proven_since == Instant{}) n.proven_since = e.sent;
  n.proof_sent = e.sent;
  n.proof_received = e.received;
  n.proof_failsafe = e.report.failsafe;
  if (e.report.dcs_last_seen != n.seen) {
    if (n.seen) n.read_before = n.read_shown;
    n.reply_before = n.reply_shown;
    n.seen = e.report.dcs_last_seen;
    n.read_shown = read_shown;
    n.reply_shown = e.received - e.sent;
  }
}

void note_named(NodeLedger& n, const ClusterEvidence& e, std::size_t nodes) {
  n.named_at = e.sent;
  n.names.reset();
  for (std::size_t i = 0; e.report->leader && i < nodes; ++i) {
    if (e.report->leader->name == model_name(i)) n.names = i;
  }
}

void note_members(std::vector<bool>& members, const ClusterReport& report) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    members[i] = std::ranges::find(report.members, model_name(i), &ClusterMember::name) !=
                 report.members.end();
  }
}

void note_leader(NodeLedger& n, const LeaderEvidence& e, Instant read_shown) {
  ++n.checks;
  n.last = e.report.outcome;
  if (!e.report.answered()) {
    ++n.failed;
    if (n.failures++ == 0) n.failing_since = e.sent;
    n.leases = 0;
    n.proven_since = {};
    return;
  }
  if (n.failures > 0 || n.checks == 1) n.answering_since = e.received;
  n.leases = e.report.lease ? n.leases + 1 : 0;
  if (e.report.in_recovery() && !e.report.lease && e.report.role == Role::kReplica)
    n.deposed = false;
  n.slow_checks = 0;
  n.failures = 0;
  n.incomplete = e.report.incomplete() ? n.incomplete + 1 : 0;
  n.report = e.report;
  if (e.report.timeline != 0) {
    n.timeline = e.report.timeline;
    n.timeline_received = e.received;
  }
  if (n.first_identifier.empty()) n.first_identifier = e.report.system_identifier;
  n.sent = e.sent;
  n.received = e.received;
  n.database = DatabaseAnswer::kUnknown;
  if (e.report.lease) n.claimed = e.received;
  if (e.report.lease && !e.report.by_role()) {
    note_proof(n, e, read_shown);
  } else {
    n.proven_since = {};
  }
}

}  // namespace

void Scene::answered(const Evidence& evidence, Instant read_shown) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, LeaderEvidence>) {
          told[e.node].in_flight = false;
          told[e.node].slot_free = now();
          if (e.report.answered() && first_answer == Instant{}) first_answer = now();
          note_leader(told[e.node], e, read_shown);
          if (is_disputed()) disputed = now();
        } else if constexpr (std::is_same_v<E, ConfigEvidence> ||
                             std::is_same_v<E, ClusterEvidence>) {
          told[e.node].in_flight = false;
          told[e.node].slot_free = now();
        } else if constexpr (std::is_same_v<E, DatabaseEvidence>) {
          const bool slow =
              e.answer == DatabaseAnswer::kHung || e.answer == DatabaseAnswer::kUnreachable;
          told[e.node].slow_checks = slow ? told[e.node].slow_checks + 1 : 0;
          told[e.node].database = e.answer;
          told[e.node].database_received = e.received;
        }
        if constexpr (std::is_same_v<E, WritableEvidence>) told[e.node].writable_at = now();
        if constexpr (std::is_same_v<E, ClusterEvidence>) {
          if (e.report && e.sent >= told[e.node].named_at) note_named(told[e.node], e, size());
          if (e.report) note_members(members, *e.report);
        }
        if constexpr (std::is_same_v<E, SuspicionEvidence>) {
          const SuspicionKind kind = e.suspicion.kind;
          if (kind != SuspicionKind::kServerEnded && kind != SuspicionKind::kConnectTimedOut) {
            told[e.suspicion.node].perhaps_turned_away = now();
          }
          if (kind == SuspicionKind::kInHotStandby)
            told[e.suspicion.node].found_in_recovery = now();
        }
        if constexpr (std::is_same_v<E, ConfigEvidence>) {
          if (!e.times || *e.times == believed) return;
          believed_before = believed;
          believed = *e.times;
        }
      },
      evidence);
}

void Scene::lost(std::size_t primary) {
  NodeLedger& n = told[primary];
  n.deposed = n.leading_at >= primary_since;
  const bool late = n.in_flight && now() - n.asked >= kLateReply;
  if (n.answers() && n.report->lease && !late) return;
  // What its lease was good for is over: the next read that it shows is the first one.
  n.seen.reset();
  n.read_before.reset();
  n.read_shown = n.proof_sent = {};
  n.proof_failsafe = false;
}

void Scene::published(const Topology& t, bool renewed) {
  if (!renewed && t.generation != topology.generation + 1)
    fail("a generation was skipped: " + std::to_string(topology.generation) + " to " +
         std::to_string(t.generation));
  if (renewed && t.generation != topology.generation) fail("a renewal has another generation");
  topology = t;
  published_at = now();
  bool served = false;
  for (std::size_t i = 0; i < size(); ++i) served |= admitted(kReadWrite, i);
  const bool proven =
      t.primary && t.pools[kReadWrite].by_node[*t.primary].reason == Reason::kPrimary;
  if (proven) {
    told[*t.primary].leading_at = now();
    unproven.reset();
  } else if (!unproven) {
    unproven = now();
  }
  if (served) {
    unserved.reset();
  } else if (!unserved) {
    unserved = now();
  }
}

// Most of the nodes in force show one identifier, and no other node leads.
void Scene::settle() {
  if (!first_round_done || !settled.empty()) return;
  std::map<std::string, std::size_t> ours;
  for (std::size_t i = 0; i < size(); ++i) {
    if (told[i].answers() && !is_stranger(i)) ++ours[told[i].report->system_identifier];
  }
  for (const auto& [identifier, nodes] : ours) {
    if (2 * nodes > nodes_in_force() && !identifier.empty()) settled = identifier;
  }
  bool leads = false, other_leads = false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!told[i].answers() || !told[i].report->leads()) continue;
    const bool own = !is_stranger(i) && told[i].report->system_identifier == settled;
    (own ? leads : other_leads) = true;
  }
  if (other_leads && !leads) settled.clear();
}

// What was told of a node goes with it.
void Scene::reloading(const Change& change) {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!has(i) || change.nodes[i] == Place::kAbsent) {
      told[i] = {};
      told[i].added = has(i);
    }
    for (std::size_t l = 0; l < told[i].admitted.size(); ++l) {
      if (change.edits_listener(*this, l) || change.edits_node(*this, i)) {
        told[i].admitted[l] = false;
      }
    }
  }
  const HealthConfig& was = change.config.health;
  const HealthConfig& is = config.health;
  if (was.interval == is.interval && was.hunt_interval == is.hunt_interval &&
      was.timeout == is.timeout) {
    return;
  }
  health_before = was;
  health_changed = now();
}

void Scene::decided(const JudgeState& state) {
  first_round_done = state.first_round_done;
  for (std::size_t i = 0; i < size(); ++i) {
    unproven_nodes[i] = has(i) && is_unproven(of(state, i));
  }
  settle();
}

bool Scene::contested() const {
  if (knows_ours()) return false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (told[i].report && is_stranger(i)) return true;
  }
  return false;
}

bool Scene::majority() const {
  std::size_t answering = 0;
  for (const NodeLedger& n : told) answering += n.answers() ? 1 : 0;
  return 2 * answering > nodes_in_force();
}

bool Scene::may_decide() const {
  if (majority()) return true;
  return first_answer != Instant{} && now() - first_answer >= seconds(4) + interval();
}

bool Scene::is_disputed() const {
  const Report* first = nullptr;
  for (const NodeLedger& n : told) {
    if (!n.answers()) continue;
    const Report& r = *n.report;
    if (!first) first = &r;
    if (r.scope != first->scope || r.system_identifier != first->system_identifier) return true;
  }
  return false;
}

bool Scene::is_settled() const {
  const Span settles = config.health.identity_settle + interval() + kReply;
  return !disputed || now() - *disputed > settles;
}

bool Scene::knows_ours() const {
  if (is_ours_settled()) return true;
  std::size_t ours = 0, others = 0;
  bool leads = false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!told[i].report) continue;
    const Report& r = *told[i].report;
    const bool own =
        r.scope == cluster.scopes[0].name && r.system_identifier == cluster.scopes[0].identifier;
    if (!own) ++others;
    if (own && told[i].answers()) ++ours;
    leads |= own && told[i].answers() && r.leads();
  }
  if (2 * ours > nodes_in_force()) return leads;
  return leads && is_settled() && others == 0 && may_decide();
}

Instant Scene::learning(std::size_t node, Instant from, Span step) const {
  const NodeLedger& n = told[node];
  const Instant free = std::max(from, n.slot_free);
  return free + step + (n.other_ask + step >= from ? step : Span(0)) + kReply + kGrain;
}

// While no primary is admitted, rounds are hunt_interval apart, and 250 ms after 30 s: unless a
// standby leader leads, or asking often helps nobody.
Span Scene::hunting_step(std::size_t node) const {
  const Span hunt = either(&HealthConfig::hunt_interval);
  const Span normal = interval();
  if (!unserved || !first_round_done) return normal;
  // It is proven, and takes nobody because it is leaving.
  if (topology.primary && leaving(*topology.primary)) return normal;
  for (const NodeLedger& n : told) {
    if (n.answers() && n.report->lease && n.report->role == Role::kStandbyLeader) return normal;
  }
  const NodeLedger& n = told[node];
  if (n.failures >= 3 && (n.last == Outcome::kTlsFailed || !n.report)) return 2 * normal;
  const bool slow = unproven && now() - *unproven >= seconds(29);
  return std::min(normal, slow ? std::max(hunt, Span(milliseconds(250))) : hunt);
}

}  // namespace pgsteer
