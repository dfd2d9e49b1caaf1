// Who may be written to: the rows of the evidence table that concern the primary.
//
// There is at most one holder: the node last proven to be the primary. It stays until something
// proves that it is not (it says so itself, another one leads on a higher timeline, its fence
// deadline passes). Only then, or from the start, another node is adopted.
#include <algorithm>
#include <map>

#include "health/judge_parts.h"

namespace pgsteer {
namespace {

std::string on_timeline(std::uint32_t timeline) {
  return "timeline " + (timeline == 0 ? std::string("unknown") : std::to_string(timeline));
}

// Once the first round is in, the identifier that most nodes show is the cluster's; if as many show
// another one, the one whose node leads.
void learn_identity(Judging& j) {
  JudgeState& s = j.s;
  if (!s.system_identifier.empty() || !s.first_round_done) return;
  std::map<std::string, unsigned> votes;
  for (const NodeState& n : s.nodes) {
    if (!fresh(n) || n.report->system_identifier.empty()) continue;
    votes[n.report->system_identifier] += n.report->leads() ? 3 : 2;
  }
  if (votes.empty()) return;
  auto best = std::max_element(votes.begin(), votes.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  auto ties = std::count_if(votes.begin(), votes.end(),
                            [&](const auto& v) { return v.second == best->second; });
  if (ties > 1) {
    j.alarms["identity"] =
        "the configured nodes belong to different clusters, and none is the majority";
    return;
  }
  s.system_identifier = best->first;
}

void note_timelines(Judging& j) {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    if (foreign(j.s, n)) {
      j.alarms["foreign " + j.name(i)] =
          j.name(i) + " belongs to another cluster: its system identifier is " +
          n.report->system_identifier + ", ours is " + j.s.system_identifier;
    } else if (fresh(n) && n.report->timeline > j.s.highest_timeline) {
      j.s.highest_timeline = n.report->timeline;
      j.s.highest_node = j.name(i);
    }
  }
}

// Another node that has shown a timeline above `timeline` within the last seconds.
std::optional<std::size_t> higher_in_sight(const Judging& j, std::size_t except,
                                           std::uint32_t timeline) {
  if (timeline == 0) return std::nullopt;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    if (i == except || !n.report || foreign(j.s, n) || n.report->timeline <= timeline) continue;
    if (fresh(n) || j.now - n.report_received <= kInSight) return i;
  }
  return std::nullopt;
}

void lose(Judging& j, Reason reason, const std::string& why) {
  CurrentPrimary& h = *j.s.holder;
  NodeState& n = j.node(h.node);
  n.lost = reason;
  n.lost_why = why;
  n.primary_since.reset();
  j.tell(TransitionKind::kLost, Severity::kWarn,
         j.name(h.node) + " is no longer the primary: " + why, h.node);
  j.s.holder.reset();
  j.s.witness = {};
}

void adopt(Judging& j, std::size_t i) {
  JudgeState& s = j.s;
  NodeState& n = j.node(i);
  std::uint32_t timeline = n.report->timeline;
  std::string why = "has the lease and takes writes on " + on_timeline(timeline);
  s.holder = CurrentPrimary{i, timeline, j.now, {Admission::kAdmit, Reason::kPrimary, why}, true};
  s.witness = {};
  s.futile_doubts = 0;
  n.lost = Reason::kNotPrimary;
  n.lost_why.clear();
  n.primary_since = j.now;
  if (s.system_identifier.empty()) s.system_identifier = n.report->system_identifier;
  if (timeline != 0 && timeline < s.highest_timeline) {
    s.went_back = j.name(i) + " leads on timeline " + std::to_string(timeline) + ", but " +
                  s.highest_node + " had been on timeline " + std::to_string(s.highest_timeline) +
                  ": what was written there is lost";
  } else if (timeline != 0) {
    s.went_back.clear();
  }
  j.tell(TransitionKind::kNewPrimary, Severity::kInfo, j.name(i) + " is the primary: it " + why, i);
}

// What a node that holds the lease, or had it last, says of itself in an answer.
Belief hear_holder(Judging& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  const Report& r = *n.report;
  std::string state = r.state_word.empty() ? "unknown" : r.state_word;
  if (foreign(j.s, n))
    return {{Admission::kCut, Reason::kForeign, "belongs to another cluster"}, true};
  if (r.leads()) {
    return {{Admission::kAdmit, Reason::kPrimary,
             "has the lease and takes writes on " + on_timeline(r.timeline)},
            false};
  }
  if (r.lease && r.role == Role::kStandbyLeader) {
    return {
        {Admission::kCut, Reason::kStandbyLeader, "leads a standby cluster, which is read-only"},
        true};
  }
  if (r.lease && r.in_recovery()) {
    return {{Admission::kDrain, Reason::kPromoting, "has the lease and is still in recovery"},
            false};
  }
  if (r.lease && r.odd()) {
    bool again = n.odd_replies > 1;
    return {{again ? Admission::kDrain : Admission::kAdmit, Reason::kDegraded,
             "has the lease, but Patroni's query of PostgreSQL fails"},
            false};
  }
  if (r.lease) {
    return {{Admission::kDrain, Reason::kNotRunning, "has the lease, but PostgreSQL is " + state},
            false};
  }
  bool in_memory =
      r.role == Role::kPrimary || r.role == Role::kPromoted || r.role == Role::kUnknown;
  if (r.writable() || (r.odd() && in_memory && n.odd_replies < 2)) return believe_unproven(j, i);
  return {
      {Admission::kCut, Reason::kLostRole,
       std::string("says itself that it does not lead: role ") + to_string(r.role) + ", " + state},
      true};
}

// Its last answer cannot be relied on: attempts since have failed, or one is late and there is more
// against it, or it has turned a session away since that answer was asked for.
bool doubtful(const Judging& j, std::size_t i) {
  const NodeState& n = j.s.nodes[i];
  if (n.failures > 0) return true;
  if (turned_away(n, j.now) && *n.turned_away > n.report_sent && n.report->leads()) return true;
  if (!late(n, j.now)) return false;
  bool dead = n.database != DatabaseAnswer::kUnknown && n.database != DatabaseAnswer::kAnswers;
  return dead || j.now >= fence_deadline(j.config, j.s, i);
}

// The verdict on the holder, with a line when it begins or ends to be in doubt.
void weigh_holder(Judging& j) {
  std::size_t i = j.s.holder->node;
  Belief belief = doubtful(j, i) ? believe_unproven(j, i) : hear_holder(j, i);
  CurrentPrimary& h = *j.s.holder;
  if (h.proven && belief.verdict.reason != Reason::kPrimary) {
    j.tell(TransitionKind::kSuspicion, Severity::kInfo, j.name(i) + ": " + belief.verdict.why, i);
    j.out.transitions.back().by_judge = true;
  }
  if (!h.proven && belief.verdict.reason == Reason::kPrimary) {
    j.tell(TransitionKind::kSuspicionOver, Severity::kInfo, j.name(i) + " " + belief.verdict.why,
           i);
  }
  if (belief.lost) {
    lose(j, belief.verdict.reason, belief.verdict.why);
    return;
  }
  bool admitted = h.verdict.admission == Admission::kAdmit;
  bool admits = belief.verdict.admission == Admission::kAdmit;
  h.verdict = belief.verdict;
  h.proven = belief.verdict.reason == Reason::kPrimary;
  if (admitted && !admits) {
    j.tell(TransitionKind::kHeld, Severity::kWarn,
           j.name(i) + " takes no new sessions: " + h.verdict.why, i);
  } else if (!admitted && admits) {
    j.tell(TransitionKind::kResumed, Severity::kInfo,
           j.name(i) + " takes sessions again: " + h.verdict.why, i);
  }
}

// The holder leads on another timeline than before: between the two it was not the primary.
void follow_timeline(Judging& j) {
  CurrentPrimary& h = *j.s.holder;
  const NodeState& n = j.s.nodes[h.node];
  if (!h.proven || n.report->timeline == 0 || n.report->timeline == h.timeline) return;
  std::size_t i = h.node;
  if (n.report->timeline < h.timeline && h.timeline != 0) {
    if (auto higher = higher_in_sight(j, i, n.report->timeline)) {
      lose(j, Reason::kStaleTimeline,
           "claims to lead on a timeline below that of " + j.name(*higher));
      return;
    }
  }
  if (h.timeline == 0) {
    h.timeline = n.report->timeline;
    return;
  }
  adopt(j, i);
  j.out.transitions.back().interrupts = true;
}

std::vector<std::size_t> claimants(const Judging& j) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    if (claims(j.s, j.s.nodes[i])) found.push_back(i);
  }
  return found;
}

void alarm_claimants(Judging& j, const std::vector<std::size_t>& found) {
  if (found.size() < 2) return;
  std::string text = "more than one node claims to be the primary:";
  for (std::size_t i : found) {
    text += " " + j.name(i) + " on " + on_timeline(j.s.nodes[i].report->timeline) + ",";
  }
  text.back() = j.s.holder ? ';' : '.';
  if (j.s.holder) text += " " + j.name(j.s.holder->node) + " stays";
  j.alarms["claimants"] = text;
}

// The claimant on the highest timeline, if it is the only one there and nothing higher is in sight.
// A claim that cannot be relied on any more does not count: what made a node lose its place would
// otherwise be forgotten in the same breath.
void choose(Judging& j, std::vector<std::size_t> found) {
  std::erase_if(found, [&](std::size_t i) { return doubtful(j, i); });
  if (found.empty()) return;
  auto timeline = [&](std::size_t i) { return j.s.nodes[i].report->timeline; };
  auto best = *std::max_element(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
    return timeline(a) < timeline(b);
  });
  auto equals = std::count_if(found.begin(), found.end(),
                              [&](std::size_t i) { return timeline(i) == timeline(best); });
  if (equals > 1) return;  // the alarm tells
  if (auto higher = higher_in_sight(j, best, timeline(best))) {
    NodeState& n = j.node(best);
    n.lost = Reason::kStaleTimeline;
    n.lost_why = "claims to lead on timeline " + std::to_string(timeline(best)) + " while " +
                 j.name(*higher) + " shows timeline " +
                 std::to_string(j.s.nodes[*higher].report->timeline);
    j.alarms["stale timeline"] = j.name(best) + " " + n.lost_why;
    return;
  }
  adopt(j, best);
}

void supersede(Judging& j, const std::vector<std::size_t>& found) {
  const CurrentPrimary& h = *j.s.holder;
  const NodeState& n = j.s.nodes[h.node];
  std::uint32_t own = claims(j.s, n) ? std::max(h.timeline, n.report->timeline) : h.timeline;
  for (std::size_t i : found) {
    std::uint32_t timeline = j.s.nodes[i].report->timeline;
    if (i == h.node || timeline <= own || own == 0) continue;
    lose(j, Reason::kSuperseded,
         j.name(i) + " leads on the higher timeline " + std::to_string(timeline));
    return;
  }
}

std::string explain_none(const Judging& j) {
  const JudgeState& s = j.s;
  if (!s.first_round_done) return "no node has been checked yet";
  if (s.holder) return j.name(s.holder->node) + ": " + s.holder->verdict.why;
  for (const char* subject : {"claimants", "stale timeline", "identity"}) {
    if (auto it = j.alarms.find(subject); it != j.alarms.end()) return it->second;
  }
  std::string text;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (fresh(n) && n.report->lease && n.report->in_recovery()) {
      return j.name(i) + (n.report->role == Role::kStandbyLeader
                              ? " leads a standby cluster, which is read-only"
                              : " is being promoted");
    }
    text += (i == 0 ? "" : ", ") + j.name(i) + " is " + to_string(n.role);
  }
  return "no node has the leader lease: " + text;
}

}  // namespace

void judge_primary(Judging& j) {
  JudgeState& s = j.s;
  s.first_round_done = s.first_round_done || std::all_of(s.nodes.begin(), s.nodes.end(),
                                                         [](const auto& n) { return n.tried; });
  learn_identity(j);
  note_timelines(j);
  if (s.first_round_done) {
    auto found = claimants(j);
    if (s.holder) supersede(j, found);
    if (s.holder) weigh_holder(j);
    if (s.holder) follow_timeline(j);
    alarm_claimants(j, found);
    if (!s.holder && !found.empty() &&
        (!s.system_identifier.empty() || !j.alarms.contains("identity"))) {
      choose(j, std::move(found));
    }
    if (s.holder && s.holder->timeline >= s.highest_timeline) s.went_back.clear();
    if (s.holder && s.holder->timeline != 0) {
      if (auto higher = higher_in_sight(j, s.holder->node, s.holder->timeline)) {
        j.alarms["higher timeline"] = j.name(*higher) + " shows timeline " +
                                      std::to_string(s.nodes[*higher].report->timeline) +
                                      ", above that of the primary " + j.name(s.holder->node);
      }
    }
    if (!s.went_back.empty()) j.alarms["timeline went back"] = s.went_back;
    if (s.holder && !s.holder->proven) s.futile_doubts = 0;
  }
  bool admitted = s.holder && s.holder->verdict.admission == Admission::kAdmit;
  s.no_primary_why = admitted ? "" : explain_none(j);
}

Verdict primary_verdict(const Judging& j, std::size_t i) {
  const JudgeState& s = j.s;
  const NodeState& n = s.nodes[i];
  if (!s.first_round_done)
    return {Admission::kDrain, Reason::kUnknown, "not all nodes have been checked yet"};
  if (s.holder && s.holder->node == i) return s.holder->verdict;
  if (foreign(s, n)) return {Admission::kCut, Reason::kForeign, "belongs to another cluster"};
  if (n.addresses.empty() && n.resolve_failed) {
    return {Admission::kCut, Reason::kUnresolved, "its name does not resolve"};
  }
  if (!n.report)
    return {Admission::kCut, Reason::kUnknown, "has not answered yet: " + n.attempt.detail};
  const Report& r = *n.report;
  if (fresh(n) && r.lease && r.role == Role::kStandbyLeader) {
    return {Admission::kCut, Reason::kStandbyLeader, "leads a standby cluster, which is read-only"};
  }
  if (fresh(n) && r.lease && r.in_recovery()) {
    return {Admission::kDrain, Reason::kPromoting, "has the lease and is being promoted"};
  }
  if (fresh(n) && r.lease && !r.writable()) {
    return {Admission::kDrain, Reason::kNotRunning,
            "has the lease, but PostgreSQL is " + r.state_word};
  }
  if (n.lost != Reason::kNotPrimary) return {Admission::kCut, n.lost, n.lost_why};
  if (!fresh(n)) {
    return {Admission::kCut, n.role == NodeRole::kDown ? Reason::kDown : Reason::kSilent,
            "Patroni does not answer: " + n.attempt.detail};
  }
  return {Admission::kCut, Reason::kNotPrimary, std::string("role ") + to_string(r.role)};
}

}  // namespace pgsteer
