// How long a primary that proves nothing keeps its sessions: the fence deadline and maintenance
// mode.
//
// Patroni's leader renews its key in every loop, after it has read the store. The read that it
// shows as dcs_last_seen is that of its current loop, whose renewal may still be to come; the
// renewal of the loop before is certain. So the key lives at least until
//
//     the read that was shown before the last one + ttl
//
// As long as only one read has been seen, the one before it is taken to be at most loop_wait older.
//
// Example with ttl 30 s and loop_wait 10 s: Patroni is killed 4 s after its last loop began. From
// then on the primary keeps its sessions for 30 - 10 - 4 = 16 s, less the margin for clocks.
#include <algorithm>
#include <utility>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

using std::chrono::seconds;

std::string silence_text(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (n.rest.failures == 0 && n.rest.attempt.incomplete()) {
    return "Patroni shows no lease, and its query of PostgreSQL fails";
  }
  if (n.rest.failures == 0 && !n.rest.attempt.lease) return "Patroni shows no lease";
  if (n.rest.failures == 0) {
    return is_late(n, j.now) ? "Patroni's answer is late" : "Patroni is being checked again";
  }
  return "Patroni does not answer (" + n.rest.attempt.detail + ", for " +
         seconds_text(j.now - n.rest.failing_since) + ")";
}

// While ttl grows, a key that was renewed before has the old one still; a longer loop_wait or
// retry_timeout is believed at once. Until the leader has surely gone through a loop since.
DcsTimes careful_times(const JudgeState& s, const LeaseState& lease) {
  const PatroniSettings& settings = s.settings;
  DcsTimes t = settings.times;
  if (!settings.changed) return t;
  const auto loop = std::max(t.loop_wait, settings.before.loop_wait);
  if (lease.renewed_after && *lease.renewed_after > *settings.changed + loop) return t;
  t.ttl = std::min(t.ttl, settings.before.ttl);
  t.loop_wait = loop;
  t.retry_timeout = std::max(t.retry_timeout, settings.before.retry_timeout);
  return t;
}

// The last thing that Patroni said of PostgreSQL is that it takes no writes.
bool did_not_run(const NodeState& n) {
  return n.rest.report && !n.rest.report->writable() && !n.rest.report->incomplete();
}

// It was in recovery when Patroni last said, and nothing says that it was promoted since. A standby
// answers on its port as well as a primary does.
bool was_in_recovery(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.node(i);
  if (!n.rest.report || !n.rest.report->in_recovery()) return false;
  const bool wrote = n.database.writable_at && *n.database.writable_at > n.rest.report_received;
  const bool newer = j.is_primary(i) && j.s.primary->timeline > n.rest.report->timeline;
  return !wrote && !newer;
}

// The lease of the node may have passed on, and nobody speaks for it.
Assessment assess_fenced(const JudgeContext& j, std::size_t i, Reason reason,
                         const std::string& silence) {
  const NodeState& n = j.node(i);
  if (!has_heir(j, i, fence_deadline(j.config, j.s, i))) {
    return {with_database(j, i, reason, silence + "; no other node can take its lease now"), false};
  }
  const std::string passed = silence + "; its lease may have passed on";
  // One failure alone never cuts: the next attempt is already in flight.
  const bool denies = n.rest.attempt.answered() && !n.rest.attempt.lease;
  const bool stalled = j.now < j.s.grace_until;
  if (stalled || (!denies && n.rest.failures + (is_late(n, j.now) ? 1 : 0) < 2)) {
    return {{Admission::kDrain, reason, passed}, false};
  }
  return {{Admission::kCut, Reason::kFenced, passed}, true};
}

}  // namespace

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
      return did_not_run(n) ? Verdict{Admission::kDrain, Reason::kNotRunning,
                                      why + "; PostgreSQL was " + n.rest.report->state_word}
                            : Verdict{Admission::kAdmit, reason, why};
    case DatabaseAnswer::kAnswers:
      if (was_in_recovery(j, i)) break;
      return {Admission::kAdmit, reason, why + "; PostgreSQL answers"};
    case DatabaseAnswer::kRefused:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port refuses connections"};
    case DatabaseAnswer::kUnreachable:
      return {Admission::kDrain, Reason::kDown, why + "; PostgreSQL's port cannot be reached"};
    case DatabaseAnswer::kHung:
      return {Admission::kDrain, Reason::kSilent,
              why + "; PostgreSQL accepts connections and does not answer"};
  }
  return {Admission::kDrain, Reason::kNotRunning, why + "; PostgreSQL was in recovery"};
}

// Patroni read the store after the last request that showed an older read was sent, and before the
// first reply that showed this read was received. The Date header narrows this where the clocks are
// sane: both figures are the node's own, each cut to whole seconds.
void note_lease(JudgeContext& j, NodeState& n, const LeaderEvidence& e) {
  LeaseState& l = n.lease;
  const Instant before = l.proof_sent;
  l.proof_sent = e.sent;
  l.proof_received = e.received;
  l.failsafe = e.report.failsafe;
  if (!e.report.dcs_last_seen) {
    l.read_known = false;
    l.renewed_after.reset();
    return;
  }
  const bool had = l.read_known;
  const std::int64_t value = *e.report.dcs_last_seen;
  const bool moved = had && value != l.read_value;
  if (!had && !e.report.date) return;  // the read may be of any age
  const Instant older = l.read_after;
  const Instant older_before = l.read_before;
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
  const DcsTimes& t = j.s.settings.times;
  if (!had) l.older_before = e.received;
  if (moved) {
    // Reads in between may have been missed, or Patroni stood still: the older one is certain.
    l.renewed_after = older;
    // A key that was lost in between was written anew.
    l.older_before = l.denied ? e.received : older_before;
  }
  // What the read before this one renewed, perhaps for an older ttl, has run out since, and yet the
  // node has the lease.
  const PatroniSettings& settings = j.s.settings;
  const DcsTimes& was = settings.changed ? settings.before : settings.times;
  const bool outlived = e.sent > l.older_before + std::max(t.retry_timeout, was.retry_timeout) +
                                     std::max(t.ttl, was.ttl);
  if (l.renewed_after && outlived) l.renewed_after = std::max(*l.renewed_after, l.read_after);
  // Patroni believes in its lease from the moment at which it has written the key.
  if (const auto denied = std::exchange(l.denied, std::nullopt)) {
    l.renewed_after = std::max(l.renewed_after.value_or(l.read_after - t.loop_wait), *denied);
  }
}

Instant fence_deadline(const Config& config, const JudgeState& state, std::size_t node) {
  const LeaseState& l = state.nodes[node].lease;
  const DcsTimes t = careful_times(state, l);
  const auto margin = config.health.clock_margin;
  // In failsafe mode the lease depends on the members' consent, not on the key.
  if (l.read_known && !l.failsafe) {
    return l.renewed_after.value_or(l.read_after - t.loop_wait) + t.ttl - margin;
  }
  return l.proof_sent + t.ttl - t.loop_wait - t.retry_timeout - margin;
}

bool maintenance(const JudgeState& state, std::size_t node) {
  if (lease_elsewhere(state, node, 1)) return false;
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
    } else if (i != node && n.rest.tried && !is_unproven(n)) {  // see is_uncheckable()
      others_down &= n.rest.failures > 0 && n.rest.attempt.outcome == Outcome::kRefused;
    }
  }
  if (told) return true;
  // No member can be asked: the node's own last word stands if no other Patroni can be running, and
  // if none has said otherwise since.
  return others_down && state.nodes[node].pause.paused && state.paused;
}

Assessment assess_unproven(const JudgeContext& j, std::size_t i) {
  const std::string silence = silence_text(j, i);
  if (const auto witness = named_elsewhere(j, i)) {
    const StoreAnswer& answer = *j.node(*witness).store;
    const std::string other = answer.leader ? j.name(*answer.leader) : "another node";
    return {{Admission::kCut, Reason::kFenced,
             silence + "; " + j.name(*witness) + " finds " + other +
                 " named as the leader in the store"},
            true};
  }
  if (maintenance(j.s, i)) {
    return {
        with_database(j, i, Reason::kMaintenance, silence + "; the cluster is in maintenance mode"),
        false};
  }
  if (const auto other = lease_elsewhere(j.s, i, 2)) {
    return {{Admission::kCut, Reason::kFenced, silence + "; " + j.name(*other) + " has the lease"},
            true};
  }
  if (is_uncheckable(j, i)) {
    return {with_database(j, i, Reason::kUncheckable, silence + "; so it is everywhere"), false};
  }
  const NodeState& n = j.node(i);
  Instant fence = fence_deadline(j.config, j.s, i);
  // After maintenance mode a node that claimed by role takes its key again in its next loop.
  if (n.rest.failures == 0) {
    fence = std::max(fence, n.lease.role_claimed + j.s.settings.times.loop_wait);
  }
  const bool slow = n.rest.failures == 0 || is_hung(n);
  const Reason reason = slow ? Reason::kSilent : Reason::kOrphaned;
  if (j.now < fence) {
    const std::string why = silence + "; its lease holds for " + seconds_text(fence - j.now);
    return {with_database(j, i, reason, why), false};
  }
  if (const std::string by = witnessed_by(j, i); !by.empty()) {
    const Reason by_others = j.s.primary->on_trial ? Reason::kTrial : Reason::kWitnessed;
    return {with_database(j, i, by_others, silence + "; " + by), false};
  }
  return assess_fenced(j, i, reason, silence);
}

}  // namespace pgsteer
