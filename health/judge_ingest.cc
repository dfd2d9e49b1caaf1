// Evidence into facts: what was learnt of each node, before anything is decided.
#include "health/judge_parts.h"
#include "health/reason.h"

namespace pgsteer {
namespace {

void record_check(NodeState& n, const LeaderEvidence& e) {
  bool passed = e.report.answered();
  n.check_history = (n.check_history << 1) | (passed ? 1U : 0U);
  if (n.checks_kept < 64) ++n.checks_kept;
  ++n.checks_total;
  if (!passed) ++n.checks_failed;
  n.last_check = e.received;
  n.last_check_took = e.received - e.sent;
}

void note_replica(NodeState& n, const Report& r, Instant received) {
  if (r.in_recovery() && !r.lease && r.role == Role::kReplica) {
    n.was_replica = true;
    n.lost = Reason::kNotPrimary;
    n.lost_why.clear();
  }
  // Without a view of the store Patroni cannot tell who is synchronous; the last word stands.
  if (r.sync || !r.cluster_unlocked) n.sync = r.sync;
  bool streaming = !r.tells_replication_state || r.replication_state == "streaming";
  if (streaming || !r.in_recovery()) {
    n.not_streaming_since.reset();
  } else if (!n.not_streaming_since) {
    n.not_streaming_since = received;
  }
}

void take(Judging& j, const LeaderEvidence& e) {
  NodeState& n = j.node(e.node);
  n.rest_in_flight = false;
  bool was_failing = n.failures > 0 || !n.tried;
  n.tried = true;
  record_check(n, e);
  n.attempt = e.report;
  if (!e.report.answered()) {
    if (n.failures++ == 0) {
      n.failing_since = e.sent;
      if (n.database_at < e.sent) n.database = DatabaseAnswer::kUnknown;
    }
    n.loud_failures = e.report.outcome == Outcome::kSilent ? 0 : n.loud_failures + 1;
    n.lease_replies = 0;
    return;
  }
  const Report& r = e.report;
  n.failures = 0;
  n.loud_failures = 0;
  n.odd_replies = r.odd() ? n.odd_replies + 1 : 0;
  n.lease_replies = r.lease ? n.lease_replies + 1 : 0;
  n.report = r;
  n.report_sent = e.sent;
  n.report_received = e.received;
  n.report_round = n.rest_round;
  n.database = DatabaseAnswer::kUnknown;
  n.database_failures = 0;
  n.hot_standby = false;
  if (was_failing) n.answering_since = e.received;
  n.pause_known = r.pause || r.lease || e.received - n.answering_since >= kFirstLoop;
  if (n.pause_known) n.paused = r.pause;
  if (was_failing && n.tls != TlsAnswer::kUnknown &&
      j.now - n.tls_asked > std::chrono::minutes(1)) {
    n.tls_asked_before = false;  // it may have come back with another configuration
  }
  if (r.lease) note_lease(n, e);
  note_replica(n, r, e.received);
}

void take(Judging& j, const ConfigEvidence& e) {
  NodeState& n = j.node(e.node);
  n.rest_in_flight = false;
  if (!e.times) {
    j.s.config_due = j.now + std::chrono::seconds(5);
    return;
  }
  j.s.config_due = j.now + std::chrono::seconds(30);
  if (!j.s.dcs_known || !(j.s.dcs == *e.times)) {
    j.tell(TransitionKind::kCluster, Severity::kInfo,
           "Patroni's configuration: ttl " + seconds_text(e.times->ttl) + ", loop_wait " +
               seconds_text(e.times->loop_wait) + ", retry_timeout " +
               seconds_text(e.times->retry_timeout));
  }
  j.s.dcs = *e.times;
  j.s.dcs_known = true;
}

void take(Judging& j, const ClusterEvidence& e) {
  j.node(e.node).rest_in_flight = false;
  if (!j.s.holder || !e.report) return;  // a witness that fails to answer proves nothing
  Witness& w = j.s.witness;
  if (w.valid && e.sent < w.sent) return;
  w.valid = true;
  w.node = e.node;
  w.sent = e.sent;
  w.leader = e.report->leader ? e.report->leader->name : "";
  w.names_holder =
      e.report->leader && names_node(j.config, j.s, *e.report->leader, j.s.holder->node);
}

void take(Judging& j, const DatabaseEvidence& e) {
  NodeState& n = j.node(e.node);
  n.database_in_flight = false;
  if (n.failures == 0 && !late(n, j.now)) return;  // REST has spoken meanwhile
  n.database_at = e.received;
  n.database_failures = e.answer == DatabaseAnswer::kAnswers ? 0 : n.database_failures + 1;
  // A refusal is definite; being slow once, on a busy machine, is not.
  const bool slow = e.answer == DatabaseAnswer::kHung || e.answer == DatabaseAnswer::kUnreachable;
  if (slow && n.database == DatabaseAnswer::kAnswers && n.database_failures < 2) return;
  n.database = e.answer;
  if (e.answer == DatabaseAnswer::kRefused) n.hot_standby = false;
}

void take(Judging& j, const TlsEvidence& e) {
  NodeState& n = j.node(e.node);
  n.tls_in_flight = false;
  if (e.answer != TlsAnswer::kUnknown) n.tls = e.answer;
}

void take(Judging& j, const AddressEvidence& e) {
  NodeState& n = j.node(e.node);
  n.resolve_failed = e.addresses.empty();
  if (e.addresses.empty() || e.addresses == n.addresses) return;  // an old address beats none
  if (!n.addresses.empty()) {
    j.tell(TransitionKind::kNode, Severity::kInfo,
           j.name(e.node) + " resolves to " + e.addresses.front().text() + " now", e.node);
    n.tls = TlsAnswer::kUnknown;
    n.tls_asked_before = false;
  }
  n.addresses = e.addresses;
}

void take(Judging& j, const SuspicionEvidence& e) {
  const Suspicion& d = e.suspicion;
  NodeState& n = j.node(d.node);
  bool heard = open_doubt(
      j, d.node, "a session found " + j.name(d.node) + " in trouble: " + to_string(d.kind));
  bool away = d.kind == SuspicionKind::kShuttingDown || d.kind == SuspicionKind::kConnectRefused ||
              d.kind == SuspicionKind::kInHotStandby;
  if (away && (heard || n.failures > 0)) n.turned_away = j.now;
  if (d.kind == SuspicionKind::kInHotStandby && n.failures > 0) n.hot_standby = true;
}

NodeRole role_of(const Judging& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (foreign(j.s, n)) return NodeRole::kForeign;
  if (!n.tried) return NodeRole::kUnknown;
  if (n.failures > 0 || !n.report) {
    if (n.report && n.failures < 2) return n.role;  // one failure changes nobody's role
    bool gone =
        n.database == DatabaseAnswer::kRefused || n.database == DatabaseAnswer::kUnreachable;
    return gone ? NodeRole::kDown : NodeRole::kSilent;
  }
  const Report& r = *n.report;
  if (r.leads()) return NodeRole::kPrimary;
  if (r.odd() && n.odd_replies < 3 && n.role != NodeRole::kUnknown) return n.role;
  if (r.lease && (r.role == Role::kStandbyLeader)) return NodeRole::kStandbyLeader;
  if (r.lease && r.in_recovery()) return NodeRole::kPromoting;
  if (r.writable()) return NodeRole::kPrimary;
  if (r.role == Role::kStandbyLeader && r.in_recovery()) return NodeRole::kStandbyLeader;
  if (r.in_recovery()) return n.sync ? NodeRole::kSyncReplica : NodeRole::kReplica;
  if (r.odd()) return NodeRole::kUnknown;
  return NodeRole::kStopped;
}

}  // namespace

void ingest(Judging& j, const Evidence& evidence) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, SuspicionEvidence>) {
          if (e.suspicion.node < j.s.nodes.size()) take(j, e);
        } else {
          if (e.node < j.s.nodes.size()) take(j, e);
        }
      },
      evidence);
}

void describe_nodes(Judging& j) {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    NodeState& n = j.node(i);
    NodeRole role = role_of(j, i);
    if (role == n.role) continue;
    bool bad = role == NodeRole::kDown || role == NodeRole::kSilent || role == NodeRole::kForeign;
    std::string detail = n.attempt.answered() ? n.attempt.state_word : n.attempt.detail;
    j.tell(TransitionKind::kNode, bad ? Severity::kWarn : Severity::kInfo,
           j.name(i) + " is " + to_string(role) + ", was " + to_string(n.role) +
               (detail.empty() ? "" : " (" + detail + ")"),
           i);
    n.role = role;
    n.role_since = j.now;
    // News is a reason to look closely again, even if nothing was found for a long time.
    if (j.s.hunting) j.s.hunting_since = j.now;
  }
}

// A window of doubt lasts a second. Doubts that come to nothing open the next one later and later,
// so that a client that cannot be served does not keep every node's REST API busy.
bool open_doubt(Judging& j, std::size_t node, const std::string& text) {
  JudgeState& s = j.s;
  if (j.now - s.doubt_until > std::chrono::minutes(1)) s.futile_doubts = 0;
  auto pause = std::min(std::chrono::seconds(10), std::chrono::seconds(s.futile_doubts));
  if (s.doubt_until > j.now || (s.futile_doubts > 0 && j.now - s.doubt_until < pause)) {
    return false;
  }
  s.doubt_until = j.now + std::chrono::seconds(1);
  s.doubt_window = j.now;
  if (s.futile_doubts < 10) ++s.futile_doubts;
  j.tell(TransitionKind::kSuspicion, Severity::kInfo, text, node);
  return true;
}

bool foreign(const JudgeState& s, const NodeState& n) {
  return n.report && !s.system_identifier.empty() && !n.report->system_identifier.empty() &&
         n.report->system_identifier != s.system_identifier;
}

bool fresh(const NodeState& n) { return n.report && n.failures == 0; }

bool claims(const JudgeState& s, const NodeState& n) {
  return fresh(n) && n.report->leads() && !foreign(s, n);
}

bool turned_away(const NodeState& n, Instant now) {
  return n.turned_away && now - *n.turned_away < kTurnedAway;
}

bool late(const NodeState& n, Instant now) {
  return n.rest_in_flight && n.rest_kind == ProbeKind::kLeader && now - n.rest_since >= kLate;
}

}  // namespace pgsteer
