// Facts about nodes, put into judge's state by hand, for the tests of single rules: a moment can be
// hit exactly, and no other rule interferes. Whole sequences are tested with judge_cluster.h.
#pragma once

#include <gtest/gtest.h>

#include "health/judge_context.h"
#include "tests/unit/judge_cluster.h"

namespace pgsteer {

// Three nodes of cluster 7001 and its first round is done. Node 1 (not 0) is usually the subject.
class JudgeFacts : public testing::Test {
 protected:
  using Cluster = ScriptedCluster;

  JudgeFacts() {
    Cluster named;
    config = named.config;
    state = initial_state(config, 1);
    state.identity.identifier = "7001";
    state.identity.settled = true;
    state.first_round_done = true;
    for (std::size_t i = 0; i < state.nodes.size(); ++i)
      state.nodes[i].addresses = {Cluster::address(i)};
  }

  Instant ago(milliseconds d) const { return now - d; }
  JudgeContext context() { return {config, state, now, {}, {}}; }

  // The node has just answered; the request for it was sent `age` ago and took 1 ms.
  NodeState& answers(std::size_t i, const Report& report, milliseconds age = milliseconds(100)) {
    NodeState& n = state.nodes[i];
    n.rest.tried = true;
    n.rest.failures = n.rest.definite_failures = 0;
    n.rest.attempt = report;
    n.rest.report = report;
    n.rest.report_sent = ago(age);
    n.rest.report_received = n.rest.timeline_received = ago(age) + milliseconds(1);
    n.rest.timeline = report.timeline;
    n.lease.replies = report.lease ? 2 : 0;
    n.lease.since = n.rest.report_received;
    n.pause.known = true;
    n.pause.paused = report.pause;
    return n;
  }
  // Its last `failures` checks failed, the last `definite` of them not by silence.
  NodeState& fails(std::size_t i, Outcome outcome, unsigned failures, unsigned definite = 0) {
    NodeState& n = state.nodes[i];
    n.rest.tried = true;
    n.rest.failures = failures;
    n.rest.definite_failures = definite;
    n.rest.failing_since = ago(seconds(3));
    n.rest.attempt = failed_report(outcome, to_string(outcome));
    return n;
  }
  // Node `i` is the primary on timeline 5 and has proven it `age` ago.
  NodeState& leads(std::size_t i, milliseconds age = seconds(4)) {
    NodeState& n = answers(i, Cluster::leader(5), age);
    state.primary = CurrentPrimary{
        i, 5, ago(seconds(60)), {Admission::kAdmit, Reason::kPrimary, ""}, true, false, true};
    n.lease.proof_sent = ago(age);
    n.lease.proof_received = ago(age) + milliseconds(1);
    n.primary.since = ago(seconds(60));
    return n;
  }
  // The answer of GET /cluster by node `i`, sent `age` ago: the store names `leader`.
  StoreAnswer& reads_store(std::size_t i, std::optional<std::size_t> leader, milliseconds age) {
    StoreAnswer& answer = state.nodes[i].store.emplace();
    answer.sent = ago(age);
    answer.named = answer.complete = true;
    answer.leader = leader;
    answer.timeline = 5;
    return answer;
  }
  static Report foreign(Report r) {
    r.system_identifier = "7002";
    return r;
  }
  static Report by_role(Report r) {
    r.pause = r.cluster_unlocked = true;
    return r;
  }

  Config config;
  JudgeState state;
  Instant now = Instant{} + std::chrono::hours(1);
};

// One call of judge_primary(), and what it says of each node.
class PrimaryRules : public JudgeFacts {
 protected:
  void decide() {
    JudgeContext j = context();
    judge_primary(j);
    alarms = j.alarms;
    told = j.out.transitions;
  }
  std::string verdict(std::size_t i) { return Cluster::words(primary_verdict(context(), i)); }
  std::optional<std::size_t> primary() const {
    return state.primary ? std::optional(state.primary->node) : std::nullopt;
  }
  bool alarmed(AlarmKind kind) const { return alarms.contains(AlarmKey{kind}); }
  const Transition* find(TransitionKind kind) const {
    for (const Transition& t : told) {
      if (t.kind == kind) return &t;
    }
    return nullptr;
  }
  void settle_fence(Instant t) {
    for (NodeState& n : state.nodes) {
      n.lease.read_known = true;
      n.lease.renewed_after = t - state.settings.times.ttl + config.health.clock_margin;
    }
  }
  static Report standby_leader() {
    Report r = Cluster::promoting(5);
    r.role = Role::kStandbyLeader;
    return r;
  }

  Alarms alarms;
  std::vector<Transition> told;
};

}  // namespace pgsteer
