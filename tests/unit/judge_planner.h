// Judge with nothing to do, for the tests of what it requests next and when it wants to be called.
#pragma once

#include "tests/unit/judge_facts.h"

namespace pgsteer {

using Nodes = std::vector<std::size_t>;

// Node 1 leads and has proven it; the last round began 100 ms ago; nothing is due before the next.
class Planner : public JudgeFacts {
 protected:
  Planner() {
    config.health.interval = seconds(1);
    config.health.hunt_interval = milliseconds(100);
    answers(0, Cluster::replica(5));
    leads(1, milliseconds(100));
    answers(2, Cluster::replica(5));
    for (NodeState& n : state.nodes) {
      n.rest.sent = n.rest.leader_sent = ago(milliseconds(100));
      n.tls.asked = true;
      n.tls.asked_at = ago(seconds(30));
      n.tls.answer = TlsAnswer::kNo;
      n.role_since = ago(seconds(600));
    }
    state.rounds = {7, ago(seconds(600)), ago(milliseconds(100)), now + milliseconds(900), false,
                    {}};
    state.settings.known = true;
    state.settings.due = state.members.due = now + seconds(30);
    fence_at(now + seconds(20));
  }
  void fence_at(Instant t) {
    LeaseState& l = state.nodes[1].lease;
    l.read_known = true;
    l.renewed_after = t - state.settings.times.ttl + config.health.clock_margin;
  }
  void unproven(Admission admission = Admission::kAdmit) {
    state.primary->proven = false;
    state.primary->verdict = {admission, Reason::kSilent, ""};
  }
  // Node 1 hangs since 3 s, and its port is not due.
  void hangs(std::size_t i) {
    NodeState& n = fails(i, Outcome::kSilent, 4);
    n.database.answer = DatabaseAnswer::kAnswers;
    n.database.asked_at = now;
    n.lease.replies = 0;
  }
  void hunting(milliseconds since) {
    state.rounds.hunting = true;
    state.rounds.hunting_since = ago(since);
  }
  void round_is_due() { state.rounds.next = now; }
  void nothing_in_flight() {
    for (NodeState& n : state.nodes) n.rest.in_flight = false;
  }

  void plan() {
    JudgeContext j = context();
    plan_requests(j);
    requests = j.out.requests;
    wake = j.out.wake;
  }
  Nodes asked(ProbeKind kind) const {
    Nodes nodes;
    for (const Request& r : requests) {
      if (r.kind == kind) nodes.push_back(r.node);
    }
    return nodes;
  }
  milliseconds wakes_in() const { return std::chrono::duration_cast<milliseconds>(wake - now); }
  milliseconds round_in() const {
    return std::chrono::duration_cast<milliseconds>(state.rounds.next - now);
  }

  std::vector<Request> requests;
  Instant wake{};
};

}  // namespace pgsteer
