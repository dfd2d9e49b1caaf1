// How long a primary that proves nothing keeps its sessions: the fence deadline, maintenance mode
// and the witness.
//
// Patroni's leader renews its key in every loop that reads the store. At the read that it shows as
// dcs_last_seen, the last renewal was at most loop_wait old. So the key lives at least until
//
//     dcs_last_seen - loop_wait + ttl
//
// Example with ttl 30 s and loop_wait 10 s: Patroni is killed 4 s after its last loop began. From
// then on the primary keeps its sessions for 30 - 10 - 4 = 16 s, less the margin for clocks.
#include <algorithm>

#include "config/address.h"
#include "health/judge_context.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

// Host and port of a URL: "10.0.0.1:8008" for both "http://10.0.0.1:8008/patroni", as a member
// states its own API, and "http://10.0.0.1:8008", as the configuration does.
std::string authority(const std::string& url) {
  const auto scheme = url.find("://");
  const auto begin = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

// `reason` and `why`, unless PostgreSQL's port was checked since REST went silent and speaks
// against the node.
Verdict with_database(const JudgeContext& j, std::size_t i, Reason reason, const std::string& why) {
  const NodeState& n = j.s.nodes[i];
  if (n.database.in_recovery) {
    return {Admission::kDrain, Reason::kNotRunning, why + "; PostgreSQL is in recovery"};
  }
  if (turned_away(n, j.now)) {
    return {Admission::kDrain, Reason::kNotRunning,
            why + "; it turned a session away a moment ago"};
  }
  switch (n.database.answer) {
    case DatabaseAnswer::kUnknown:
      return {Admission::kAdmit, reason, why};
    case DatabaseAnswer::kAnswers:
      return {Admission::kAdmit, reason, why + "; PostgreSQL answers"};
    case DatabaseAnswer::kRefused:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port refuses connections"};
    case DatabaseAnswer::kUnreachable:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port cannot be reached"};
    case DatabaseAnswer::kHung:
      return {Admission::kDrain, Reason::kSilent,
              why + "; PostgreSQL accepts connections and does not answer"};
  }
  return {Admission::kDrain, Reason::kUnknown, why};
}

std::string silence_text(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (n.rest.failures == 0 && !n.rest.attempt.lease) return "Patroni shows no lease";
  if (n.rest.failures == 0) {
    return is_late(n, j.now) ? "Patroni's answer is late" : "Patroni is being checked again";
  }
  return "Patroni does not answer (" + n.rest.attempt.detail + ", for " +
         seconds_text(j.now - n.rest.failing_since) + ")";
}

// Another node that showed the lease at least `replies` times in a row, and is a primary or is
// being promoted: then `node` does not have the lease any more. An old leader whose clock stood
// still shows a lease, too, but with PostgreSQL down or on a lower timeline. Such a node does not
// count; with `any_timeline` a lower timeline does.
std::optional<std::size_t> lease_elsewhere(const JudgeState& s, std::size_t node, unsigned replies,
                                           bool any_timeline) {
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (i == node || !is_fresh(n) || is_foreign(s, n) || n.lease.replies < replies) continue;
    const std::uint32_t timeline = n.rest.report->timeline;  // 0: a replica may leave it out
    const bool behind = s.primary && timeline != 0 && timeline < s.primary->timeline;
    if (behind && !any_timeline) continue;
    if (n.rest.report->in_recovery() || n.rest.report->writable()) return i;
  }
  return std::nullopt;
}

// Patroni hangs on the node, PostgreSQL answers, and another member has just read in the store that
// the node is the leader.
bool is_witnessed(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  const auto& witness = j.s.witness.answer;
  // A hung API that comes back closes the connections that it had accepted: one such failure does
  // not mean that Patroni is dead.
  const bool hung = n.rest.failures > n.rest.definite_failures && n.rest.definite_failures < 2;
  return hung && n.database.answer == DatabaseAnswer::kAnswers && witness &&
         witness->names_primary && j.now - witness->sent <= kWitnessFresh;
}

}  // namespace

// Patroni read the store after the last request that showed an older read was sent, and before the
// first reply that showed this read was received. The Date header narrows this where the clocks are
// sane: both figures are the node's own, each cut to whole seconds.
void note_lease(NodeState& n, const LeaderEvidence& e) {
  LeaseState& l = n.lease;
  const Instant before = l.proof_sent;
  l.proof_sent = e.sent;
  l.failsafe = e.report.failsafe;
  if (!e.report.dcs_last_seen) {
    l.read_known = false;
    return;
  }
  const bool had = l.read_known;
  const std::int64_t value = *e.report.dcs_last_seen;
  const bool moved = had && value != l.read_value;
  if (!had && !e.report.date) return;  // the read may be of any age
  if (!had || moved) {
    l.read_before = e.received;
    l.read_after = moved ? before : Instant::min();
  }
  l.read_known = true;
  l.read_value = value;
  if (e.report.date) {
    const auto age = std::clamp<std::int64_t>(*e.report.date + 1 - value, 0, 86'400);
    l.read_after = std::max(l.read_after, std::min(e.sent - seconds(age), l.read_before));
  }
}

Instant fence_deadline(const Config& config, const JudgeState& state, std::size_t node) {
  const LeaseState& l = state.nodes[node].lease;
  const DcsTimes& t = state.settings.times;
  const auto margin = config.health.clock_margin;
  // In failsafe mode the lease depends on the members' consent, not on the key.
  if (l.read_known && !l.failsafe) return l.read_after - t.loop_wait + t.ttl - margin;
  return l.proof_sent + t.ttl - t.loop_wait - t.retry_timeout - margin;
}

bool maintenance(const JudgeState& state, std::size_t node) {
  // In a paused cluster any writable node may take a lease that ran out, on any timeline.
  if (lease_elsewhere(state, node, 1, true)) return false;
  bool told = false;
  bool others_down = true;
  for (std::size_t i = 0; i < state.nodes.size(); ++i) {
    const NodeState& n = state.nodes[i];
    if (is_fresh(n) && !is_foreign(state, n)) {
      // What the node itself says without the lease does not count: it is the others that would
      // have to promote.
      const bool knows = n.pause.known && (i != node || n.rest.report->lease);
      if (knows && !n.pause.paused) return false;
      if (knows || (i != node && n.pause.paused)) {
        told = true;
      } else if (i != node) {
        others_down = false;
      }
    } else if (i != node) {
      others_down &= n.rest.failures > 0 && n.rest.attempt.outcome == Outcome::kRefused;
    }
  }
  if (told) return true;
  // No member can be asked: the node's own last word stands if no other Patroni can be running.
  return others_down && state.nodes[node].pause.paused;
}

bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node) {
  const NodeState& n = s.nodes[node];
  const NodeConfig& c = config.nodes[node];
  if (n.rest.report && !n.rest.report->patroni_name.empty()) {
    return n.rest.report->patroni_name == member.name;
  }
  // Before Patroni 3.2 a node does not report its name: compare addresses.
  if (!member.api_url.empty() && authority(member.api_url) == authority(rest_url(c))) return true;
  if (!member.host.empty() && member.port == c.port) {
    if (member.host == c.host) return true;
    for (const Address& a : n.addresses) {
      if (a.text() == member.host + ":" + std::to_string(member.port)) return true;
      if (a.text() == "[" + member.host + "]:" + std::to_string(member.port)) return true;
    }
  }
  return member.name == c.name;
}

Assessment assess_unproven(const JudgeContext& j, std::size_t i) {
  const std::string silence = silence_text(j, i);
  if (maintenance(j.s, i)) {
    return {
        with_database(j, i, Reason::kMaintenance, silence + "; the cluster is in maintenance mode"),
        false};
  }
  if (const auto other = lease_elsewhere(j.s, i, 2, false)) {
    return {{Admission::kCut, Reason::kFenced, silence + "; " + j.name(*other) + " has the lease"},
            true};
  }
  const Instant fence = fence_deadline(j.config, j.s, i);
  const NodeState& n = j.s.nodes[i];
  const Report& last = n.rest.attempt;
  const bool slow = last.outcome == Outcome::kSilent || last.answered();
  const Reason reason = slow ? Reason::kSilent : Reason::kOrphaned;
  if (j.now < fence) {
    const std::string why = silence + "; its lease holds for " + seconds_text(fence - j.now);
    return {with_database(j, i, reason, why), false};
  }
  if (is_witnessed(j, i)) {
    return {{Admission::kAdmit, Reason::kWitnessed,
             silence + "; PostgreSQL answers, and " + j.name(j.s.witness.answer->node) +
                 " finds it named as the leader in the store"},
            false};
  }
  const std::string passed = silence + "; its lease may have passed on";
  // One failure alone never cuts: the next attempt is already in flight.
  const bool denies = last.answered() && !last.lease;
  if (!denies && n.rest.failures + (is_late(n, j.now) ? 1 : 0) < 2) {
    return {{Admission::kDrain, reason, passed}, false};
  }
  return {{Admission::kCut, Reason::kFenced, passed}, true};
}

}  // namespace pgsteer
