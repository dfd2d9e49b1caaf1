// How long an unproven primary keeps its sessions: each condition of each rule, at its exact
// moment.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class FenceDeadline : public JudgeFacts {
 protected:
  FenceDeadline() {
    leads(1);
    LeaseState& l = state.nodes[1].lease;
    l.read_known = true;
    l.read_after = ago(seconds(5));
    l.renewed_after = renewed;
    state.settings.times = {seconds(30), seconds(10), seconds(10)};
    config.health.clock_margin = seconds(1);
  }
  void change(DcsTimes before, Instant when) {
    state.settings.before = before;
    state.settings.changed = when;
  }
  Instant fence() const { return fence_deadline(config, state, 1); }

  const Instant renewed = ago(seconds(12));
};

TEST_F(FenceDeadline, FromTheRenewal) { EXPECT_EQ(fence(), renewed + seconds(30 - 1)); }

TEST_F(FenceDeadline, FromTheReadAlone) {
  state.nodes[1].lease.renewed_after.reset();
  EXPECT_EQ(fence(), ago(seconds(5)) + seconds(30 - 10 - 1));
}

TEST_F(FenceDeadline, FromTheProof) {
  const Instant proof = state.nodes[1].lease.proof_sent;
  state.nodes[1].lease.read_known = false;
  EXPECT_EQ(fence(), proof + seconds(30 - 10 - 10 - 1));
  state.nodes[1].lease.read_known = true;
  state.nodes[1].lease.failsafe = true;
  EXPECT_EQ(fence(), proof + seconds(30 - 10 - 10 - 1));
}

TEST_F(FenceDeadline, ALongerTtlCountsFromTheNextLoop) {
  change({seconds(20), seconds(4), seconds(3)}, renewed - seconds(10));
  EXPECT_EQ(fence(), renewed + seconds(20 - 1)) << "one loop later to the moment";
  change({seconds(20), seconds(4), seconds(3)}, renewed - seconds(10) - milliseconds(1));
  EXPECT_EQ(fence(), renewed + seconds(30 - 1));
  change({seconds(20), seconds(15), seconds(3)}, renewed - seconds(15));
  EXPECT_EQ(fence(), renewed + seconds(20 - 1)) << "the longer loop of the two";
}

TEST_F(FenceDeadline, AShorterTtlCountsAtOnce) {
  change({seconds(60), seconds(10), seconds(10)}, now);
  EXPECT_EQ(fence(), renewed + seconds(30 - 1));
}

TEST_F(FenceDeadline, AShorterLoopOrRetryCountsFromTheNextLoop) {
  state.nodes[1].lease.renewed_after.reset();
  change({seconds(30), seconds(14), seconds(12)}, now);
  EXPECT_EQ(fence(), ago(seconds(5)) + seconds(30 - 14 - 1));
  state.nodes[1].lease.failsafe = true;
  EXPECT_EQ(fence(), state.nodes[1].lease.proof_sent + seconds(30 - 14 - 12 - 1));
}

// Node 1 was the primary and cannot be asked.
class Maintenance : public JudgeFacts {
 protected:
  Maintenance() {
    leads(1);
    fails(1, Outcome::kSilent, 2);
    says(0, false, false);
    says(2, false, false);
    state.paused = true;
  }
  // Node `i` answers as a replica. `known`: it says whether the cluster is paused.
  NodeState& says(std::size_t i, bool known, bool paused) {
    NodeState& n = answers(i, Cluster::replica(5));
    n.pause = {paused, known};
    return n;
  }
  void nobody_else_can_be_asked() {
    for (const std::size_t i : {0u, 2u}) fails(i, Outcome::kRefused, 1, 1);
  }
  bool found() { return maintenance(state, 1); }
};

TEST_F(Maintenance, OneMemberSaysSoAndNoneContradicts) {
  EXPECT_FALSE(found());
  says(2, true, true);
  EXPECT_TRUE(found());
  says(0, true, false);
  EXPECT_FALSE(found());
  says(0, true, true);
  EXPECT_TRUE(found());
}

TEST_F(Maintenance, WhoeverHasNotProvenItselfHasNoSay) {
  nobody_else_can_be_asked();
  state.nodes[1].pause = {true, true};
  ASSERT_TRUE(found());
  fails(2, Outcome::kSilent, 1);
  EXPECT_FALSE(found());
  state.nodes[2].discovered = true;
  EXPECT_TRUE(found());
}

TEST_F(Maintenance, AMemberThatHasJustComeBackMayConfirmItButNotDenyIt) {
  says(2, false, true);
  EXPECT_TRUE(found());
  says(2, true, true);
  says(0, false, false);
  EXPECT_TRUE(found());
}

TEST_F(Maintenance, TheNodesOwnWordCountsWithTheLeaseAlone) {
  answers(1, Cluster::replica(5)).pause = {true, true};
  EXPECT_FALSE(found());
  answers(1, Cluster::leader(5)).pause = {true, true};
  EXPECT_TRUE(found());
  says(2, true, true);
  answers(1, Cluster::leader(5)).pause = {false, true};
  EXPECT_FALSE(found());
  answers(1, Cluster::replica(5)).pause = {false, true};
  EXPECT_TRUE(found());
}

TEST_F(Maintenance, ItsLastWordStandsWhileAllOtherPatronisAreDown) {
  state.nodes[1].pause = {true, false};
  EXPECT_FALSE(found()) << "two members answer and do not say so";
  nobody_else_can_be_asked();
  EXPECT_TRUE(found());
  state.paused = false;
  EXPECT_FALSE(found()) << "another one has said otherwise since";
  state.paused = true;
  state.nodes[1].pause = {false, false};
  EXPECT_FALSE(found());
}

TEST_F(Maintenance, ItsLastWordDoesNotStandAgainstAMemberOutOfSight) {
  state.nodes[1].pause = {true, false};
  for (const std::size_t i : {0u, 2u}) {
    nobody_else_can_be_asked();
    ASSERT_TRUE(found());
    fails(i, Outcome::kSilent, 1);
    EXPECT_FALSE(found()) << i;
    nobody_else_can_be_asked();
    says(i, false, false);
    EXPECT_FALSE(found()) << i;
    nobody_else_can_be_asked();
    fails(i, Outcome::kRefused, 0);
    state.nodes[i].rest.report.reset();
    EXPECT_FALSE(found()) << i << " was never asked";
  }
}

TEST_F(Maintenance, AnAnswerWithoutTheLeaseLeavesItsLastWord) {
  nobody_else_can_be_asked();
  answers(1, Cluster::replica(5)).pause = {true, true};
  EXPECT_TRUE(found());
}

TEST_F(Maintenance, NotIfAnotherNodeHasShownTheLeaseOnce) {
  says(0, true, true);
  NodeState& n = answers(2, Cluster::leader(6));
  n.pause = {true, true};
  n.lease.replies = 1;
  EXPECT_FALSE(found());
}

TEST_F(Maintenance, AForeignNodeDoesNotCount) {
  says(0, true, true);
  answers(2, foreign(Cluster::replica(5))).pause = {false, true};
  EXPECT_TRUE(found());
  says(0, false, false);
  state.nodes[2].pause = {true, true};
  EXPECT_FALSE(found());
}

class AssessUnproven : public JudgeFacts {
 protected:
  AssessUnproven() {
    leads(1);
    fails(1, Outcome::kRefused, 2, 2);
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5));
    state.settings.times = {seconds(30), seconds(10), seconds(10)};
    fence_at(now);
  }
  void fence_at(Instant t) {
    state.nodes[1].lease.read_known = true;
    state.nodes[1].lease.renewed_after = t - seconds(30) + config.health.clock_margin;
    ASSERT_EQ(fence_deadline(config, state, 1), t);
  }
  std::string found() {
    const Assessment a = assess_unproven(context(), 1);
    return Cluster::words(a.verdict) + (a.lost ? ", lost" : "");
  }
  void is_late(milliseconds age) {
    RestState& rest = state.nodes[1].rest;
    rest.in_flight = true;
    rest.kind = ProbeKind::kLeader;
    rest.sent = ago(age);
  }
};

TEST_F(AssessUnproven, ItIsCutFromTheDeadlineOn) {
  EXPECT_EQ(found(), "cut fenced, lost");
  fence_at(now + milliseconds(1));
  EXPECT_EQ(found(), "admit orphaned");
}

TEST_F(AssessUnproven, OneFailureAloneNeverCuts) {
  fails(1, Outcome::kRefused, 1, 1);
  EXPECT_EQ(found(), "drain orphaned");
  is_late(kLate);
  EXPECT_EQ(found(), "cut fenced, lost") << "the next attempt is late";
  is_late(kLate - milliseconds(1));
  EXPECT_EQ(found(), "drain orphaned");
  state.nodes[1].rest.failures = 0;
  is_late(kLate);
  EXPECT_EQ(found(), "drain silent") << "only this one is late";
}

TEST_F(AssessUnproven, AfterAStallOfTheCheckerItIsHeldForAMoment) {
  state.grace_until = now + milliseconds(1);
  EXPECT_EQ(found(), "drain orphaned");
  state.grace_until = now;
  EXPECT_EQ(found(), "cut fenced, lost");
}

TEST_F(AssessUnproven, ADenialCutsAtOnce) {
  answers(1, Cluster::without_query(false, State::kUnknown, "unknown", Role::kPrimary));
  EXPECT_EQ(found(), "cut fenced, lost");
}

TEST_F(AssessUnproven, TheLeaseOfAnotherNodeCutsIfItWasSeenTwice) {
  fence_at(now + seconds(10));
  answers(2, Cluster::leader(6)).lease.replies = 1;
  EXPECT_EQ(found(), "admit orphaned");
  state.nodes[2].lease.replies = 2;
  EXPECT_EQ(found(), "cut fenced, lost");
}

TEST_F(AssessUnproven, ANodeNamedInTheStoreCutsAtOnce) {
  fence_at(now + seconds(10));
  reads_store(0, 2, milliseconds(50));
  EXPECT_EQ(found(), "cut fenced, lost");
}

TEST_F(AssessUnproven, APortThatAnswersIsNotYetReason) {
  fence_at(now + seconds(10));
  const auto why = [&](DatabaseAnswer answer) {
    state.nodes[1].database.answer = answer;
    const Verdict v = assess_unproven(context(), 1).verdict;
    const auto last = v.why.rfind("; ");
    return Cluster::words(v) + ": " + v.why.substr(last + 2, v.why.find(" for ", last) - last - 2);
  };
  EXPECT_EQ(why(DatabaseAnswer::kUnknown), "admit orphaned: its lease holds");
  EXPECT_EQ(why(DatabaseAnswer::kAnswers), "admit orphaned: PostgreSQL answers");
  EXPECT_EQ(why(DatabaseAnswer::kRefused), "drain down: PostgreSQL's port refuses connections");
  EXPECT_EQ(why(DatabaseAnswer::kUnreachable), "drain down: PostgreSQL's port cannot be reached");
  EXPECT_EQ(why(DatabaseAnswer::kHung),
            "drain silent: PostgreSQL accepts connections and does not answer");
  state.nodes[1].database.turned_away = now;
  EXPECT_EQ(why(DatabaseAnswer::kAnswers),
            "drain not_running: it turned a session away a moment ago");
  state.nodes[1].database.in_recovery = true;
  EXPECT_EQ(why(DatabaseAnswer::kAnswers), "drain not_running: PostgreSQL is in recovery");
}

}  // namespace
}  // namespace pgsteer
