#include "tests/simulation/record_rules.h"

#include <algorithm>
#include <utility>

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

bool same_pool(const Pool& a, const Pool& b) {
  return std::equal(a.by_node.begin(), a.by_node.end(), b.by_node.begin(), b.by_node.end(),
                    [](const Verdict& x, const Verdict& y) {
                      return x.admission == y.admission && x.reason == y.reason;
                    });
}

bool same_route(const NodeRoute& a, const NodeRoute& b) {
  return a.addresses == b.addresses && a.tls == b.tls && a.weight == b.weight && a.name == b.name;
}

// Would the workers act in the same way on both?
bool same(const Topology& a, const Topology& b) {
  return a.primary == b.primary && a.timeline == b.timeline &&
         a.first_round_done == b.first_round_done &&
         a.no_primary_why.empty() == b.no_primary_why.empty() &&
         std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), same_route) &&
         std::equal(a.pools.begin(), a.pools.end(), b.pools.begin(), b.pools.end(), same_pool);
}

}  // namespace

// Who goes for good takes what was announced of it with it.
void RecordRules::reloading(const Change& change) {
  reloaded_ = true;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (s_.has(i) && change.nodes[i] != Place::kAbsent) continue;
    addresses_[i].clear();
    tls_[i] = TlsAnswer::kUnknown;
    roles_[i] = NodeRole::kUnknown;
    if (leads_ != i) continue;
    leads_.reset();
    admitted_ = false;
  }
  for (std::size_t l = 0; l < takes_.size(); ++l) {
    if (!s_.has_listener(l)) takes_[l].assign(s_.size(), false);
  }
}

void RecordRules::answered(const Evidence& evidence) {
  if (const auto* a = std::get_if<AddressEvidence>(&evidence)) {
    if (a->addresses.empty() || a->addresses == addresses_[a->node]) return;
    addresses_[a->node] = a->addresses;
    tls_[a->node] = TlsAnswer::kUnknown;
  } else if (const auto* t = std::get_if<TlsEvidence>(&evidence)) {
    if (t->answer != TlsAnswer::kUnknown) tls_[t->node] = t->answer;
  } else if (const auto* c = std::get_if<ConfigEvidence>(&evidence); c && c->times) {
    learnt_ |= times_ != c->times;
    times_ = c->times;
  }
}

void RecordRules::publishing(const Topology& t, bool renewed) {
  const bool equal = s_.topology.generation != 0 && same(t, s_.topology);
  if (renewed && !equal) s_.fail("a renewed topology differs from the one that it renews");
  const bool reloaded = std::exchange(reloaded_, false);
  if (!renewed && equal && !reloaded) s_.fail("a new generation in which nothing is new");
  if (renewed && reloaded) s_.fail("a reload without a new generation");
  if (renewed && s_.now() - s_.published_at < milliseconds(400)) {
    s_.fail("a topology is renewed too often");
  }
  if (t.no_primary_why.empty() !=
      (t.primary && t.pools[kReadWrite].by_node[*t.primary].admission == Admission::kAdmit)) {
    s_.fail("the sentence about the primary does not fit: " + t.no_primary_why);
  }
  if (t.primary.has_value() != (t.timeline != 0)) s_.fail("the timeline does not fit the primary");
}

namespace {

// What the last answer makes of the node; empty: more than that answer decides.
std::optional<NodeRole> role_by(const NodeLedger& n, bool foreign) {
  if (foreign) return NodeRole::kForeign;
  if (n.checks == 0) return NodeRole::kUnknown;
  if (!n.answers()) return std::nullopt;
  const Report& r = *n.report;
  if (r.leads()) return NodeRole::kPrimary;
  if (r.incomplete()) return std::nullopt;
  if (r.lease && r.role == Role::kStandbyLeader) return NodeRole::kStandbyLeader;
  if (r.lease && r.in_recovery()) return NodeRole::kPromoting;
  if (r.writable()) return NodeRole::kPrimary;
  if (!r.in_recovery()) return NodeRole::kStopped;
  if (r.role != Role::kReplica || r.cluster_unlocked) return std::nullopt;
  if (r.sync) return NodeRole::kSyncReplica;
  return r.quorum ? NodeRole::kQuorumReplica : NodeRole::kReplica;
}

bool shows_another(const NodeLedger& n, const ClusterIdentity& ours) {
  if (!n.report) return false;
  const Report& r = *n.report;
  return (!r.scope.empty() && r.scope != ours.scope) ||
         (!r.system_identifier.empty() && r.system_identifier != ours.identifier);
}

}  // namespace

// Each node's role is what its last answer says; a change is announced.
void RecordRules::check_roles(const Decision& decision, const JudgeState& state) {
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    const NodeRole role = s_.of(state, i).role;
    const NodeLedger& n = s_.told[i];
    const bool unproven = s_.unproven_nodes[i];
    auto expected = role_by(
        n, unproven ? shows_another(n, state.identity) : is_foreign(state, s_.of(state, i)));
    if (unproven && n.answers() && expected != NodeRole::kForeign) expected = NodeRole::kUnknown;
    const bool silent = n.failures >= 2 || (n.failures > 0 && !n.report);
    const bool told_so = role == NodeRole::kSilent || role == NodeRole::kDown;
    if ((expected && role != *expected) || (silent && !expected && !told_so)) {
      s_.fail(model_name(i) + " counts as " + to_string(role) + ", against its last answer");
    }
    if (role == roles_[i]) continue;
    roles_[i] = role;
    const bool told = std::any_of(decision.transitions.begin(), decision.transitions.end(),
                                  [&](const Transition& t) {
                                    return t.kind == TransitionKind::kNode && t.node == i &&
                                           t.text.find(" was ") != t.text.npos;
                                  });
    if (!told) s_.fail(model_name(i) + " has another role, and nothing says so");
  }
}

// Maintenance and failsafe mode are what any node of ours in sight says; a Patroni that has just
// started does not know about maintenance yet.
void RecordRules::check_modes(const JudgeState& state) {
  bool any = false, paused = false, perhaps = false, failsafe = false;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const NodeLedger& n = s_.told[i];
    if (!n.answers() || is_foreign(state, s_.of(state, i))) continue;
    any = true;
    paused |= n.report->pause;
    perhaps |= !n.report->lease && n.received - n.answering_since < seconds(5);
    failsafe |= n.report->failsafe;
  }
  const bool wrong_pause = state.paused != paused && (paused || !perhaps);
  if (any && (wrong_pause || state.failsafe != failsafe)) {
    s_.fail("maintenance or failsafe mode is not as the nodes say");
  }
}

// After a decision the workers have what judge has published.
void RecordRules::check_memory(const JudgeState& state) {
  const Topology published = s_.layout.spread(state.published);
  if (s_.topology.generation != 0 && !same(published, s_.topology)) {
    s_.fail("judge has changed the topology without publishing it");
  }
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    const CheckHistory& c = s_.of(state, i).checks;
    const NodeLedger& n = s_.told[i];
    if (c.total != n.checks || c.failed != n.failed ||
        c.kept != std::min<std::uint64_t>(64, n.checks) ||
        (n.checks > 0 && ((c.passed & 1) != 0) != (n.failures == 0))) {
      s_.fail("the history of the checks of " + model_name(i) + " is wrong");
    }
    const NodeRoute& route = published.nodes[i];
    if (route.name != s_.config.nodes[i].name || route.weight != s_.config.nodes[i].weight) {
      s_.fail("a route has another node's name or weight");
    }
    if (route.addresses != addresses_[i]) s_.fail("a route has other addresses than were found");
    if (route.tls != tls_[i]) s_.fail("a route says something else about TLS than was found");
  }
}

// The transitions, one after the other, lead to what is published.
void RecordRules::check_announced(const Decision& decision) {
  for (const Transition& t : decision.transitions) {
    const auto wrong = [&](const char* why) { s_.fail(std::string(why) + ": " + t.text); };
    if (t.at != s_.now() || t.text.empty()) wrong("a transition without its time or its text");
    switch (t.kind) {
      case TransitionKind::kNewPrimary:
        if (leads_ && leads_ != t.node) wrong("a new primary before the old one was lost");
        if (leads_ == t.node && !t.interrupts)
          wrong("the same primary anew, without an interruption");
        leads_ = t.node;
        admitted_ = true;
        s_.told[*t.node].deposed = false;
        s_.primary_since = s_.now();
        break;
      case TransitionKind::kHeld:
        if (!admitted_ || leads_ != t.node) wrong("held without having been admitted");
        admitted_ = false;
        break;
      case TransitionKind::kResumed:
        if (admitted_ || (leads_ && leads_ != t.node)) wrong("resumed without having been held");
        leads_ = t.node;
        admitted_ = true;
        break;
      case TransitionKind::kLost:
        if (leads_ != t.node) wrong("lost without having been the primary");
        s_.lost(*t.node);
        leads_.reset();
        admitted_ = false;
        break;
      case TransitionKind::kAlarm:
        ++alarms_;
        break;
      case TransitionKind::kAlarmOver:
        if (alarms_-- == 0) wrong("an alarm ends that was not raised");
        break;
      default:
        break;
    }
    const bool acted = decision.topology.has_value();
    if (acted != (t.generation != 0) || (acted && t.generation != decision.topology->generation)) {
      wrong("a transition carries another generation");
    }
  }
  if (s_.topology.generation == 0) return;
  if (leads_ != s_.topology.primary)
    s_.fail("the transitions and the topology name other primaries");
  const bool leaves = leads_ && s_.leaving(*leads_);
  if (leads_ && (admitted_ && !leaves) != s_.admitted(kReadWrite, *leads_)) {
    s_.fail("the transitions do not say whether the primary is admitted");
  }
}

// A replica that begins or ceases to take sessions, and other times of Patroni, are announced.
void RecordRules::check_admissions(const Decision& decision) {
  const auto told = [&](TransitionKind kind, std::optional<std::size_t> node,
                        const std::string& text) {
    return std::any_of(
        decision.transitions.begin(), decision.transitions.end(), [&](const Transition& t) {
          return t.kind == kind && t.node == node && t.text.find(text) != t.text.npos;
        });
  };
  if (std::exchange(learnt_, false) && !told(TransitionKind::kCluster, std::nullopt, "ttl ")) {
    s_.fail("Patroni's configuration is another, and nothing says so");
  }
  if (s_.topology.generation == 0) return;
  const bool first = takes_.empty();
  takes_.resize(s_.config.listen.size(), std::vector<bool>(s_.size()));
  for (std::size_t l = 0; l < takes_.size(); ++l) {
    for (std::size_t i = 0; i < s_.size(); ++i) {
      const bool takes = s_.admitted(l, i);
      if (takes == takes_[l][i]) continue;
      takes_[l][i] = takes;
      if (first || s_.config.listen[l].to == Target::kPrimary) continue;
      if (!told(TransitionKind::kNode, i, "sessions of " + s_.config.listen[l].name)) {
        s_.fail(model_name(i) + " is admitted or not to " + s_.config.listen[l].name +
                ", and nothing says so");
      }
    }
  }
}

void RecordRules::check_other_alarms(const JudgeState& state) {
  const auto holds = [&](AlarmKind kind) { return state.alarms.contains(AlarmKey{kind}); };
  const auto need = [&](bool cause, AlarmKind kind, const char* what) {
    if (cause && !holds(kind)) s_.fail(std::string("no alarm says that ") + what);
  };
  const Topology& t = s_.topology;
  if (t.generation == 0 || !t.first_round_done) return;
  std::uint32_t highest = 0;  // in sight
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const NodeLedger& n = s_.told[i];
    if (!n.answers() || is_foreign(state, s_.of(state, i))) continue;
    highest = std::max(highest, n.report->timeline);
  }
  const bool proven =
      t.primary && t.pools[kReadWrite].by_node[*t.primary].reason == Reason::kPrimary;
  need(proven && t.timeline < highest, AlarmKind::kHigherTimeline, "a node is above the primary");
  need(!state.identity.next.empty(), AlarmKind::kNewIdentifier, "a new identifier is in sight");
  need(t.primary && t.pools[kReadWrite].by_node[*t.primary].reason == Reason::kUncheckable,
       AlarmKind::kUncheckable, "no REST API can be asked");
}

void RecordRules::check_alarms(const JudgeState& state) {
  std::size_t real = 0;
  bool any = false;
  if (state.alarms.size() != alarms_) s_.fail("the alarms are not those that were announced");
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    const NodeLedger& n = s_.told[i];
    const bool foreign = is_foreign(state, s_.of(state, i));
    const bool alarm = state.alarms.contains(AlarmKey{AlarmKind::kForeign, s_.layout.entry_of(i)});
    if (n.answers() && s_.topology.generation != 0 && (foreign && !s_.unproven_nodes[i]) != alarm) {
      s_.fail("the alarm about another cluster's node does not fit " + model_name(i));
    }
    const bool claims = n.answers() && n.report->leads() && !foreign;
    real += claims && !n.report->by_role() ? 1 : 0;
    any |= claims;
  }
  check_other_alarms(state);
  const bool alarmed = state.alarms.contains(AlarmKey{AlarmKind::kClaimants});
  if (s_.topology.first_round_done && real >= 2 && !alarmed) {
    s_.fail("two nodes claim to lead, and no alarm says so");
  }
  if (!any && alarmed) s_.fail("the alarm says that two nodes claim to lead, and none does");
}

void RecordRules::decided(const Decision& decision, const JudgeState& state) {
  check_announced(decision);
  check_roles(decision, state);
  check_admissions(decision);
  check_modes(state);
  check_alarms(state);
  check_memory(state);
}

// A primary that is admitted outside maintenance is to be believed for some seconds, and not
// longer than its lease.
void RecordRules::check_deadline() {
  const Topology& t = s_.topology;
  if (t.generation == 0) return;
  if (!t.valid_until) return s_.fail("nobody would notice that the checks have stopped");
  if (!t.primary) return;
  const Verdict& v = t.pools[kReadWrite].by_node[*t.primary];
  const bool any_clock = v.reason == Reason::kMaintenance || v.reason == Reason::kUncheckable;
  const Span shortest = std::min(s_.believed.ttl, s_.believed_before.ttl);
  if (any_clock && (*t.valid_until < s_.published_at + shortest)) {
    s_.fail("in maintenance the topology would expire before the ttl");
  }
  if (v.admission != Admission::kAdmit || v.reason == Reason::kMaintenance) return;
  const Span least = s_.least_validity();
  const Span renewal = s_.interval() + seconds(1) + kReply + kGrain;
  if (*t.valid_until < s_.now() + least - renewal) s_.fail("the topology would expire soon");
  const Span ttl =
      std::max({s_.cluster.scopes[0].times.ttl, s_.believed.ttl, s_.believed_before.ttl});
  Instant most = std::max(s_.published_at + least, s_.told[*t.primary].proof_received + ttl);
  if (v.reason == Reason::kUncheckable) most = std::max(most, s_.published_at + ttl);
  if (*t.valid_until > most + kGrain) s_.fail("the topology would outlive its evidence");
}

void RecordRules::after_step() { check_deadline(); }

}  // namespace pgsteer
