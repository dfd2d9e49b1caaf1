#include "tests/simulation/table_rules.h"

#include <algorithm>

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void TableRules::violated(std::size_t i, const char* rule) const {
  const Verdict& v = writes(i);
  s_.fail(model_name(i) + " is at " + to_string(v.admission) + " (" + to_string(v.reason) + ": " +
          v.why + ") for writes, but " + rule);
}

bool TableRules::ours(std::size_t i) const { return !s_.is_apart(i); }

bool TableRules::claims(std::size_t i) const {
  const NodeLedger& n = s_.told[i];
  return n.answers() && n.report->leads() && ours(i);
}

bool TableRules::late(std::size_t i) const {
  const NodeLedger& n = s_.told[i];
  return n.in_flight && n.kind == ProbeKind::kLeader && s_.now() - n.asked >= kLateReply;
}

void TableRules::check_node(std::size_t i) {
  const NodeLedger& n = s_.told[i];
  const bool admits = writes(i).admission == Admission::kAdmit;
  const bool cuts = writes(i).admission == Admission::kCut;
  if (admits && s_.topology.primary != i) violated(i, "it is not the primary");
  if (n.checks == 0 && admits) violated(i, "it was never asked");
  if (!n.report) return;
  const Report& r = *n.report;
  if (r.system_identifier == "666" || s_.cluster.is_outsider(i)) {
    if (!s_.knows_ours()) return;
    for (std::size_t l = 0; l < s_.topology.pools.size(); ++l) {
      const bool other = s_.topology.pools[l].by_node[i].admission == Admission::kCut;
      if (!other && s_.has_listener(l))
        violated(i, "its last answer shows another cluster's system identifier");
    }
    return;
  }
  if (!ours(i) || !n.answers()) return;
  const bool runs = r.state == State::kRunning;
  if (runs && r.in_recovery() && !r.lease && !cuts) {
    violated(i, "it reports that it is a replica");
  }
  if (runs && r.in_recovery() && r.lease && r.role == Role::kReplica &&
      writes(i).admission != Admission::kDrain && !s_.leaving(i)) {
    violated(i, "it reports that it is being promoted");
  }
  if (r.role == Role::kStandbyLeader && !cuts) violated(i, "it leads a standby cluster");
  const bool down = r.state == State::kStopped || r.state == State::kStarting ||
                    r.state == State::kStopping || r.state == State::kCrashed;
  // It is late again, and its port has answered since.
  const bool outdated =
      late(i) && n.database == DatabaseAnswer::kAnswers && n.database_received > n.received;
  if (down && admits && !outdated) violated(i, "it reports that PostgreSQL does not run");
  if (down && !r.lease && !cuts) violated(i, "it reports that it neither leads nor runs");
}

// Who leads on the highest timeline is the primary at once, and nobody else keeps writers.
void TableRules::check_claims() {
  std::uint32_t highest = 0;  // among the nodes in sight
  std::size_t claims_there = 0, best = s_.size();
  const Report* any = nullptr;
  bool strangers = false;  // of two clusters, before it is clear which one is meant
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const NodeLedger& n = s_.told[i];
    if (!n.report || !ours(i)) continue;
    const bool in_sight = n.answers() || s_.now() - n.received <= seconds(6);
    if (in_sight) highest = std::max(highest, n.report->timeline);
    if (s_.now() - n.timeline_received <= seconds(6)) highest = std::max(highest, n.timeline);
    const bool same = !any || (n.report->scope == any->scope &&
                               n.report->system_identifier == any->system_identifier);
    strangers |= !same && !s_.topology.primary;
    any = &*n.report;
  }
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!claims(i) || s_.told[i].report->timeline != highest || s_.told[i].report->by_role()) {
      continue;
    }
    ++claims_there;
    best = i;
  }
  if (claims_there != 1 || late(best) || strangers) return;
  if (!s_.topology.primary && !s_.majority()) return;
  const auto primary = s_.topology.primary;
  const bool above = !primary || primary == best || s_.topology.timeline < highest;
  const bool turned_away = s_.now() - s_.told[best].perhaps_turned_away <= seconds(1);
  const bool admits = writes(best).admission == Admission::kAdmit || s_.leaving(best);
  if (above && !admits && !turned_away) {
    violated(best, "it is the only one that leads on the highest timeline");
  }
  if (!above) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (i == best || !s_.has(i) || writes(i).admission == Admission::kCut) continue;
    const NodeLedger& n = s_.told[i];
    const bool waits = n.answers() && n.report->lease && writes(i).admission == Admission::kDrain;
    if (!waits) violated(i, "another leads on the highest timeline");
  }
}

// After PostgreSQL turned a session away nobody else is sent there for a second, unless the node
// has proven itself since.
void TableRules::check_turned_away(std::size_t i) {
  NodeLedger& n = s_.told[i];
  if (!n.turned_away) return;
  const bool proven = n.answers() && n.sent >= *n.turned_away;
  if (proven || s_.now() - *n.turned_away >= seconds(1)) {
    n.turned_away.reset();
  } else if (writes(i).admission == Admission::kAdmit) {
    violated(i, "it turned a session away a moment ago");
  }
}

// The current primary, whose last answer counts.
void TableRules::check_leader(std::size_t i) {
  const NodeLedger& n = s_.told[i];
  const Verdict& v = writes(i);
  if (!n.report) return;
  const bool silent = n.failures > 0;
  const bool port_dead =
      n.database == DatabaseAnswer::kRefused && n.database_received >= n.failing_since;
  if (silent && n.last == Outcome::kRefused && port_dead && v.admission == Admission::kAdmit) {
    violated(i, "neither its REST API nor PostgreSQL's port answers");
  }
}

// While the REST API is silent, PostgreSQL's port decides: a refusal at once, slowness twice.
void TableRules::check_port(std::size_t i) {
  const NodeLedger& n = s_.told[i];
  if (n.failures == 0 || n.database_received < n.failing_since) return;
  const bool admits = writes(i).admission == Admission::kAdmit;
  if (n.database == DatabaseAnswer::kRefused && admits) violated(i, "its port refuses connections");
  if (n.slow_checks >= 2 && admits) violated(i, "its port does not answer, twice in a row");
}

// Some member has read within two seconds that the node leads, or is called by it in failsafe mode.
bool TableRules::named_by_others(std::size_t i) const {
  for (std::size_t k = 0; k < s_.size(); ++k) {
    const NodeLedger& n = s_.told[k];
    if (k == i) continue;
    if (n.names == i && s_.now() - n.named_at <= seconds(2) + kGrain) return true;
    if (n.answers() && n.report->failsafe) return true;
  }
  return false;
}

// The reason for which an unproven primary stays is one.
void TableRules::check_reason(std::size_t i) {
  const NodeLedger& n = s_.told[i];
  const Reason reason = writes(i).reason;
  const bool witnessed = reason == Reason::kWitnessed || reason == Reason::kTrial;
  if (witnessed && !named_by_others(i)) violated(i, "no member has named it of late");
  if (reason == Reason::kTrial && n.writable_at >= s_.primary_since && n.writable_at != Instant{}) {
    violated(i, "a session has found it writable");
  }
  if (reason == Reason::kUncheckable && n.last != Outcome::kTlsFailed) {
    violated(i, "its TLS has not failed");
  }
  if (reason != Reason::kMaintenance) return;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    const NodeLedger& o = s_.told[k];
    if (k == i || !o.answers() || !ours(k)) continue;
    const Instant since = std::max(o.answering_since, s_.resumed);
    const bool later = o.received > n.received && o.received - since >= seconds(6);
    if (!o.report->pause && later) {
      violated(i, "a member says that the cluster is not paused");
    }
    if (o.report->lease && !o.report->by_role() && o.report->writable() &&
        o.report->timeline > s_.topology.timeline) {
      violated(i, "another shows the lease");
    }
  }
}

// An unproven primary goes when another shows its lease, twice in a row and not below its timeline.
void TableRules::check_elsewhere(std::size_t i) {
  const NodeLedger& n = s_.told[i];
  if (n.failures == 0) return;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    const NodeLedger& o = s_.told[k];
    if (k == i || !o.answers() || !ours(k) || o.leases < 2 || o.report->by_role()) continue;
    const Report& r = *o.report;
    if (!r.in_recovery() && !r.writable()) continue;
    if (r.timeline != 0 && r.timeline < s_.topology.timeline) continue;
    violated(i, "another shows its lease, twice in a row");
  }
}

void TableRules::decided() {
  if (s_.topology.generation == 0 || !s_.topology.first_round_done) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    check_turned_away(i);
    check_node(i);
    check_leader(i);
    if (s_.topology.primary != i) continue;
    check_port(i);
    check_reason(i);
    check_elsewhere(i);
  }
  check_claims();
}

}  // namespace pgsteer
