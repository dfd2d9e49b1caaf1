#include "tests/simulation/read_rules.h"

#include <algorithm>

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// What the model writes while a round of checks goes on, and between two figures of one.
constexpr std::uint64_t kSkew = 400'000;

void keep(std::optional<Instant>& since, bool holds, Instant now) {
  if (!holds) {
    since.reset();
  } else if (!since) {
    since = now;
  }
}

bool tags_match(const ListenConfig& listen, const Report& r) {
  return std::all_of(listen.tags.begin(), listen.tags.end(), [&](const auto& wanted) {
    const auto it = r.tags.find(wanted.first);
    return it != r.tags.end() && it->second == wanted.second;
  });
}

}  // namespace

void ReadRules::violated(std::size_t listener, std::size_t i, const std::string& rule) const {
  const Verdict& v = s_.topology.pools[listener].by_node[i];
  s_.fail(model_name(i) + " is at " + to_string(v.admission) + " (" + to_string(v.reason) + ": " +
          v.why + ") for " + s_.config.listen[listener].name + ", but " + rule);
}

void ReadRules::forget() {
  const auto clear = [](Since& since) { std::fill(since.begin(), since.end(), std::nullopt); };
  clear(good_);
  clear(cut_off_);
  for (Since& since : lags_) clear(since);
  for (Since& since : near_) clear(since);
}

void ReadRules::reloading(const Change& change) {
  if (s_.health_changed == s_.now()) forget();
  for (std::size_t l = 0; l < lags_.size(); ++l) {
    for (std::size_t i = 0; i < s_.size(); ++i) {
      if (!change.edits_node(s_, i) && !change.edits_listener(s_, l)) continue;
      lags_[l][i].reset();
      near_[l][i].reset();
    }
  }
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!change.edits_node(s_, i)) continue;
    good_[i].reset();
    cut_off_[i].reset();
  }
}

// Its history has left that of a primary that proves itself.
bool ReadRules::diverged(const Report& r) const {
  const Topology& t = s_.topology;
  return t.primary && r.timeline > t.timeline &&
         t.pools[kReadWrite].by_node[*t.primary].reason == Reason::kPrimary;
}

// The same, if a leaving primary should do.
bool ReadRules::perhaps_diverged(const Report& r) const {
  const Topology& t = s_.topology;
  return diverged(r) || (t.primary && s_.leaving(*t.primary) && r.timeline > t.timeline);
}

// What must not be admitted by its last answer.
void ReadRules::check_answer(std::size_t l, std::size_t i) {
  const NodeLedger& n = s_.told[i];
  const ListenConfig& listen = s_.config.listen[l];
  const Verdict& v = s_.topology.pools[l].by_node[i];
  const bool admits = v.admission == Admission::kAdmit;
  if (n.checks == 0 && admits) violated(l, i, "it was never asked");
  if (v.reason == Reason::kForeign) s_.told[i].deposed = false;
  if (n.answers() && !s_.is_apart(i) && s_.topology.primary != i) {
    const Report& own = *n.report;
    const bool replica = own.state == State::kRunning && own.in_recovery() && !own.lease;
    const bool removed = v.reason == Reason::kRemoved;  // reload_rules.h
    if (replica && v.admission == Admission::kCut && !removed) {
      violated(l, i, "it is a running replica");
    }
    if (n.deposed && own.writable() && v.admission != Admission::kCut) {
      violated(l, i, "it was the primary, and writes on");
    }
  }
  if (!n.answers() || !admits) return;
  const Report& r = *n.report;
  const bool stays = r.incomplete() && n.incomplete < 2;
  if (r.incomplete() && n.incomplete >= 2 && s_.topology.primary != i &&
      v.reason != Reason::kFallback) {
    violated(l, i, "its query of PostgreSQL fails again and again");
  }
  if (stays || s_.topology.primary == i) return;
  const bool leads_standbys = r.role == Role::kStandbyLeader && r.in_recovery();
  if (leads_standbys) {
    if (listen.to != Target::kAny && v.reason != Reason::kFallback) {
      violated(l, i, "it leads a standby cluster");
    }
    return;
  }
  if (!r.in_recovery() || r.state != State::kRunning) {
    violated(l, i, "it reports that it is no running replica");
  }
  if (r.lease) violated(l, i, "it reports that it is being promoted");
  if (r.noloadbalance) violated(l, i, "it is tagged noloadbalance");
  if (diverged(r)) violated(l, i, "it is on a timeline above the primary's");
  if (!tags_match(listen, r)) violated(l, i, "it lacks the tags");
  if (r.cluster_unlocked) return;  // it cannot tell who is synchronous
  if (listen.to == Target::kSync && !r.sync) violated(l, i, "it is not synchronous");
  if (listen.to == Target::kQuorum && !r.quorum) violated(l, i, "it is no quorum standby");
  if (listen.to == Target::kAsync && (r.sync || r.quorum)) violated(l, i, "it is synchronous");
}

// What must be admitted by its last answer: a running replica in recovery with everything that the
// listener asks for, where the listener has no limit on lag.
void ReadRules::check_full(std::size_t l, std::size_t i) {
  const NodeLedger& n = s_.told[i];
  const ListenConfig& listen = s_.config.listen[l];
  const Verdict& v = s_.topology.pools[l].by_node[i];
  if (!n.answers() || v.admission == Admission::kAdmit || s_.is_apart(i)) return;
  if (s_.leaving(i)) return;
  const Report& r = *n.report;
  if (r.state != State::kRunning || !r.in_recovery() || r.lease || r.incomplete()) return;
  if (r.role != Role::kReplica || r.noloadbalance || !tags_match(listen, r)) return;
  if (perhaps_diverged(r)) return;
  if (r.cluster_unlocked && listen.to != Target::kReplica && listen.to != Target::kAny) return;
  if (listen.to == Target::kSync && !r.sync) return;
  if (listen.to == Target::kQuorum && !r.quorum) return;
  if (listen.to == Target::kAsync && (r.sync || r.quorum)) return;
  if (listen.max_lag || (r.tells_replication_state && r.replication_state.empty())) return;
  violated(l, i, "it is a replica that fits");
}

// Three failures in a row over two seconds drain a replica, and not fewer while nothing speaks
// against PostgreSQL.
void ReadRules::check_silent(std::size_t l, std::size_t i) {
  const NodeLedger& n = s_.told[i];
  if (n.failures == 0 || s_.topology.primary == i || s_.is_apart(i)) return;
  const bool fallen = n.failures >= 3 && s_.now() - n.failing_since >= seconds(2);
  const bool admits = s_.topology.pools[l].by_node[i].admission == Admission::kAdmit;
  if (fallen && admits) violated(l, i, "its Patroni does not answer");
  const bool was = l < n.admitted.size() && n.admitted[l] && n.report->in_recovery();
  if (n.failures == 1 && was && !admits && n.database == DatabaseAnswer::kUnknown) {
    violated(l, i, "one failure alone says nothing");
  }
}

// A replica that was promoted drains for drain_timeout; then its sessions are cut.
void ReadRules::check_promoted(std::size_t l, std::size_t i) {
  const Verdict& v = s_.topology.pools[l].by_node[i];
  const ListenConfig& listen = s_.config.listen[l];
  if (s_.topology.primary != i || listen.to == Target::kAny) return;
  const Span since = s_.now() - s_.primary_since;
  if (v.reason == Reason::kPromoted &&
      (since >= listen.drain_timeout + kGrain || v.admission != Admission::kDrain)) {
    violated(l, i, "its time to drain is over");
  }
  if (v.reason == Reason::kIsPrimary && v.admission == Admission::kCut &&
      since + kGrain < listen.drain_timeout) {
    violated(l, i, "it may drain");
  }
}

void ReadRules::decided() {
  if (s_.topology.generation == 0) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    NodeLedger& n = s_.told[i];
    if (!n.answers()) continue;
    n.admitted.clear();
    for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
      n.admitted.push_back(s_.admitted(l, i) && s_.topology.primary != i);
    }
  }
  for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
    if (s_.config.listen[l].to == Target::kPrimary || !s_.has_listener(l)) continue;
    bool replica = false, stand_in = false, needless = false;
    for (std::size_t i = 0; i < s_.size(); ++i) {
      if (!s_.has(i)) continue;
      const Verdict& v = s_.topology.pools[l].by_node[i];
      const bool admits = v.admission == Admission::kAdmit;
      replica |= admits && v.reason != Reason::kFallback;
      const bool fallback = admits && v.reason == Reason::kFallback;
      stand_in |= fallback;
      needless |= fallback && s_.told[i].answers();
      if (!s_.topology.first_round_done) {
        if (admits) violated(l, i, "not enough nodes have been checked");
        continue;
      }
      check_answer(l, i);
      check_full(l, i);
      check_silent(l, i);
      check_promoted(l, i);
    }
    const ListenConfig& listen = s_.config.listen[l];
    if (needless && (replica || !listen.fallback_to_primary)) {
      s_.fail("a leader takes reads of " + listen.name + " without being needed for them");
    }
    const bool fallback = listen.fallback_to_primary && listen.to != Target::kAny;
    if (fallback && !replica && !stand_in && s_.topology.primary &&
        s_.admitted(kReadWrite, *s_.topology.primary)) {
      s_.fail("nobody takes reads of " + listen.name + " although there is a primary");
    }
  }
}

std::optional<std::size_t> ReadRules::leader() const {
  for (std::size_t k = 0; k < s_.size(); ++k) {
    const bool leads = s_.cluster.rightful(k) && !s_.cluster.foreign(k) && s_.prompt(k) &&
                       s_.cluster.shows_lease(k);
    if (leads && s_.admitted(kReadWrite, k)) return k;
  }
  return std::nullopt;
}

bool ReadRules::fits(const ListenConfig& listen, std::size_t i) const {
  const ModelNode& n = s_.cluster.nodes[i];
  if (listen.to != Target::kReplica && listen.to != Target::kAny) return false;
  const auto region = listen.tags.find("region");
  return region == listen.tags.end() || region->second == n.region;
}

// Neither the node nor one that it streams from is made to lag.
bool ReadRules::keeps_up(std::size_t i) const {
  std::optional<std::size_t> k = i;
  for (std::size_t depth = 0; k && depth < s_.size(); ++depth) {
    if (s_.cluster.nodes[*k].behind > 0) return false;
    k = s_.cluster.nodes[*k].upstream;
  }
  return true;
}

// A replica that is healthy beyond question is admitted if there is a primary to compare it with.
void ReadRules::check_healthy(std::size_t i) {
  const ModelNode& n = s_.cluster.nodes[i];
  const auto primary = leader();
  const bool good = primary && *primary != i && s_.prompt(i) && s_.cluster.streams(i) &&
                    !n.noloadbalance && keeps_up(i) && !s_.cluster.foreign(i) &&
                    !s_.cluster.shows_lease(i);
  keep(good_[i], good && n.region == regions_[i], s_.now());
  regions_[i] = n.region;
  if (!good_[i] || s_.now() - *good_[i] < seconds(4) + 4 * s_.interval()) return;
  for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
    const ListenConfig& listen = s_.config.listen[l];
    const Verdict& v = s_.topology.pools[l].by_node[i];
    const bool narrow = listen.max_lag && *listen.max_lag < kSkew;
    if (!s_.has_listener(l) || !fits(listen, i) || narrow) continue;
    if (v.admission == Admission::kAdmit) continue;
    violated(l, i, "it has been a healthy replica for " + seconds_of(s_.now() - *good_[i]));
  }
}

// A replica without a connection to the primary gets no new sessions after ten seconds, where
// Patroni tells.
void ReadRules::check_cut_off(std::size_t i) {
  const ModelNode& n = s_.cluster.nodes[i];
  const auto primary = leader();
  const bool off = primary && *primary != i && s_.prompt(i) && !s_.cluster.foreign(i) &&
                   n.recovery && n.postgres == PostgresLife::kRunning &&
                   n.version != PatroniVersion::k3_0 && !s_.cluster.replicates(i) &&
                   !s_.cluster.shows_lease(i) && s_.now() - s_.primary_since >= seconds(1);
  keep(cut_off_[i], off, s_.now());
  if (!cut_off_[i]) return;
  const Instant from = std::max(*cut_off_[i], s_.primary_since);
  // The configuration and the members may take the place of two checks in a row.
  if (s_.now() - from < seconds(10) + 4 * s_.interval() + s_.timeout()) return;
  for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
    if (s_.config.listen[l].to == Target::kPrimary || !s_.admitted(l, i)) continue;
    violated(l, i, "it is not connected to the primary");
  }
}

// Lag ends admission after two rounds above the limit, and brings it back below three quarters of
// it.
void ReadRules::check_lag(std::size_t i) {
  const auto primary = leader();
  const bool measured = primary && *primary != i && s_.prompt(i) && !s_.cluster.foreign(i) &&
                        s_.cluster.nodes[i].recovery &&
                        s_.cluster.nodes[i].postgres == PostgresLife::kRunning;
  std::uint64_t lag = 0;
  if (measured) {
    const std::uint64_t ahead = s_.cluster.position(*primary), own = s_.cluster.position(i);
    lag = ahead > own ? ahead - own : 0;
  }
  for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
    const auto& limit = s_.config.listen[l].max_lag;
    const bool reads = s_.config.listen[l].to != Target::kPrimary && s_.has_listener(l);
    if (!reads || !limit || *limit < kSkew) continue;
    keep(lags_[l][i], measured && lag > *limit + kSkew, s_.now());
    const bool between = measured && lag > *limit / 4 * 3 + kSkew && lag + kSkew < *limit;
    const bool lagged = s_.topology.pools[l].by_node[i].reason == Reason::kLagging;
    keep(near_[l][i], between && (near_[l][i] || lagged), s_.now());
    const Span rounds = 4 * s_.interval() + s_.timeout() + kReply;
    if (lags_[l][i] && s_.now() - *lags_[l][i] > rounds && s_.admitted(l, i)) {
      violated(l, i, "it has lagged for " + seconds_of(s_.now() - *lags_[l][i]));
    }
    if (near_[l][i] && s_.now() - *near_[l][i] > milliseconds(100) && s_.admitted(l, i)) {
      violated(l, i, "it is not yet below three quarters of the limit");
    }
  }
}

void ReadRules::after_step() {
  if (s_.topology.generation == 0) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    if (!s_.leaving(i)) check_healthy(i);
    check_cut_off(i);
    check_lag(i);
  }
}

void ReadRules::cut(const ModelSession& s, const Verdict& v) {
  if (!s.replica || s.of_primary) return;
  if (v.reason == Reason::kForeign && !s_.knows_ours()) return;
  // The checker stood still, and another answered first.
  const bool passed_on = v.reason == Reason::kSuperseded || v.reason == Reason::kFenced;
  if (passed_on && s_.told[s.node].received < s_.resumed) return;
  // The cluster was replaced after the session had come, or before pgsteer knew.
  if (v.reason == Reason::kForeign && s_.told[s.node].report->system_identifier != "666" &&
      !s_.is_stranger(s.node) && s_.cluster.scopes[0].identifier != "7001") {
    return;
  }
  s_.fail("a session on " + model_name(s.node) + " was cut (" + to_string(v.reason) + ": " + v.why +
          ") although it was a running replica throughout");
}

}  // namespace pgsteer
