// Which nodes take reads. A role change cuts, everything else drains: a replica that lags, or whose
// Patroni is silent, gets no new sessions and keeps the ones it has.
#include <algorithm>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

// Failures in a row, and for how long, before silence drains a replica.
constexpr unsigned kFall = 3;
constexpr std::chrono::milliseconds kFallTime{2'000};
// After a new primary appears its replicas have to reconnect. A replica counts as not streaming
// only after this.
constexpr seconds kReconnect{10};
// How long a node that shows no sign of life keeps its sessions.
constexpr seconds kUnreachable{10};

// One listener during one call of judge().
struct Listener {
  JudgeContext& j;
  std::size_t index;
  const ListenConfig& config() const { return j.config.listen[index]; }
};

Verdict admit(const std::string& why) { return {Admission::kAdmit, Reason::kReplica, why}; }
Verdict drain(Reason reason, const std::string& why) { return {Admission::kDrain, reason, why}; }
Verdict cut(Reason reason, const std::string& why) { return {Admission::kCut, reason, why}; }

// The verdict that was published last, or null.
const Verdict* last_verdict(const Listener& l, std::size_t i) {
  const auto& pools = l.j.s.published.pools;
  if (l.index >= pools.size() || i >= pools[l.index].by_node.size()) return nullptr;
  return &pools[l.index].by_node[i];
}

bool admitted_before(const Listener& l, std::size_t i) {
  const Verdict* last = last_verdict(l, i);
  return last && last->admission == Admission::kAdmit;
}

// Patroni on the node does not answer. May its sessions go on?
Verdict silent_verdict(const Listener& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  if (!n.rest.tried) return drain(Reason::kUnknown, "has not been checked yet");
  const DatabaseState& d = n.database;
  const auto failing = l.j.now - n.rest.failing_since;
  const std::string why = "Patroni does not answer (" + n.rest.attempt.detail + ")";
  if (d.answer == DatabaseAnswer::kRefused) {
    const std::string both = why + ", and PostgreSQL's port refuses connections";
    const bool refused = n.rest.attempt.outcome == Outcome::kRefused;
    return refused ? cut(Reason::kDown, both) : drain(Reason::kDown, both);
  }
  if (d.answer == DatabaseAnswer::kUnreachable && d.failures >= 2) {
    const std::string both = why + ", and PostgreSQL's port cannot be reached";
    // After a stall nobody has looked for a while.
    const bool gone = failing >= kUnreachable && l.j.now >= l.j.s.grace_until;
    return gone ? cut(Reason::kDown, both) : drain(Reason::kDown, both);
  }
  if (d.answer == DatabaseAnswer::kHung) {
    return drain(Reason::kSilent, why + ", and PostgreSQL accepts connections but does not answer");
  }
  const bool fallen = n.rest.failures >= kFall && failing >= kFallTime;
  if (!fallen && admitted_before(l, i)) return *last_verdict(l, i);
  if (!n.rest.report) {
    return drain(Reason::kUnknown, "has not answered yet: " + n.rest.attempt.detail);
  }
  const bool answers = d.answer == DatabaseAnswer::kAnswers;
  return drain(Reason::kSilent, answers ? why + "; PostgreSQL answers" : why);
}

bool tags_match(const ListenConfig& listen, const Report& r) {
  return std::all_of(listen.tags.begin(), listen.tags.end(), [&](const auto& wanted) {
    const auto it = r.tags.find(wanted.first);
    return it != r.tags.end() && it->second == wanted.second;
  });
}

// A replica lags once it was above the limit in two rounds in a row, until it is below three
// quarters of the limit. The first figure of a replica decides at once.
bool is_lagging(const Listener& l, std::size_t i, std::uint64_t limit) {
  const ReplicaState& r = l.j.s.nodes[i].replica;
  PoolMemory& m = l.j.s.memory[l.index][i];
  if (!r.lag || m.counted_round == r.lag_round) return m.lagging;
  const bool first = m.counted_round == 0;
  m.counted_round = r.lag_round;
  if (*r.lag > limit) {
    ++m.over_limit;
    if (first || m.over_limit >= 2) m.lagging = true;
  } else {
    m.over_limit = 0;
    if (*r.lag <= limit / 4 * 3 || limit < 4) m.lagging = false;
  }
  return m.lagging;
}

// There is a primary to stream from, and the replicas have had the time to find it.
bool could_stream(const JudgeContext& j) {
  return j.s.primary && j.s.primary->proven && j.now - j.s.primary->since >= kReconnect;
}

// The limit on lag, if the listener has one; or nothing that speaks against the replica.
std::optional<Verdict> lag_verdict(const Listener& l, std::size_t i, const std::string& lag) {
  const auto& limit = l.config().max_lag;
  if (!limit) return std::nullopt;
  if (is_lagging(l, i, *limit)) {
    return drain(Reason::kLagging, lag + ", limit " + bytes_text(*limit));
  }
  const JudgeState& s = l.j.s;
  const bool measurable =
      s.primary && s.primary->proven && s.nodes[s.primary->node].rest.report_round > 0;
  if (!s.nodes[i].replica.lag && measurable && !admitted_before(l, i)) {
    return drain(Reason::kUnknown, "its lag has not been measured yet");
  }
  return std::nullopt;
}

// A running replica in recovery, without the lease: is it good enough for this listener?
Verdict replica_verdict(const Listener& l, std::size_t i) {
  const ReplicaState& n = l.j.s.nodes[i].replica;
  const Report& r = *l.j.s.nodes[i].rest.report;
  const ListenConfig& listen = l.config();
  if (r.noloadbalance) return drain(Reason::kNoLoadBalance, "is tagged noloadbalance");
  if (!tags_match(listen, r)) {
    return drain(Reason::kTagMismatch, "lacks the tags that this listener requires");
  }
  if (listen.to == Target::kSync && !n.sync) {
    return drain(Reason::kNotSync, "is not a synchronous standby");
  }
  if (listen.to == Target::kQuorum && !n.quorum) {
    return drain(Reason::kNotQuorum, "is not a quorum standby");
  }
  if (listen.to == Target::kAsync && (n.sync || n.quorum)) {
    return drain(Reason::kNotAsync,
                 std::string("is a ") + (n.sync ? "synchronous" : "quorum") + " standby");
  }
  const auto& primary = l.j.s.primary;
  if (primary && primary->proven && primary->timeline != 0 && r.timeline > primary->timeline) {
    return drain(Reason::kNotStreaming,
                 "is on timeline " + std::to_string(r.timeline) + ", which is not the primary's");
  }
  if (n.not_streaming_since && could_stream(l.j)) {
    const auto since = l.j.now - *n.not_streaming_since;
    if (!admitted_before(l, i) || since >= kReconnect) {
      return drain(Reason::kNotStreaming, r.replication_state.empty()
                                              ? "is not connected to the primary"
                                              : "is " + r.replication_state);
    }
  }
  const std::string lag =
      n.lag ? "replays " + bytes_text(*n.lag) + " behind" : "its lag is unknown";
  if (auto verdict = lag_verdict(l, i, lag)) return *verdict;
  return admit(lag);
}

// The primary on a listener for replicas, before `fallback` is considered.
Verdict primary_for_reads(const Listener& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  const CurrentPrimary& p = *l.j.s.primary;
  if (p.verdict.admission != Admission::kAdmit || l.config().to == Target::kAny) return p.verdict;
  if (!n.replica.seen) return drain(Reason::kIsPrimary, "is the primary; not used for reads");
  const auto since =
      n.primary.since ? l.j.now - *n.primary.since : std::chrono::steady_clock::duration{};
  const std::string why = "has been the primary for " + seconds_text(since) + "; ";
  const auto limit = l.config().drain_timeout;
  if (since < limit) {
    return drain(Reason::kPromoted, why + "not used for new reads, older ones may go on for " +
                                        seconds_text(limit - since));
  }
  return cut(Reason::kIsPrimary, why + "not used for reads");
}

// A node that answers and is not the current primary.
Verdict answering_verdict(const Listener& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  const Report& r = *n.rest.report;
  if (r.incomplete()) {
    const Verdict* last = last_verdict(l, i);
    if (n.rest.incomplete_replies < 2 && last) return *last;
    return drain(Reason::kDegraded, "Patroni's query of PostgreSQL fails");
  }
  if (r.writable()) {
    if (n.primary.lost != Reason::kNotPrimary) return cut(n.primary.lost, n.primary.lost_why);
    return drain(Reason::kNotPrimary, "takes writes without being the primary");
  }
  const bool standby_leader = r.role == Role::kStandbyLeader && r.in_recovery();
  if (standby_leader && l.config().to == Target::kAny) return admit("leads a standby cluster");
  if (standby_leader) return drain(Reason::kStandbyLeader, "leads a standby cluster");
  if (r.lease && r.in_recovery()) return drain(Reason::kPromoting, "is being promoted");
  if (r.in_recovery() && r.state == State::kRunning) return replica_verdict(l, i);
  return drain(Reason::kNotRunning,
               "PostgreSQL is " + (r.state_word.empty() ? "unknown" : r.state_word));
}

Verdict read_verdict(const Listener& l, std::size_t i) {
  const JudgeState& s = l.j.s;
  const NodeState& n = s.nodes[i];
  if (!s.first_round_done) return drain(Reason::kUnknown, "not all nodes have been checked yet");
  if (is_foreign(s, n)) return verdict_on_stranger(s, n);
  if (n.addresses.empty() && n.resolve_failed) {
    return drain(Reason::kUnresolved, "its name does not resolve");
  }
  if (l.j.is_primary(i)) return primary_for_reads(l, i);
  if (is_fresh(n)) return answering_verdict(l, i);
  // A former primary: it may show data that is on no other node.
  const Reason lost = n.primary.lost;
  if (lost == Reason::kFenced || lost == Reason::kSuperseded) return cut(lost, n.primary.lost_why);
  return silent_verdict(l, i);
}

// A node that has been taken out of the configuration: what it has may end by itself.
Verdict let_leave(const Listener& l, std::size_t i, Verdict verdict) {
  const auto& since = l.j.s.nodes[i].leaving_since;
  if (!since || verdict.admission == Admission::kCut) return verdict;
  if (l.j.now - *since >= l.config().drain_timeout) {
    return cut(Reason::kRemoved, "was removed from the configuration; drain_timeout is over");
  }
  return drain(Reason::kRemoved, "was removed from the configuration");
}

// With no replica left, reads may go to the primary, and they leave it once a replica is back.
void apply_fallback(const Listener& l, Pool& pool) {
  if (!l.config().fallback_to_primary || l.config().to == Target::kAny) return;
  if (!l.j.s.first_round_done) return;
  const bool any = std::any_of(pool.by_node.begin(), pool.by_node.end(),
                               [](const Verdict& v) { return v.admission == Admission::kAdmit; });
  const JudgeState& s = l.j.s;
  for (std::size_t i = 0; i < pool.by_node.size(); ++i) {
    const bool primary = l.j.is_primary(i) && s.primary->verdict.admission == Admission::kAdmit;
    const bool standby = leads_standbys(s, s.nodes[i]) && s.nodes[i].rest.report->in_recovery();
    if (!primary && !standby) continue;
    const Verdict verdict =
        any ? drain(Reason::kStandIn, "is the primary; a replica takes the reads")
            : Verdict{Admission::kAdmit, Reason::kFallback,
                      "is the primary; takes reads because no replica can"};
    pool.by_node[i] = let_leave(l, i, verdict);
  }
}

}  // namespace

// Compared with the leader's position of the same round. The leader of a standby cluster is itself
// a replica.
void measure_lag(JudgeContext& j) {
  const JudgeState& s = j.s;
  std::optional<std::size_t> leader;
  if (s.primary && s.primary->proven) leader = s.primary->node;
  for (std::size_t i = 0; !leader && i < s.nodes.size(); ++i) {
    if (leads_standbys(s, s.nodes[i])) leader = i;
  }
  if (!leader) return;
  const RestState& l = s.nodes[*leader].rest;
  const auto position = l.report->location ? l.report->location : l.report->replayed;
  j.node(*leader).replica.lag.reset();
  if (!position) return;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    NodeState& n = j.node(i);
    if (i == *leader || !is_fresh(n) || is_foreign(s, n) || !n.rest.report->replayed) continue;
    const std::uint64_t round = n.rest.report_round;
    if (round != l.report_round || n.replica.lag_round == round) continue;
    const std::uint64_t replayed = *n.rest.report->replayed;
    n.replica.lag = *position > replayed ? *position - replayed : 0;
    n.replica.lag_round = round;
  }
}

Pool judge_pool(JudgeContext& j, std::size_t listener) {
  const Listener l{j, listener};
  Pool pool{l.config().to, {}};
  const bool writes = l.config().to == Target::kPrimary;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    pool.by_node.push_back(let_leave(l, i, writes ? primary_verdict(j, i) : read_verdict(l, i)));
  }
  if (!writes) apply_fallback(l, pool);
  return pool;
}

}  // namespace pgsteer
