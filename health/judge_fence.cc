// How long a primary that proves nothing may be believed: the fence deadline, maintenance mode and
// the second witness.
//
// Patroni's leader renews its key in every loop that reads the store. At the read shown as
// dcs_last_seen the renewal before it was at most loop_wait old, so the key lives at least until
//
//     dcs_last_seen - loop_wait + ttl
//
// Example with ttl 30 s, loop_wait 10 s: Patroni is killed 4 s after its last loop began. From that
// moment the primary is believed for another 30 - 10 - 4 = 16 s, less the margin for clocks.
#include <algorithm>

#include "config/address.h"
#include "health/judge_parts.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

// Where a member's own address is part of a URL or stands beside it, "http://10.0.0.1:8008/patroni"
// and "http://10.0.0.1:8008" mean the same: scheme, host and port are compared.
std::string authority(const std::string& url) {
  auto begin = url.find("://");
  begin = begin == std::string::npos ? 0 : begin + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

std::string rest_of(const NodeConfig& node) { return authority(rest_url(node)); }

// The state of PostgreSQL's port as far as it is known since REST went silent.
Verdict by_database(const Judging& j, std::size_t i, Reason reason, const std::string& why) {
  const NodeState& n = j.s.nodes[i];
  if (n.hot_standby) {
    return {Admission::kDrain, Reason::kNotRunning, why + "; PostgreSQL is in recovery"};
  }
  if (turned_away(n, j.now)) {
    return {Admission::kDrain, Reason::kNotRunning, why + "; PostgreSQL turns sessions away"};
  }
  switch (n.database) {
    case DatabaseAnswer::kUnknown:
      return {Admission::kAdmit, reason, why};
    case DatabaseAnswer::kAnswers:
      return {Admission::kAdmit, reason, why + "; PostgreSQL answers"};
    case DatabaseAnswer::kRefused:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port refuses"};
    case DatabaseAnswer::kUnreachable:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port cannot be reached"};
    case DatabaseAnswer::kHung:
      return {Admission::kDrain, Reason::kSilent, why + "; PostgreSQL accepts and stays silent"};
  }
  return {Admission::kDrain, Reason::kUnknown, why};
}

std::string silence_text(const Judging& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (n.failures == 0 && !n.attempt.lease) return "Patroni shows no lease";
  if (n.failures == 0) return late(n, j.now) ? "Patroni is late" : "Patroni is being asked";
  return "Patroni does not answer (" + n.attempt.detail + ", for " +
         seconds_text(j.now - n.failing_since) + ")";
}

// Another node that showed the lease so many times in a row and is the primary, or on its way to
// be: then the lease is not here any more. An old leader whose clock stood still shows one, too,
// with PostgreSQL down or, unless `any_timeline`, on a lower timeline: that ends no belief.
std::optional<std::size_t> lease_elsewhere(const JudgeState& s, std::size_t node, unsigned replies,
                                           bool any_timeline) {
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (i == node || !fresh(n) || foreign(s, n) || n.lease_replies < replies) continue;
    std::uint32_t timeline = n.report->timeline;  // a replica may not tell it
    bool behind = s.holder && timeline != 0 && timeline < s.holder->timeline;
    if (behind && !any_timeline) continue;
    if (n.report->in_recovery() || n.report->writable()) return i;
  }
  return std::nullopt;
}

bool witnessed(const Judging& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  const Witness& w = j.s.witness;
  // A hung API that is freed closes what it had accepted: one such failure does not make it dead.
  bool hung = n.failures > n.loud_failures && n.loud_failures < 2;
  return hung && n.database == DatabaseAnswer::kAnswers && w.valid && w.names_holder &&
         j.now - w.sent <= kWitnessFresh;
}

}  // namespace

// The read happened before the reply that first showed it was received, and after the request
// before that one was sent. The Date header narrows this where the clocks are sane: both figures
// are the node's own, each cut to whole seconds.
void note_lease(NodeState& n, const LeaderEvidence& e) {
  Instant before = n.proof;  // the last request that showed an older read
  bool had = n.dcs_known;
  n.proof = e.sent;
  n.proof_failsafe = e.report.failsafe;
  if (!e.report.dcs_last_seen) {
    n.dcs_known = false;
    return;
  }
  std::int64_t value = *e.report.dcs_last_seen;
  bool moved = had && value != n.dcs_value;
  if (!had && !e.report.date) return;  // no idea how old the read is
  if (!had || moved) {
    n.dcs_first_shown = e.received;
    n.dcs_seen = moved ? before : Instant::min();
  }
  n.dcs_known = true;
  n.dcs_value = value;
  if (e.report.date) {
    auto age = std::clamp<std::int64_t>(*e.report.date + 1 - value, 0, 86'400);
    n.dcs_seen = std::max(n.dcs_seen, std::min(e.sent - seconds(age), n.dcs_first_shown));
  }
}

Instant fence_deadline(const Config& config, const JudgeState& state, std::size_t node) {
  const NodeState& n = state.nodes[node];
  const DcsTimes& t = state.dcs;
  auto margin = config.health.clock_margin;
  // In failsafe mode the lease lives by the members' consent, not by the key.
  if (n.dcs_known && !n.proof_failsafe) return n.dcs_seen - t.loop_wait + t.ttl - margin;
  return n.proof + t.ttl - t.loop_wait - t.retry_timeout - margin;
}

bool maintenance(const JudgeState& state, std::size_t node) {
  // In a paused cluster whoever is writable may take the lease that ran out, on any timeline.
  if (lease_elsewhere(state, node, 1, true)) return false;
  bool somebody = false;
  bool all_down = true;
  for (std::size_t i = 0; i < state.nodes.size(); ++i) {
    const NodeState& n = state.nodes[i];
    if (fresh(n) && !foreign(state, n)) {
      // What the node itself says without the lease is no news: the others would have to promote.
      bool knows = n.pause_known && (i != node || n.report->lease);
      if (knows && !n.paused) return false;
      if (knows || (i != node && n.paused)) {
        somebody = true;
      } else if (i != node) {
        all_down = false;
      }
    } else if (i != node) {
      all_down &= n.failures > 0 && n.attempt.outcome == Outcome::kRefused;
    }
  }
  if (somebody) return true;
  // Nobody can be asked: what the node itself said last stands, if nobody else can be running.
  return all_down && state.nodes[node].paused;
}

bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node) {
  const NodeState& n = s.nodes[node];
  const NodeConfig& c = config.nodes[node];
  if (n.report && !n.report->patroni_name.empty()) return n.report->patroni_name == member.name;
  // Before Patroni 3.2 a node does not tell its name: go by its addresses.
  if (!member.api_url.empty() && authority(member.api_url) == rest_of(c)) return true;
  if (!member.host.empty() && member.port == c.port) {
    if (member.host == c.host) return true;
    for (const Address& a : n.addresses) {
      if (a.text() == member.host + ":" + std::to_string(member.port)) return true;
      if (a.text() == "[" + member.host + "]:" + std::to_string(member.port)) return true;
    }
  }
  return member.name == c.name;
}

Belief believe_unproven(Judging& j, std::size_t i) {
  std::string silence = silence_text(j, i);
  if (maintenance(j.s, i)) {
    return {
        by_database(j, i, Reason::kMaintenance, silence + "; the cluster is in maintenance mode"),
        false};
  }
  if (auto other = lease_elsewhere(j.s, i, 2, false)) {
    return {{Admission::kCut, Reason::kFenced, silence + "; " + j.name(*other) + " has the lease"},
            true};
  }
  Instant fence = fence_deadline(j.config, j.s, i);
  const NodeState& n = j.s.nodes[i];
  bool slow = n.attempt.outcome == Outcome::kSilent || n.attempt.answered();
  Reason reason = slow ? Reason::kSilent : Reason::kOrphaned;
  if (j.now < fence) {
    std::string why = silence + "; its lease holds for " + seconds_text(fence - j.now);
    return {by_database(j, i, reason, why), false};
  }
  if (witnessed(j, i)) {
    return {{Admission::kAdmit, Reason::kWitnessed,
             silence + "; PostgreSQL answers, and " + j.name(j.s.witness.node) +
                 " finds it named the leader"},
            false};
  }
  // One failure alone never cuts: the next attempt is already on its way.
  bool denies = n.attempt.answered() && !n.attempt.lease;
  if (!denies && n.failures + (late(n, j.now) ? 1 : 0) < 2) {
    return {{Admission::kDrain, reason, silence + "; its lease may have passed on"}, false};
  }
  return {{Admission::kCut, Reason::kFenced, silence + "; its lease may have passed on"}, true};
}

}  // namespace pgsteer
