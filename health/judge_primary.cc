// Which node takes writes: the rows of the evidence table that concern the primary.
//
// There is at most one current primary: the node last proven to be it. It stays until something
// proves that it is not (it says so itself, another node leads on a higher timeline, its fence
// deadline passes). Only then, or from the start, another node becomes it.
#include <algorithm>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

std::string on_timeline(std::uint32_t timeline) {
  return "timeline " + (timeline == 0 ? std::string("unknown") : std::to_string(timeline));
}

void note_timelines(JudgeContext& j) {
  if (j.s.identity.identifier.empty()) return;  // it may be a stranger's
  TimelineState& timelines = j.s.timelines;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    if (is_foreign(j.s, n)) continue;
    if (is_fresh(n) && n.rest.report->timeline > timelines.highest) {
      timelines.highest = n.rest.report->timeline;
      timelines.highest_node = j.name(i);
    }
  }
}

void drop_primary(JudgeContext& j, Reason reason, const std::string& why) {
  const std::size_t i = j.s.primary->node;
  NodeState& n = j.node(i);
  // A node that others named, and that nobody ever saw writable, may have been a replica all the
  // time.
  const bool seen = j.s.primary->seen_writable;
  n.primary = {std::nullopt, seen ? reason : Reason::kNotPrimary, seen ? why : ""};
  if (!is_fresh(n) || !n.rest.report->lease) {
    // What its lease was good for is over.
    n.lease.read_known = false;
    n.lease.renewed_after.reset();
    n.lease.proof_sent = Instant{};
  }
  j.announce(TransitionKind::kLost, Severity::kWarn,
             j.name(i) + " is no longer the primary: " + why, i);
  j.s.primary.reset();
}

void adopt_primary(JudgeContext& j, std::size_t i) {
  JudgeState& s = j.s;
  NodeState& n = j.node(i);
  const std::uint32_t timeline = n.rest.report->timeline;
  const std::string why = "has the lease and takes writes on " + on_timeline(timeline);
  const Verdict verdict{Admission::kAdmit, Reason::kPrimary, why};
  s.last_primary = i;
  s.primary = CurrentPrimary{i, timeline, j.now, verdict, true, false, true};
  s.suspicion.futile = 0;
  n.primary = {j.now, Reason::kNotPrimary, ""};
  if (timeline != 0 && timeline < s.timelines.highest) {
    s.timelines.went_back = j.name(i) + " leads on timeline " + std::to_string(timeline) +
                            ", but " + s.timelines.highest_node + " had been on timeline " +
                            std::to_string(s.timelines.highest) +
                            ": what was written there is lost";
  } else if (timeline != 0) {
    s.timelines.went_back.clear();
  }
  j.announce(TransitionKind::kNewPrimary, Severity::kInfo, j.name(i) + " is the primary: it " + why,
             i);
}

// The current primary has answered with the lease, but does not lead as it should.
Assessment assess_lease(const JudgeContext& j, std::size_t i, const std::string& state) {
  const Report& r = *j.node(i).rest.report;
  if (r.role == Role::kStandbyLeader) {
    return {
        {Admission::kCut, Reason::kStandbyLeader, "leads a standby cluster, which is read-only"},
        true};
  }
  if (r.in_recovery()) {
    return {{Admission::kDrain, Reason::kPromoting, "has the lease and is still in recovery"},
            false};
  }
  if (r.incomplete()) {
    return {with_database(j, i, Reason::kDegraded,
                          "has the lease, but Patroni's query of PostgreSQL fails"),
            false};
  }
  return {{Admission::kDrain, Reason::kNotRunning, "has the lease, but PostgreSQL is " + state},
          false};
}

// What the current primary's last answer says about it.
Assessment assess_answer(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  const Report& r = *n.rest.report;
  const std::string state = r.state_word.empty() ? "unknown" : r.state_word;
  if (is_foreign(j.s, n)) {
    return {{Admission::kCut, Reason::kForeign, "belongs to another cluster"}, true};
  }
  if (r.leads()) {
    return {{Admission::kAdmit, Reason::kPrimary,
             "has the lease and takes writes on " + on_timeline(r.timeline)},
            false};
  }
  if (r.lease) return assess_lease(j, i, state);
  // Without an answer of PostgreSQL the role comes from Patroni's memory. A Patroni that has just
  // started takes itself for a replica; "demoted" is remembered for a reason.
  if (r.writable() || (r.incomplete() && r.role != Role::kDemoted)) return assess_unproven(j, i);
  return {
      {Admission::kCut, Reason::kLostRole,
       std::string("reports that it is not the leader: role ") + to_string(r.role) + ", " + state},
      true};
}

// The last answer cannot be relied on: attempts since have failed, or one is late and PostgreSQL's
// port or the fence deadline speaks against the node, too, or it has turned a session away since
// the request for that answer was sent.
bool is_unreliable(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (n.rest.failures > 0) return true;
  if (turned_away(n, j.now) && *n.database.turned_away > n.rest.report_sent &&
      n.rest.report->leads()) {
    return true;
  }
  if (!is_late(n, j.now)) return false;
  const bool dead = n.database.answer != DatabaseAnswer::kUnknown &&
                    n.database.answer != DatabaseAnswer::kAnswers;
  return dead || j.now >= fence_deadline(j.config, j.s, i);
}

// A session that could write, a second witness or Patroni itself end the trial.
void end_trial(JudgeContext& j) {
  CurrentPrimary& p = *j.s.primary;
  const NodeState& n = j.node(p.node);
  const bool wrote = n.database.writable_at && *n.database.writable_at >= p.since;
  p.seen_writable |= wrote;
  if (!p.on_trial) return;
  if (wrote || is_fresh(n) || witnesses(j, p.node).size() > 1) p.on_trial = false;
}

// The verdict on the current primary, with an announcement when it changes.
void assess_primary(JudgeContext& j) {
  end_trial(j);
  const std::size_t i = j.s.primary->node;
  const auto [verdict, lost] = is_unreliable(j, i) ? assess_unproven(j, i) : assess_answer(j, i);
  CurrentPrimary& p = *j.s.primary;
  const bool proven = verdict.reason == Reason::kPrimary;
  if (p.proven && !proven) {
    j.announce(TransitionKind::kSuspicion, Severity::kInfo, j.name(i) + ": " + verdict.why, i);
    j.out.transitions.back().by_judge = true;
  }
  if (!p.proven && proven) {
    j.announce(TransitionKind::kSuspicionOver, Severity::kInfo, j.name(i) + " " + verdict.why, i);
  }
  if (lost) return drop_primary(j, verdict.reason, verdict.why);
  const bool admitted = p.verdict.admission == Admission::kAdmit;
  const bool admits = verdict.admission == Admission::kAdmit;
  p.verdict = verdict;
  p.proven = proven;
  p.seen_writable |= proven;
  if (admitted && !admits) {
    j.announce(TransitionKind::kHeld, Severity::kWarn,
               j.name(i) + " takes no new sessions: " + verdict.why, i);
  } else if (!admitted && admits) {
    j.announce(TransitionKind::kResumed, Severity::kInfo,
               j.name(i) + " takes sessions again: " + verdict.why, i);
  }
}

// The current primary leads on another timeline than before: in between it was not the primary.
void follow_timeline(JudgeContext& j) {
  CurrentPrimary& p = *j.s.primary;
  const std::size_t i = p.node;
  const NodeState& n = j.s.nodes[i];
  if (!p.proven || n.rest.report->timeline == 0 || n.rest.report->timeline == p.timeline) return;
  if (n.rest.report->timeline < p.timeline && p.timeline != 0) {
    if (const auto higher = higher_timeline(j, i, n.rest.report->timeline)) {
      drop_primary(j, Reason::kStaleTimeline,
                   "claims to lead on a timeline below that of " + j.name(*higher));
      return;
    }
  }
  if (p.timeline == 0) {
    p.timeline = n.rest.report->timeline;
    return;
  }
  adopt_primary(j, i);
  j.out.transitions.back().interrupts = true;
}

bool have_an_address(const NodeState& a, const NodeState& b) {
  return std::ranges::any_of(a.addresses, [&](const Address& address) {
    return std::ranges::find(b.addresses, address) != b.addresses.end();
  });
}

std::vector<std::size_t> find_claimants(const JudgeContext& j) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    if (claims_primary(j.s, j.s.nodes[i])) found.push_back(i);
  }
  // A node whose host was written anew is there twice while the old entry has sessions.
  std::erase_if(found, [&, all = found](std::size_t i) {
    return j.config.nodes[i].leaving && !j.is_primary(i) &&
           std::ranges::any_of(all, [&](std::size_t k) {
             return !j.config.nodes[k].leaving && have_an_address(j.node(i), j.node(k));
           });
  });
  return found;
}

void alarm_claimants(JudgeContext& j, const std::vector<std::size_t>& claimants) {
  if (claimants.size() < 2) return;
  std::string text = "more than one node claims to be the primary:";
  for (const std::size_t i : claimants) {
    text += " " + j.name(i) + " on " + on_timeline(j.s.nodes[i].rest.report->timeline) + ",";
  }
  text.back() = j.s.primary ? ';' : '.';
  if (j.s.primary) text += " " + j.name(j.s.primary->node) + " stays";
  j.alarms[AlarmKey{AlarmKind::kClaimants}] = text;
}

// The lease has been shown without a break for longer than a key lives, over reads of the store.
bool outweighs_timelines(const JudgeContext& j, std::size_t i) {
  const NodeState& n = j.node(i);
  const bool reads = !n.reads.known || (n.reads.after && *n.reads.after > n.lease.since);
  return n.lease.replies > 1 && reads && j.now - n.lease.since > j.s.settings.times.ttl;
}

// There is no current primary: the claimant on the highest timeline becomes it, if it is the only
// one there and no node shows a higher one. A claim by role alone counts only without any other. A
// claim from an unreliable answer does not count: the node might have lost its place a moment ago
// by the very fact that makes the answer unreliable.
void choose_primary(JudgeContext& j, std::vector<std::size_t> claimants) {
  std::erase_if(claimants, [&](std::size_t i) {
    const bool unidentified =
        j.s.identity.identifier.empty() && !j.node(i).rest.report->system_identifier.empty();
    return unidentified || is_unreliable(j, i);
  });
  const auto by_role = [&](std::size_t i) { return j.node(i).rest.report->by_role(); };
  if (!std::all_of(claimants.begin(), claimants.end(), by_role)) std::erase_if(claimants, by_role);
  if (claimants.empty()) return;
  const auto timeline = [&](std::size_t i) { return j.s.nodes[i].rest.report->timeline; };
  const auto best =
      *std::max_element(claimants.begin(), claimants.end(),
                        [&](std::size_t a, std::size_t b) { return timeline(a) < timeline(b); });
  const auto equals = std::count_if(claimants.begin(), claimants.end(),
                                    [&](std::size_t i) { return timeline(i) == timeline(best); });
  if (equals > 1) return;  // alarm_claimants has raised the alarm
  const auto higher = higher_timeline(j, best, timeline(best));
  if (higher && !outweighs_timelines(j, best)) {
    PrimaryState& state = j.node(best).primary;
    state.lost = Reason::kStaleTimeline;
    state.lost_why = "claims to lead on timeline " + std::to_string(timeline(best)) + " while " +
                     j.name(*higher) + " shows timeline " +
                     std::to_string(j.s.nodes[*higher].rest.timeline);
    j.alarms[AlarmKey{AlarmKind::kStaleTimeline}] = j.name(best) + " " + state.lost_why;
    return;
  }
  adopt_primary(j, best);
}

// Does another node lead on a higher timeline than the current primary?
void check_superseded(JudgeContext& j, const std::vector<std::size_t>& claimants) {
  const CurrentPrimary& p = *j.s.primary;
  const NodeState& n = j.s.nodes[p.node];
  const std::uint32_t own =
      claims_primary(j.s, n) ? std::max(p.timeline, n.rest.report->timeline) : p.timeline;
  for (const std::size_t i : claimants) {
    const std::uint32_t timeline = j.s.nodes[i].rest.report->timeline;
    if (i == p.node || timeline <= own || own == 0 || j.node(i).rest.report->by_role()) continue;
    drop_primary(j, Reason::kSuperseded,
                 j.name(i) + " leads on the higher timeline " + std::to_string(timeline));
    return;
  }
}

void alarm_timelines(JudgeContext& j) {
  JudgeState& s = j.s;
  if (s.primary && s.primary->timeline >= s.timelines.highest) s.timelines.went_back.clear();
  if (s.primary && s.primary->timeline != 0) {
    if (const auto higher = higher_timeline(j, s.primary->node, s.primary->timeline)) {
      j.alarms[AlarmKey{AlarmKind::kHigherTimeline}] =
          j.name(*higher) + " shows timeline " + std::to_string(s.nodes[*higher].rest.timeline) +
          ", above that of the primary " + j.name(s.primary->node);
    }
  }
  if (!s.timelines.went_back.empty()) {
    j.alarms[AlarmKey{AlarmKind::kTimelineWentBack}] = s.timelines.went_back;
  }
}

void alarm_uncheckable(JudgeContext& j) {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    if (!is_uncheckable(j, i)) continue;
    j.alarms[AlarmKey{AlarmKind::kUncheckable}] =
        "no node's Patroni can be asked: TLS of every REST API fails (" + j.name(i) + ": " +
        j.node(i).rest.attempt.detail + ")";
    return;
  }
}

void alarm_local_fault(JudgeContext& j) {
  if (!j.s.local_fault.empty()) j.alarms[AlarmKey{AlarmKind::kLocalFault}] = j.s.local_fault;
}

std::string explain_no_primary(const JudgeContext& j) {
  const JudgeState& s = j.s;
  if (!s.first_round_done) return "no node has been checked yet";
  if (s.primary) return j.name(s.primary->node) + ": " + s.primary->verdict.why;
  for (const AlarmKind kind :
       {AlarmKind::kClaimants, AlarmKind::kStaleTimeline, AlarmKind::kIdentity,
        AlarmKind::kNewIdentifier, AlarmKind::kUncheckable, AlarmKind::kLocalFault}) {
    if (const auto it = j.alarms.find(AlarmKey{kind}); it != j.alarms.end()) return it->second;
  }
  std::string text;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (claims_primary(s, n) && s.identity.identifier.empty()) {
      return j.name(i) + " leads, but too few nodes answer to tell whether it is ours";
    }
    const bool ours = is_fresh(n) && !is_foreign(s, n);
    if (ours && n.rest.report->lease && n.rest.report->in_recovery()) {
      return j.name(i) + (n.rest.report->role == Role::kStandbyLeader
                              ? " leads a standby cluster, which is read-only"
                              : " is being promoted");
    }
    text += (i == 0 ? "" : ", ") + j.name(i) + " is " + to_string(n.role);
  }
  return "no node has the leader lease: " + text;
}

}  // namespace

std::optional<std::size_t> higher_timeline(const JudgeContext& j, std::size_t except,
                                           std::uint32_t timeline) {
  if (timeline == 0) return std::nullopt;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    if (i == except || !n.rest.report || is_foreign(j.s, n)) continue;
    if (n.rest.timeline <= timeline) continue;
    const bool shown = is_fresh(n) && n.rest.report->timeline != 0;
    if (shown || j.now - n.rest.timeline_received <= kTimelineFresh) return i;
  }
  return std::nullopt;
}

void judge_primary(JudgeContext& j) {
  JudgeState& s = j.s;
  note_timelines(j);
  alarm_local_fault(j);
  if (s.first_round_done) {
    const std::vector<std::size_t> claimants = find_claimants(j);
    if (s.primary) check_superseded(j, claimants);
    if (s.primary) assess_primary(j);
    if (s.primary) follow_timeline(j);
    alarm_claimants(j, claimants);
    if (!s.primary) choose_primary(j, claimants);
    if (!s.primary) choose_witnessed(j);
    alarm_timelines(j);
    alarm_uncheckable(j);
    if (s.primary && s.nodes[s.primary->node].rest.failures > 0) s.suspicion.futile = 0;
  }
  const bool admitted = s.primary && s.primary->verdict.admission == Admission::kAdmit;
  s.no_primary_why = admitted ? "" : explain_no_primary(j);
}

}  // namespace pgsteer
