// Who may be read from. A role change cuts, everything else drains: a replica that lags, or whose
// Patroni is silent, gets no new sessions and keeps the ones it has.
#include <algorithm>

#include "health/judge_parts.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

// Failures in a row, and for how long, before silence drains a replica.
constexpr unsigned kFall = 3;
constexpr std::chrono::milliseconds kFallTime{2'000};
// A replica that has just been told of a new primary reconnects; only then it counts as not
// streaming.
constexpr seconds kReconnect{10};
// How long a node without any sign of life is left its sessions.
constexpr seconds kLifeless{10};

struct Listening {
  Judging& j;
  std::size_t listener;
  const ListenConfig& listen() const { return j.config.listen[listener]; }
};

Verdict admit(const std::string& why) { return {Admission::kAdmit, Reason::kReplica, why}; }
Verdict drain(Reason reason, const std::string& why) { return {Admission::kDrain, reason, why}; }
Verdict cut(Reason reason, const std::string& why) { return {Admission::kCut, reason, why}; }

const Verdict* before(const Listening& l, std::size_t i) {
  const auto& pools = l.j.s.published.pools;
  if (l.listener >= pools.size() || i >= pools[l.listener].by_node.size()) return nullptr;
  return &pools[l.listener].by_node[i];
}

bool admitted_before(const Listening& l, std::size_t i) {
  const Verdict* v = before(l, i);
  return v && v->admission == Admission::kAdmit;
}

// Patroni on the node does not answer. Which of its sessions can go on?
Verdict silent(const Listening& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  auto failing = l.j.now - n.failing_since;
  std::string why = "Patroni does not answer (" + n.attempt.detail + ")";
  bool refused = n.attempt.outcome == Outcome::kRefused;
  if (refused && n.database == DatabaseAnswer::kRefused) {
    return cut(Reason::kDown, why + ", and PostgreSQL's port refuses");
  }
  if (n.database == DatabaseAnswer::kRefused) {
    return drain(Reason::kDown, why + ", and PostgreSQL's port refuses");
  }
  if (n.database == DatabaseAnswer::kUnreachable && n.database_failures >= 2) {
    why += ", and PostgreSQL's port cannot be reached";
    return failing >= kLifeless ? cut(Reason::kDown, why) : drain(Reason::kDown, why);
  }
  if (n.database == DatabaseAnswer::kHung) {
    return drain(Reason::kSilent, why + ", and PostgreSQL accepts and stays silent");
  }
  bool fallen = n.failures >= kFall && failing >= kFallTime;
  const Verdict* last = before(l, i);
  if (!fallen && last && last->admission == Admission::kAdmit) return *last;
  if (!n.report) return drain(Reason::kUnknown, "has not answered yet: " + n.attempt.detail);
  if (n.database == DatabaseAnswer::kAnswers) why += "; PostgreSQL answers";
  return drain(Reason::kSilent, why);
}

bool tags_match(const ListenConfig& listen, const Report& r) {
  return std::all_of(listen.tags.begin(), listen.tags.end(), [&](const auto& wanted) {
    auto it = r.tags.find(wanted.first);
    return it != r.tags.end() && it->second == wanted.second;
  });
}

// Above the limit in two rounds in a row ends admission, below three quarters of it begins it
// again. A replica that has not been judged before is taken at its word.
bool lags(const Listening& l, std::size_t i, std::uint64_t limit) {
  const NodeState& n = l.j.s.nodes[i];
  PoolMemory& m = l.j.s.memory[l.listener][i];
  if (!n.lag || m.counted_round == n.lag_round) return m.lagging;
  bool first = m.counted_round == 0;
  m.counted_round = n.lag_round;
  if (*n.lag > limit) {
    ++m.over_limit;
    if (first || m.over_limit >= 2) m.lagging = true;
  } else {
    m.over_limit = 0;
    if (*n.lag <= limit / 4 * 3 || limit < 4) m.lagging = false;
  }
  return m.lagging;
}

// There is a primary to stream from, and was one long enough to have been found.
bool could_stream(const Judging& j) {
  return j.s.holder && j.s.holder->proven && j.now - j.s.holder->since >= kReconnect;
}

// A running replica in recovery, without the lease: is it good enough for this listener?
Verdict replica(const Listening& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  const Report& r = *n.report;
  const ListenConfig& listen = l.listen();
  if (r.noloadbalance) return drain(Reason::kNoLoadBalance, "is tagged noloadbalance");
  if (!tags_match(listen, r)) return drain(Reason::kTagMismatch, "has not the tags asked for");
  if (listen.to == Target::kSync && !n.sync)
    return drain(Reason::kNotSync, "is not a synchronous standby");
  if (listen.to == Target::kAsync && n.sync)
    return drain(Reason::kNotAsync, "is a synchronous standby");
  if (n.not_streaming_since && could_stream(l.j)) {
    auto since = l.j.now - *n.not_streaming_since;
    if (!admitted_before(l, i) || since >= kReconnect) {
      return drain(Reason::kNotStreaming, r.replication_state.empty()
                                              ? "is not connected to the primary"
                                              : "is " + r.replication_state);
    }
  }
  std::string lag = n.lag ? "replays " + bytes_text(*n.lag) + " behind" : "lag not known";
  if (listen.max_lag) {
    if (lags(l, i, *listen.max_lag)) {
      return drain(Reason::kLagging, lag + ", limit " + bytes_text(*listen.max_lag));
    }
    bool measurable =
        l.j.s.holder && l.j.s.holder->proven && l.j.s.nodes[l.j.s.holder->node].report_round > 0;
    if (!n.lag && measurable && !admitted_before(l, i)) {
      return drain(Reason::kUnknown, "its lag has not been measured yet");
    }
  }
  return admit(lag);
}

// The primary on a listener for replicas, before fallback is considered.
Verdict primary_for_reads(const Listening& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  const CurrentPrimary& h = *l.j.s.holder;
  if (h.verdict.admission != Admission::kAdmit || l.listen().to == Target::kAny) return h.verdict;
  if (!n.was_replica) return drain(Reason::kIsPrimary, "is the primary");
  auto stayed =
      n.primary_since ? l.j.now - *n.primary_since : std::chrono::steady_clock::duration{};
  auto limit = l.listen().drain_timeout;
  if (stayed < limit) {
    return drain(Reason::kPromoted,
                 "was promoted; its reads may stay for " + seconds_text(limit - stayed));
  }
  return cut(Reason::kIsPrimary, "is the primary since " + seconds_text(stayed));
}

// An answering node that is not the holder.
Verdict answering(const Listening& l, std::size_t i) {
  const NodeState& n = l.j.s.nodes[i];
  const Report& r = *n.report;
  if (r.odd()) {
    const Verdict* last = before(l, i);
    if (n.odd_replies < 2 && last) return *last;
    return drain(Reason::kDegraded, "Patroni's query of PostgreSQL fails");
  }
  if (r.writable()) {
    if (n.lost != Reason::kNotPrimary) return cut(n.lost, n.lost_why);
    return drain(Reason::kNotPrimary, "takes writes without being the primary");
  }
  bool standby_leader = r.role == Role::kStandbyLeader && r.in_recovery();
  if (standby_leader && l.listen().to == Target::kAny) return admit("leads a standby cluster");
  if (standby_leader) return drain(Reason::kStandbyLeader, "leads a standby cluster");
  if (r.lease && r.in_recovery()) return drain(Reason::kPromoting, "is being promoted");
  if (r.in_recovery() && r.state == State::kRunning) return replica(l, i);
  return drain(Reason::kNotRunning,
               "PostgreSQL is " + (r.state_word.empty() ? "unknown" : r.state_word));
}

Verdict weigh(const Listening& l, std::size_t i) {
  const JudgeState& s = l.j.s;
  const NodeState& n = s.nodes[i];
  if (!s.first_round_done) return drain(Reason::kUnknown, "not all nodes have been checked yet");
  if (foreign(s, n)) return cut(Reason::kForeign, "belongs to another cluster");
  if (n.addresses.empty() && n.resolve_failed)
    return drain(Reason::kUnresolved, "its name does not resolve");
  if (s.holder && s.holder->node == i) return primary_for_reads(l, i);
  if (!fresh(n)) {
    // A former primary whose reads may be of a history that nobody shares any more.
    if (n.lost == Reason::kFenced || n.lost == Reason::kSuperseded) return cut(n.lost, n.lost_why);
    return silent(l, i);
  }
  return answering(l, i);
}

bool leader_of_standbys(const JudgeState& s, std::size_t i) {
  const NodeState& n = s.nodes[i];
  return fresh(n) && n.report->lease && n.report->role == Role::kStandbyLeader && !foreign(s, n);
}

// With no replica left, reads may go to the primary; and away from it again once one is back.
void fall_back(const Listening& l, Pool& pool) {
  if (!l.listen().fallback_to_primary || l.listen().to == Target::kAny) return;
  bool any = std::any_of(pool.by_node.begin(), pool.by_node.end(),
                         [](const Verdict& v) { return v.admission == Admission::kAdmit; });
  const JudgeState& s = l.j.s;
  for (std::size_t i = 0; i < pool.by_node.size(); ++i) {
    bool primary =
        s.holder && s.holder->node == i && s.holder->verdict.admission == Admission::kAdmit;
    if (!primary && !leader_of_standbys(s, i)) continue;
    pool.by_node[i] = any ? drain(Reason::kStandIn, "is the primary, and a replica serves")
                          : Verdict{Admission::kAdmit, Reason::kFallback,
                                    "is the primary, and no replica can serve"};
  }
}

}  // namespace

// Against the leader's position of the same round; the leader of a standby cluster is itself a
// replica.
void measure_lag(Judging& j) {
  const JudgeState& s = j.s;
  std::optional<std::size_t> leader;
  if (s.holder && s.holder->proven) leader = s.holder->node;
  for (std::size_t i = 0; !leader && i < s.nodes.size(); ++i) {
    if (leader_of_standbys(s, i)) leader = i;
  }
  if (!leader) return;
  const NodeState& l = s.nodes[*leader];
  auto position = l.report->location ? l.report->location : l.report->replayed;
  j.node(*leader).lag.reset();
  if (!position) return;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    NodeState& n = j.node(i);
    if (i == *leader || !fresh(n) || foreign(s, n) || !n.report->replayed) continue;
    if (n.report_round != l.report_round || n.lag_round == n.report_round) continue;
    n.lag = *position > *n.report->replayed ? *position - *n.report->replayed : 0;
    n.lag_round = n.report_round;
  }
}

Pool judge_pool(Judging& j, std::size_t listener) {
  Pool pool;
  Listening l{j, listener};
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    pool.by_node.push_back(l.listen().to == Target::kPrimary ? primary_verdict(j, i) : weigh(l, i));
  }
  if (l.listen().to != Target::kPrimary) fall_back(l, pool);
  return pool;
}

}  // namespace pgsteer
