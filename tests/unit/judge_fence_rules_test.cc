// How long an unproven primary keeps its sessions: each condition of each rule, at its exact
// moment.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

using std::chrono::hours;

// What the replies of node 1 say about the reads of the store by its Patroni.
class NoteLease : public JudgeFacts {
 protected:
  // Sent at `at`, received 10 ms later.
  void reply(milliseconds at, std::optional<std::int64_t> read, std::optional<std::int64_t> date) {
    Report r = Cluster::leader(5);
    r.dcs_last_seen = read;
    r.date = date;
    JudgeContext j = context();
    note_lease(j, state.nodes[1],
               LeaderEvidence{1, begin + at, begin + at + milliseconds(10), std::move(r)});
  }

  const Instant begin = now;
  LeaseState& lease = state.nodes[1].lease;
};

TEST_F(NoteLease, EachReplyIsAProof) {
  reply(seconds(1), std::nullopt, std::nullopt);
  EXPECT_EQ(lease.proof_sent, begin + seconds(1));
  EXPECT_EQ(lease.proof_received, begin + milliseconds(1'010));
  EXPECT_FALSE(lease.read_known);
}

TEST_F(NoteLease, AFirstReadWithoutADateMayBeOfAnyAge) {
  reply(seconds(1), 100, std::nullopt);
  EXPECT_FALSE(lease.read_known);
}

TEST_F(NoteLease, TheDateTellsTheAgeOfTheRead) {
  reply(seconds(1), 100, 103);
  EXPECT_TRUE(lease.read_known);
  EXPECT_EQ(lease.read_value, 100);
  EXPECT_EQ(lease.read_before, begin + milliseconds(1'010));
  EXPECT_EQ(lease.read_after, begin + seconds(1) - seconds(4)) << "both are cut to whole seconds";
  EXPECT_FALSE(lease.renewed_after);
}

TEST_F(NoteLease, ADateBeforeTheReadMeansNow) {
  reply(seconds(1), 100, 50);
  EXPECT_EQ(lease.read_after, begin + seconds(1));
}

TEST_F(NoteLease, AgesEndAfterADay) {
  reply(seconds(1), 100, 10'000'000);
  EXPECT_EQ(lease.read_after, begin + seconds(1) - hours(24));
}

TEST_F(NoteLease, AReadThatMovesIsYoungerThanTheRequestBefore) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 103, std::nullopt);
  EXPECT_EQ(lease.read_value, 103);
  EXPECT_EQ(lease.read_after, begin + seconds(1));
  EXPECT_EQ(lease.read_before, begin + milliseconds(3'010));
}

TEST_F(NoteLease, TheSameReadKeepsItsFirstMoment) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 100, std::nullopt);
  EXPECT_EQ(lease.read_before, begin + milliseconds(1'010));
  EXPECT_EQ(lease.read_after, begin + seconds(1) - seconds(1));
}

TEST_F(NoteLease, TheReadBeforeIsTheOneThatRenewed) {
  reply(seconds(1), 100, 100);
  const Instant older = lease.read_after;
  reply(seconds(3), 102, 102);
  EXPECT_EQ(lease.renewed_after, older);
  EXPECT_EQ(lease.older_before, begin + milliseconds(1'010));
}

// Nobody looked for longer than a loop: a read may have been missed, but not by more than a loop.
TEST_F(NoteLease, AfterAGapTheLastLoopRenewed) {
  const auto loop = state.settings.times.loop_wait;
  reply(seconds(1), 100, 100);
  const Instant older = lease.read_after;
  reply(seconds(1) + loop - milliseconds(10), 110, 110);  // received just in time
  EXPECT_EQ(lease.renewed_after, older);
  const Instant before = lease.read_after;
  reply(seconds(40), 139, 139);
  EXPECT_EQ(lease.renewed_after, lease.read_after - loop);
  EXPECT_GT(*lease.renewed_after, before);
}

TEST_F(NoteLease, AfterAGapTheKnownReadMayBeTheLaterOne) {
  const auto loop = state.settings.times.loop_wait;
  reply(seconds(1), 100, 100);
  const Instant older = lease.read_after;
  reply(seconds(1) + loop, 101, std::nullopt);  // surely after the first request alone
  EXPECT_EQ(lease.renewed_after, older);
}

TEST_F(NoteLease, WhoOutlivesTheOldReadHasRenewedSince) {
  const DcsTimes& t = state.settings.times;
  reply(seconds(1), 100, 100);
  reply(seconds(3), 102, 102);
  const auto older = lease.renewed_after;
  const milliseconds end = milliseconds(1'010) + t.retry_timeout + t.ttl;
  reply(end, 102, std::nullopt);
  EXPECT_EQ(lease.renewed_after, older);
  reply(end + milliseconds(1), 102, std::nullopt);
  EXPECT_EQ(lease.renewed_after, lease.read_after);
}

TEST_F(NoteLease, WithoutTheReadNothingIsKnown) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 102, 102);
  ASSERT_TRUE(lease.renewed_after);
  reply(seconds(4), std::nullopt, 103);
  EXPECT_FALSE(lease.read_known);
  EXPECT_FALSE(lease.renewed_after);
}

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
