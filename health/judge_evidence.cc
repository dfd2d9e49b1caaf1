// Evidence into facts: what was learnt of each node, before anything is decided.
#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "health/judge_context.h"
#include "health/reason.h"

namespace pgsteer {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

void note_check(CheckHistory& checks, const LeaderEvidence& e) {
  const bool passed = e.report.answered();
  checks.passed = (checks.passed << 1) | (passed ? 1U : 0U);
  if (checks.kept < 64) ++checks.kept;
  ++checks.total;
  if (!passed) ++checks.failed;
  checks.last = e.received;
  checks.last_took = e.received - e.sent;
}

void note_replica(NodeState& n, const Report& r, Instant received) {
  if (r.in_recovery() && !r.lease && r.role == Role::kReplica) {
    n.replica.seen = true;
    n.primary.lost = Reason::kNotPrimary;
    n.primary.lost_why.clear();
  }
  // Without a view of the store Patroni cannot tell who is synchronous; its last answer stands.
  if (r.sync || r.quorum || !r.cluster_unlocked) {
    n.replica.sync = r.sync;
    n.replica.quorum = r.quorum;
  }
  // A replica may live from the archive alone (nostream); Patroni's /replica takes it, too.
  const bool replicates = !r.tells_replication_state || !r.replication_state.empty();
  if (replicates || !r.in_recovery()) {
    n.replica.not_streaming_since.reset();
  } else if (!n.replica.not_streaming_since) {
    n.replica.not_streaming_since = received;
  }
}

// Nothing was asked, so nothing is known: neither for the node nor against it. Time goes on all the
// same: without an answer the primary's proof grows old.
void note_local_fault(JudgeContext& j, std::size_t node, const std::string& error) {
  j.s.local_fault = j.name(node) + " cannot be checked: pgsteer: " + error;
}

void note_failure(NodeState& n, const LeaderEvidence& e) {
  if (n.rest.failures++ == 0) {
    n.rest.failing_since = e.sent;
    if (n.database.answered_at < e.sent) n.database.answer = DatabaseAnswer::kUnknown;
  }
  // Dropped packets, a full backlog, failing TLS and what pgsteer itself lacks say nothing about
  // Patroni either.
  const Outcome outcome = e.report.outcome;
  const bool silence = outcome == Outcome::kSilent || outcome == Outcome::kUnreachable ||
                       outcome == Outcome::kTlsFailed || outcome == Outcome::kLocalFault;
  n.rest.definite_failures = silence ? 0 : n.rest.definite_failures + 1;
  n.lease.replies = 0;
}

void note_reads(NodeState& n, const LeaderEvidence& e) {
  StoreReads& reads = n.reads;
  const Instant before = std::exchange(reads.sent, e.sent);
  const bool had = std::exchange(reads.known, e.report.dcs_last_seen.has_value());
  if (!reads.known) return reads.after.reset();
  const std::int64_t value = *e.report.dcs_last_seen;
  if (had && value == reads.value) return;
  reads.value = value;
  reads.before = e.received;
  reads.after = had ? std::optional(before) : std::nullopt;
}

void note_timeline(RestState& rest, const LeaderEvidence& e) {
  const Report& r = e.report;
  const bool same = rest.report && rest.report->scope == r.scope &&
                    rest.report->system_identifier == r.system_identifier;
  if (r.timeline == 0 && same) return;
  rest.timeline = r.timeline;
  rest.timeline_received = e.received;
}

void note_answer(NodeState& n, const LeaderEvidence& e) {
  const Report& r = e.report;
  n.rest.failures = 0;
  n.rest.definite_failures = 0;
  n.rest.incomplete_replies = r.incomplete() ? n.rest.incomplete_replies + 1 : 0;
  note_timeline(n.rest, e);
  n.rest.report = r;
  n.rest.report_sent = e.sent;
  n.rest.report_received = e.received;
  n.rest.report_round = n.rest.round;
  n.lease.replies = r.lease && !r.by_role() ? n.lease.replies + 1 : 0;
  if (n.lease.replies == 1) n.lease.since = e.received;
  note_reads(n, e);
  if (r.incomplete()) return;  // PostgreSQL has not been heard of
  n.database.answer = DatabaseAnswer::kUnknown;
  n.database.failures = 0;
  n.database.in_recovery = false;
}

void apply(JudgeContext& j, const LeaderEvidence& e) {
  NodeState& n = j.node(e.node);
  const Report& r = e.report;
  const bool was_failing = n.rest.failures > 0 || !n.rest.tried;
  n.rest.in_flight = false;
  j.s.local_fault.clear();
  if (r.outcome == Outcome::kLocalFault) note_local_fault(j, e.node, r.detail);
  n.rest.tried = true;
  n.rest.attempt = r;
  note_check(n.checks, e);
  if (!r.answered()) return note_failure(n, e);
  note_answer(n, e);
  if (was_failing) n.rest.answering_since = e.received;
  n.pause.known = r.pause || r.lease || e.received - n.rest.answering_since >= kFirstLoop;
  if (n.pause.known) n.pause.paused = r.pause;
  if (was_failing && n.tls.answer != TlsAnswer::kUnknown && j.now - n.tls.asked_at > minutes(1)) {
    n.tls.asked = false;  // it may have come back with another configuration
  }
  if (r.by_role()) {
    n.lease.role_claimed = e.sent;
  } else if (r.lease) {
    note_lease(j, n, e);
  } else {
    n.lease.denied = e.sent;
  }
  note_replica(n, r, e.received);
}

void apply(JudgeContext& j, const ConfigEvidence& e) {
  PatroniSettings& settings = j.s.settings;
  j.node(e.node).rest.in_flight = false;
  if (!e.times) {
    settings.due = j.now + seconds(5);
    return;
  }
  settings.due = j.now + seconds(30);
  if (!settings.known || !(settings.times == *e.times)) {
    j.announce(TransitionKind::kCluster, Severity::kInfo,
               "Patroni's configuration: ttl " + seconds_text(e.times->ttl) + ", loop_wait " +
                   seconds_text(e.times->loop_wait) + ", retry_timeout " +
                   seconds_text(e.times->retry_timeout));
  }
  if (settings.known && !(settings.times == *e.times)) {
    settings.before = settings.times;
    settings.changed = e.received;
  }
  settings.times = *e.times;
  settings.known = true;
}

void apply(JudgeContext& j, const ClusterEvidence& e) { note_cluster(j, e); }

void apply(JudgeContext& j, const DatabaseEvidence& e) {
  NodeState& n = j.node(e.node);
  DatabaseState& d = n.database;
  d.in_flight = false;
  if (!e.local_fault.empty()) return note_local_fault(j, e.node, e.local_fault);
  if (!needs_port_check(n, j.now)) return;  // Patroni has told meanwhile
  d.answered_at = e.received;
  d.failures = e.answer == DatabaseAnswer::kAnswers ? 0 : d.failures + 1;
  // A refusal is definite; one slow answer, on a busy machine, is not.
  const bool slow = e.answer == DatabaseAnswer::kHung || e.answer == DatabaseAnswer::kUnreachable;
  if (slow && d.answer == DatabaseAnswer::kAnswers && d.failures < 2) return;
  d.answer = e.answer;
  if (e.answer == DatabaseAnswer::kRefused) d.in_recovery = false;
}

void apply(JudgeContext& j, const TlsEvidence& e) {
  TlsState& tls = j.node(e.node).tls;
  tls.in_flight = false;
  if (e.answer != TlsAnswer::kUnknown) tls.answer = e.answer;
}

void apply(JudgeContext& j, const AddressEvidence& e) {
  NodeState& n = j.node(e.node);
  n.resolve_failed = e.addresses.empty();
  // An old address is better than none.
  if (e.addresses.empty() || e.addresses == n.addresses) return;
  if (!n.addresses.empty()) {
    j.announce(TransitionKind::kNode, Severity::kInfo,
               j.name(e.node) + " resolves to " + e.addresses.front().text() + " now", e.node);
    n.tls.answer = TlsAnswer::kUnknown;
    n.tls.asked = false;
  }
  n.addresses = e.addresses;
}

// After a suspicion pgsteer checks fast for a second. Each suspicion that comes to nothing makes it
// ignore the next ones for longer, so that a client that cannot be served does not keep every
// node's REST API busy. Returns false if the suspicion was ignored.
bool suspect(JudgeContext& j, std::size_t node, const std::string& text) {
  SuspicionState& s = j.s.suspicion;
  if (j.now - s.until > minutes(1)) s.futile = 0;
  const auto pause = std::min(seconds(10), seconds(s.futile));
  if (s.until > j.now || (s.futile > 0 && j.now - s.until < pause)) return false;
  s.until = j.now + seconds(1);
  if (s.futile < 10) ++s.futile;
  j.announce(TransitionKind::kSuspicion, Severity::kInfo, text, node);
  return true;
}

void apply(JudgeContext& j, const SuspicionEvidence& e) {
  const auto [node, kind] = e.suspicion;
  NodeState& n = j.node(node);
  const bool taken =
      suspect(j, node, "a session found " + j.name(node) + " in trouble: " + to_string(kind));
  const bool away = kind == SuspicionKind::kShuttingDown ||
                    kind == SuspicionKind::kConnectRefused || kind == SuspicionKind::kInHotStandby;
  if (away && (taken || n.rest.failures > 0)) n.database.turned_away = j.now;
  const bool unheard = n.rest.failures > 0 || n.rest.incomplete_replies > 0;
  if (kind == SuspicionKind::kInHotStandby && unheard) n.database.in_recovery = true;
}

void apply(JudgeContext& j, const WritableEvidence& e) {
  DatabaseState& d = j.node(e.node).database;
  d.writable_at = j.now;
  d.in_recovery = false;
}

NodeRole role_without_answer(const NodeState& n) {
  if (n.rest.report && n.rest.failures < 2) return n.role;  // one failure changes nobody's role
  const bool gone = n.database.answer == DatabaseAnswer::kRefused ||
                    n.database.answer == DatabaseAnswer::kUnreachable;
  return gone ? NodeRole::kDown : NodeRole::kSilent;
}

NodeRole role_of(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (shows_another_cluster(j.s, n)) return NodeRole::kForeign;
  if (!n.rest.tried) return NodeRole::kUnknown;
  if (!is_fresh(n)) return role_without_answer(n);
  if (is_unproven(n)) return NodeRole::kUnknown;
  const Report& r = *n.rest.report;
  if (r.leads()) return NodeRole::kPrimary;
  if (r.incomplete() && n.rest.incomplete_replies < 3 && n.role != NodeRole::kUnknown) {
    return n.role;
  }
  if (r.lease && r.role == Role::kStandbyLeader) return NodeRole::kStandbyLeader;
  if (r.lease && r.in_recovery()) return NodeRole::kPromoting;
  if (r.writable()) return NodeRole::kPrimary;
  if (r.role == Role::kStandbyLeader && r.in_recovery()) return NodeRole::kStandbyLeader;
  if (r.in_recovery()) {
    if (n.replica.sync) return NodeRole::kSyncReplica;
    return n.replica.quorum ? NodeRole::kQuorumReplica : NodeRole::kReplica;
  }
  if (r.incomplete()) return NodeRole::kUnknown;
  return NodeRole::kStopped;
}

}  // namespace

void apply(JudgeContext& j, const Evidence& evidence) {
  std::visit(
      [&](const auto& e) {
        if constexpr (std::is_same_v<std::decay_t<decltype(e)>, SuspicionEvidence>) {
          if (e.suspicion.node < j.s.nodes.size()) apply(j, e);
        } else {
          if (e.node < j.s.nodes.size()) apply(j, e);
        }
      },
      evidence);
}

void update_roles(JudgeContext& j) {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    NodeState& n = j.node(i);
    const NodeRole role = role_of(j, i);
    if (role == n.role) continue;
    const bool bad =
        role == NodeRole::kDown || role == NodeRole::kSilent || role == NodeRole::kForeign;
    const Report& last = n.rest.attempt;
    const std::string& detail = last.answered() ? last.state_word : last.detail;
    j.announce(TransitionKind::kNode, bad ? Severity::kWarn : Severity::kInfo,
               j.name(i) + " is " + to_string(role) + ", was " + to_string(n.role) +
                   (detail.empty() ? "" : " (" + detail + ")"),
               i);
    n.role = role;
    n.role_since = j.now;
    // A change is a reason to check fast again, even if nothing was found for a long time.
    if (j.s.rounds.hunting) j.s.rounds.hunting_since = j.now;
  }
}

}  // namespace pgsteer
