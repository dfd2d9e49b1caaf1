// The evidence table: how long a primary that proves nothing keeps its sessions.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

TEST(JudgeFence, AnOrphanServesUntilItsLeaseMayPassOnAndNotLonger) {
  Cluster c;
  quiet(c);
  c.refuse(0);
  c.run(seconds(10));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  const auto took = until_cut(c) + seconds(10);
  EXPECT_EQ(c.rw(0), "cut fenced");
  // dcs_last_seen was 2.5 s ago; 30 - 10 - 1 = 19 s from there, less up to the second that whole
  // seconds and the time between two rounds leave open.
  EXPECT_GE(took, milliseconds(15'300));
  EXPECT_LE(took, milliseconds(16'500));
}

TEST(JudgeFence, TheTimesComeFromPatronisConfiguration) {
  Cluster c;
  c.times.ttl = seconds(20);
  c.times.loop_wait = seconds(2);
  c.run(seconds(61));
  c.refuse(0);
  const auto took = until_cut(c);
  EXPECT_GE(took, milliseconds(14'000));
  EXPECT_LE(took, milliseconds(17'000));
}

TEST(JudgeFence, WithoutLastSeenTheLastProofCounts) {
  Cluster c;
  for (auto& n : c.nodes) n.shows_dcs = false;
  c.run(seconds(61));
  c.refuse(0);
  const auto took = until_cut(c);  // 30 - 10 - 10 - 1 = 9 s after the last proof
  EXPECT_GE(took, milliseconds(7'800));
  EXPECT_LE(took, milliseconds(9'100));
}

TEST(JudgeFence, AnOldReadShortensIt) {
  // The store has been out of reach for 15 s when Patroni dies.
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.run(seconds(15));
  EXPECT_EQ(c.rw(0), "admit primary") << "while it proves its lease, it has it";
  c.refuse(0);
  // The read before, 17.5 s ago, was followed by a renewal for certain: 30 - 17.5 - 1 from here.
  const auto took = until_cut(c);
  EXPECT_LE(took, milliseconds(11'600));
  EXPECT_GE(took, milliseconds(10'000));
}

TEST(JudgeFence, AClockThatJumpsForwardOnTheNodeOnlyShortensIt) {
  Cluster c;
  quiet(c);
  c.clock_offset += 5;
  c.run(milliseconds(1'500));
  EXPECT_EQ(c.rw(0), "admit primary");
  c.refuse(0);
  EXPECT_LE(until_cut(c), milliseconds(16'500));
}

TEST(JudgeFence, AClockThatJumpsBackOnTheNodeDoesNotLengthenIt) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.run(seconds(5));
  c.clock_offset -= 3'600;  // dcs_last_seen seems to lie in the future now
  c.run(seconds(5));
  c.refuse(0);
  EXPECT_LE(until_cut(c), milliseconds(16'500));
}

// A loop that takes 22 s: the key was renewed in the one before it, and not since.
TEST(JudgeFence, ALoopThatOverrunsDoesNotLengthenIt) {
  Cluster c;
  quiet(c);  // the last loop began 2.5 s ago
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now) - 2;
  c.run(milliseconds(19'500));
  c.nodes[0].dcs_stuck =
      c.wall(c.now);  // the next read, 22 s after the last one; then it is killed
  c.run(milliseconds(1'100));
  c.refuse(0);
  const auto took = until_cut(c);  // 30 - 22 - 1, less what has passed since the read
  EXPECT_LE(took, milliseconds(6'000));
  EXPECT_GE(took, milliseconds(4'000));
}

// The store was away for a minute, in maintenance mode. The lease that is shown afterwards cannot
// be that of before.
TEST(JudgeFence, ALeaseThatOutlivedTheOldReadCountsFromTheNewOne) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now) - 2;
  c.run(seconds(60));
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.run(milliseconds(1'500));
  c.refuse(0);
  EXPECT_GE(until_cut(c), seconds(25));
}

TEST(JudgeFence, ALeaseThatWasNotShownBeforeWasRenewedSince) {
  Cluster c;
  quiet(c);  // the last loop began 2.5 s ago
  c.run(seconds(7));
  Report restarted = Cluster::leader(5);  // Patroni was killed and has just come back
  restarted.lease = false;
  restarted.status = 503;
  c.answer(0, restarted);
  c.run(seconds(1));
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.answer(0, Cluster::leader(5));
  c.run(seconds(1));
  c.refuse(0);
  EXPECT_GE(until_cut(c), milliseconds(26'000));
}

// With the lease and stopping, it takes no new sessions; that Patroni falls silent changes nothing.
TEST(JudgeFence, SilenceDoesNotMakeAStoppedDatabaseRun) {
  Cluster c;
  quiet(c);
  c.answer(0, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  c.run(seconds(30));
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.nodes[0].database = DatabaseAnswer::kUnknown;
  c.silence(0, DatabaseAnswer::kUnknown);
  for (int i = 0; i < 40; ++i) {
    c.run(milliseconds(100));
    EXPECT_FALSE(c.admits(0));
  }
}

TEST(JudgeFence, APromotionThatFallsSilentIsNotTakenForDone) {
  Cluster c;
  quiet(c);
  c.answer(0, Cluster::promoting(5));
  for (std::size_t i : {1u, 2u}) c.nodes[i].reply.nofailover = true;
  c.run(seconds(30));
  c.silence(0);
  c.run(seconds(30));
  EXPECT_EQ(c.rw(0), "drain not_running") << "PostgreSQL answers, but as a standby does";
}

TEST(JudgeFence, ADenialOfLongAgoDoesNotShortenIt) {
  Cluster c;
  Report r = Cluster::replica(5);
  c.answer(0, r);
  c.run(seconds(5));
  c.silence(0, DatabaseAnswer::kRefused);
  c.run(seconds(60));
  c.answer(0, Cluster::leader(6));
  c.run(seconds(3));
  ASSERT_EQ(c.rw(0), "admit primary");
  c.silence(0);
  c.run(seconds(4));
  EXPECT_TRUE(c.admits(0)) << c.rw(0);
}

TEST(JudgeFence, ReadsThatMayHaveBeenMissedCountByLoopWait) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(60));
  c.answer(0, Cluster::leader(5));
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit primary");
  c.refuse(0);
  EXPECT_GE(until_cut(c), seconds(8)) << "not counted from a read of more than a minute ago";
}

TEST(JudgeFence, ALongerTtlCountsOnceTheKeyWasRenewedWithIt) {
  Cluster c;
  quiet(c);
  c.times.ttl = seconds(120);
  c.run_until([&] { return c.state.settings.times.ttl == seconds(120); }, seconds(40));
  c.refuse(0);
  EXPECT_LE(until_cut(c), seconds(30)) << "the key may still have the old one";
}

TEST(JudgeFence, AfterTwoLoopsTheLongerTtlCounts) {
  Cluster c;
  quiet(c);
  c.times.ttl = seconds(120);
  c.run(seconds(90));
  c.refuse(0);
  EXPECT_GE(until_cut(c, seconds(150)), seconds(90));
}

TEST(JudgeFence, FailsafeModeCountsFromTheLastProof) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  Report r = Cluster::leader(5);
  r.failsafe = true;
  r.cluster_unlocked = true;
  c.answer(0, r);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit primary") << "the members agree, the store is not needed";
  c.refuse(0);
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  const auto took = until_cut(c);
  EXPECT_LE(took, milliseconds(4'100));
}

TEST(JudgeFence, StoreDownWithoutFailsafeIsNoLossUntilPatroniSaysSo) {
  Cluster c;
  quiet(c);
  for (auto& n : c.nodes) n.dcs_loop = false, n.dcs_stuck = c.wall(c.now);
  Report r = Cluster::leader(5);
  r.cluster_unlocked = true;
  c.answer(0, r);
  c.run(seconds(18));
  EXPECT_EQ(c.rw(0), "admit primary");
  c.answer(0, Cluster::without_query(true, State::kStopping, "stopping", Role::kPrimary));
  c.run(seconds(1) + milliseconds(110));
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.answer(0, Cluster::replica(5));
  c.run(milliseconds(110));
  EXPECT_EQ(c.rw(0), "cut lost_role");
}

TEST(JudgeFence, OneFailedProbeNeverCuts) {
  for (Outcome outcome :
       {Outcome::kRefused, Outcome::kUnreachable, Outcome::kSilent, Outcome::kEmpty,
        Outcome::kMalformed, Outcome::kTlsFailed, Outcome::kUnresolved}) {
    Cluster c;
    quiet(c);
    c.nodes[0].outcome = outcome;
    c.nodes[0].latency = milliseconds(3);
    c.run_until([&] { return c.state.nodes[0].rest.failures == 1; }, milliseconds(1'500));
    ASSERT_EQ(c.state.nodes[0].rest.failures, 1u) << to_string(outcome);
    EXPECT_TRUE(c.admits(0)) << to_string(outcome);
    c.answer(0, Cluster::leader(5));
    c.run(milliseconds(300));
    EXPECT_EQ(c.rw(0), "admit primary") << to_string(outcome);
    EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u)
        << to_string(outcome);
  }
}

TEST(JudgeFence, OneFailedProbePastTheFenceHoldsButDoesNotCut) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.run(seconds(30));
  EXPECT_EQ(c.rw(0), "admit primary");
  c.refuse(0);
  c.run_until([&] { return c.state.nodes[0].rest.failures == 1; }, milliseconds(1'500));
  EXPECT_EQ(c.verdict(kReadWrite, 0).admission, Admission::kDrain);
  c.run(milliseconds(110));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeFence, SilenceOfSixSecondsIsNoticedByNobody) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.run(seconds(6));
  EXPECT_EQ(c.rw(0), "admit silent");
  c.answer(0, Cluster::leader(5));
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
}

TEST(JudgeFence, SilentWithARefusingDatabaseHoldsAndLeavesTheDyingAlone) {
  Cluster c;
  quiet(c);
  c.refuse(0, DatabaseAnswer::kRefused);
  c.run(milliseconds(1'500));
  EXPECT_EQ(c.rw(0), "drain down");
  EXPECT_EQ(c.primary(), 0u);
  c.run(seconds(20));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeFence, AFrozenNodeHoldsNewSessions) {
  Cluster c;
  quiet(c);
  c.silence(0, DatabaseAnswer::kHung);
  c.run(milliseconds(3'500));
  EXPECT_EQ(c.verdict(kReadWrite, 0).admission, Admission::kDrain);
  c.run(seconds(20));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeFence, AFrozenNodeHoldsNewSessionsBeforeItsDeadline) {
  Cluster c;
  quiet(c);
  c.config.health.timeout = seconds(10);
  c.silence(0, DatabaseAnswer::kHung);
  c.run(milliseconds(1'700));  // a round, half a second of patience, one look at the port
  EXPECT_EQ(c.state.nodes[0].rest.failures, 0u);
  EXPECT_EQ(c.rw(0), "drain silent");
}

TEST(JudgeFence, ALateReplyAloneHoldsNobody) {
  Cluster c;
  quiet(c);
  c.nodes[0].latency = milliseconds(1'500);
  c.run(seconds(30));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
}

// systemctl stop patroni: REST accepts connections and does not answer while PostgreSQL shuts
// down.
TEST(JudgeFence, ASilentPrimaryThatTurnsSessionsAwayHoldsThem) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.run(milliseconds(3'500));
  EXPECT_EQ(c.rw(0), "admit silent");
  c.step({SuspicionEvidence{{0, SuspicionKind::kShuttingDown}}});
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.run(milliseconds(900));
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.run(milliseconds(200));
  EXPECT_EQ(c.rw(0), "admit silent") << "the next one may try";
}

// PostgreSQL came back as a replica while Patroni was silent: nobody else is sent there to find
// out.
TEST(JudgeFence, ASilentPrimaryFoundInHotStandbyIsHeldUntilPatroniAnswers) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.run(milliseconds(3'500));
  c.step({SuspicionEvidence{{0, SuspicionKind::kInHotStandby}}});
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.answer(0, Cluster::leader(5));
  c.run(milliseconds(2'500));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgeFence, APrimaryThatTurnsSessionsAwayIsHeldUntilItsNextAnswer) {
  Cluster c;
  quiet(c);
  c.nodes[0].latency = milliseconds(20);
  c.run(milliseconds(2'050));
  c.step({SuspicionEvidence{{0, SuspicionKind::kShuttingDown}}});
  EXPECT_EQ(c.rw(0), "drain not_running");
  c.run(milliseconds(150));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgeFence, SessionsThatEndAreASuspicionButHoldNobody) {
  Cluster c;
  quiet(c);
  c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}},
          SuspicionEvidence{{0, SuspicionKind::kConnectTimedOut}}});
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgeFence, PoweredOffNodeHoldsNewSessions) {
  Cluster c;
  quiet(c);
  c.silence(0, DatabaseAnswer::kUnreachable);
  c.nodes[0].outcome = Outcome::kUnreachable;
  c.run(milliseconds(3'500));
  EXPECT_EQ(c.rw(0), "drain down");
}

TEST(JudgeFence, SomebodyElseWithTheLeaseCutsASilentPrimary) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.run(seconds(4));
  EXPECT_TRUE(c.admits(0));
  c.answer(1, Cluster::promoting(5));
  const auto took = until_cut(c, seconds(2));
  EXPECT_LE(took, milliseconds(300));
  EXPECT_EQ(c.rw(0), "cut fenced");
  EXPECT_EQ(c.rw(1), "drain promoting");
}

// A VM that stood still, clock and all, still believes in its lease when it thaws.
TEST(JudgeFence, AnOldLeaderThatThawsDoesNotCutASilentPrimary) {
  for (const Report& r : {Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary),
                          Cluster::leader(4), Cluster::promoting(4)}) {
    Cluster c;
    quiet(c);
    c.silence(0);
    c.run(seconds(4));
    c.answer(1, r);
    c.run(seconds(3));
    EXPECT_EQ(c.rw(0), "admit silent") << r.state_word << to_string(r.role);
  }
}

TEST(JudgeFence, AProvenLeaderIsNotCutBecauseAnotherShowsTheLeaseInRecovery) {
  Cluster c;
  quiet(c);
  c.answer(1, Cluster::promoting(5));
  c.run(seconds(10));
  EXPECT_EQ(c.rw(0), "admit primary");
}

// Its last answer, from before it fell silent, must not make it the primary again at once.
TEST(JudgeFence, ALateLeaderWhoseLeaseWentElsewhereIsNotAdoptedAgain) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now) - 2;
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "admit primary") << "past its fence, but it still proves the lease";
  const auto adopted = c.count(TransitionKind::kNewPrimary);
  c.silence(0);
  c.answer(1, Cluster::promoting(5));
  EXPECT_LE(until_cut(c, seconds(3)), milliseconds(2'000));
  EXPECT_EQ(c.state.nodes[0].rest.failures, 0u) << "it is late, no attempt has failed yet";
  c.run(milliseconds(200));
  EXPECT_EQ(c.rw(0), "cut fenced");
  EXPECT_EQ(c.count(TransitionKind::kNewPrimary), adopted);
}

// Too many open files: nobody was asked, so nobody is to blame; but no proof is no proof.
TEST(JudgeFence, AFaultOfPgsteerItselfIsAnAlarmAndNoEvidence) {
  Cluster c;
  quiet(c);
  for (auto& n : c.nodes) {
    n.outcome = Outcome::kLocalFault;
    n.latency = milliseconds(1);
  }
  c.run(seconds(10));
  EXPECT_TRUE(c.alarm(AlarmKind::kLocalFault));
  EXPECT_TRUE(c.admits(0));
  for (auto& n : c.nodes) n.outcome = Outcome::kAnswered;
  c.run(seconds(3));
  EXPECT_FALSE(c.alarm(AlarmKind::kLocalFault));
  EXPECT_EQ(c.rw(0), "admit primary");
  for (auto& n : c.nodes) n.outcome = Outcome::kLocalFault;
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "cut fenced") << "its lease may have passed on meanwhile";
}

}  // namespace
}  // namespace pgsteer
