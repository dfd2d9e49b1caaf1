// The evidence table: what members say about a primary whose Patroni cannot be asked.
#include "health/judge_context.h"
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

// An old leader thaws and takes the key on its timeline; the holder, demoted, cannot be asked.
TEST(JudgeWitness, ALowerLeaseThatTheStoreConfirmsCutsASilentPrimary) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.run(seconds(4));
  c.answer(1, Cluster::leader(4));
  c.nodes[2].store_says = "pg-2";
  EXPECT_LE(until_cut(c, seconds(3)), milliseconds(400));
  EXPECT_EQ(c.rw(0), "cut fenced");
  EXPECT_FALSE(c.admits(1)) << "held by the timeline rule while the higher one was just in sight";
  c.answer(2, Cluster::replica(4));  // rewound
  c.run(seconds(8));
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST(JudgeWitness, AReadThatIsOlderThanTheNamedNodesOwnAnswerIsOutweighed) {
  Cluster c;
  quiet(c);
  c.silence(0);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-2";  // which says itself that it is a replica
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit silent");
}

// The REST port is dropped by a filter, its backlog is full, its certificate has expired.
TEST(JudgeWitness, AnApiThatCannotBeReachedIsHungNotDead) {
  for (const Outcome outcome : {Outcome::kUnreachable, Outcome::kTlsFailed}) {
    Cluster c;
    quiet(c);
    c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
    c.nodes[0].outcome = outcome;
    c.nodes[0].latency = milliseconds(1'000);
    c.run(seconds(60));
    EXPECT_EQ(c.rw(0), "admit witnessed") << to_string(outcome);
    EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
  }
}

TEST(JudgeWitness, ItIsAdmittedAgainAsSoonAsOneMemberNamesItAgain) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  c.nodes[1].store_says = c.nodes[2].store_says = "";  // the store holds an election
  c.run(seconds(4));
  EXPECT_EQ(c.rw(0), "cut fenced");
  c.nodes[2].store_says = "pg-1";
  EXPECT_LE(c.run_until([&] { return c.admits(0); }, seconds(2)), milliseconds(450));
  EXPECT_EQ(c.rw(0), "admit trial") << "it may have been restarted as a replica meanwhile";
  EXPECT_EQ(c.state.published.timeline, 5u);
  c.nodes[1].store_says = "pg-1";
  c.run(seconds(1));
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

// Its Patroni took the key and hangs, its PostgreSQL is still in recovery: reads there are right.
TEST(JudgeWitness, ANodeThatNobodySawWritableKeepsItsReads) {
  Cluster c;
  quiet(c);
  c.answer(0, Cluster::replica(5));
  c.run(seconds(1));
  c.silence(1);
  for (auto& n : c.nodes) n.store_says = "pg-2";
  c.nodes[1].reply.timeline = 6;
  c.run_until([&] { return c.admits(1); }, seconds(10));
  ASSERT_EQ(c.primary(), 1u);
  c.step({SuspicionEvidence{{1, SuspicionKind::kInHotStandby}}});
  for (auto& n : c.nodes) n.store_says = "nobody";
  c.run(seconds(5));
  ASSERT_FALSE(c.primary());
  EXPECT_EQ(c.verdict(kReadOnly, 1).admission, Admission::kDrain) << c.ro(1);
}

TEST(JudgeWitness, AMemberThatNamesAnotherHungOneMovesThePrimary) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.silence(1);
  c.run(seconds(40));
  ASSERT_EQ(c.rw(0), "admit witnessed");
  c.nodes[2].store_says = "pg-2";
  c.nodes[1].reply.timeline = 6;
  c.run_until([&] { return c.admits(1); }, seconds(3));
  EXPECT_EQ(c.rw(0), "cut fenced");
  EXPECT_EQ(c.rw(1), "admit trial");
}

// pgsteer itself stood still: what the witnesses said is old, and they have not been asked again.
TEST(JudgeWitness, AfterAStallTheyAreAskedBeforeAnybodyIsCut) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  ASSERT_EQ(c.rw(0), "admit witnessed");
  c.now += seconds(4);
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  EXPECT_EQ(c.count(TransitionKind::kLost), 0u);
}

// It lost the store and stepped down; its key is still there, and then its API hangs.
TEST(JudgeWitness, ALeaderThatSteppedDownIsNotTakenBackForItsOldKey) {
  Cluster c;
  quiet(c);
  for (auto& n : c.nodes) n.store_says = "pg-1";
  c.answer(0, Cluster::replica(5));
  c.run(seconds(2));
  ASSERT_FALSE(c.primary());
  c.silence(0);
  c.run(seconds(10));
  EXPECT_FALSE(c.primary());
  for (auto& n : c.nodes) n.reply.timeline = 6;  // promoted meanwhile
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

TEST(JudgeWitness, ItIsNotAdmittedAgainWhileAnotherShowsTheLease) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  c.nodes[1].store_says = c.nodes[2].store_says = "";
  c.run(seconds(4));
  c.answer(1, Cluster::promoting(5));
  c.nodes[2].store_says = "pg-1";
  c.run(seconds(1));
  EXPECT_FALSE(c.admits(0));
}

class HungAtTheStart : public testing::Test {
 protected:
  HungAtTheStart() { c.silence(0); }
  Cluster c;
};

TEST_F(HungAtTheStart, TwoMembersThatNameItAdmitIt) {
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.run(seconds(4));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  EXPECT_EQ(c.primary(), 0u);
  EXPECT_EQ(c.state.published.nodes[0].tls, TlsAnswer::kNo) << "clients have to be told";
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  c.answer(0, Cluster::leader(5));
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(HungAtTheStart, OneMemberPutsItOnTrialUntilASessionCouldWrite) {
  c.nodes[1].store_says = "pg-1";
  c.run(seconds(4));
  EXPECT_EQ(c.rw(0), "admit trial");
  c.step({WritableEvidence{0}});
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

TEST_F(HungAtTheStart, ASessionThatFindsItInRecoveryEndsTheTrial) {
  c.nodes[1].store_says = "pg-1";
  c.run(seconds(4));
  c.step({SuspicionEvidence{{0, SuspicionKind::kInHotStandby}}});
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "drain not_running");
}

TEST_F(HungAtTheStart, NobodyIsAdmittedWhileTheStoreNamesNobodyOrItsPortIsDead) {
  c.nodes[1].store_says = c.nodes[2].store_says = "nobody";
  c.run(seconds(5));
  EXPECT_FALSE(c.primary());
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.nodes[0].database = DatabaseAnswer::kRefused;
  c.run(seconds(20));
  EXPECT_FALSE(c.primary());
}

TEST_F(HungAtTheStart, TheLeaderOfAStandbyClusterTakesNoWrites) {
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.leader_word = "standby_leader";
  c.run(seconds(10));
  EXPECT_FALSE(c.primary());
}

TEST_F(HungAtTheStart, AHigherTimelineInSightSpeaksAgainstIt) {
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.answer(2, Cluster::replica(6));
  c.run(seconds(5));
  EXPECT_FALSE(c.primary());
}

TEST(JudgeWitness, MembersThatTheLeaderCallsInFailsafeModeSpeakForIt) {
  Cluster c;
  quiet(c);
  for (std::size_t i = 0; i < 3; ++i) {
    Report r = c.nodes[i].reply;
    r.failsafe = r.cluster_unlocked = true;
    c.answer(i, r);
    c.nodes[i].dcs_loop = false;
    c.nodes[i].dcs_stuck = c.wall(c.now);
  }
  c.run(seconds(30));
  EXPECT_TRUE(c.state.failsafe);
  c.silence(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  for (std::size_t i : {1u, 2u}) {
    Report r = Cluster::replica(5);  // the store is back, and nobody read there that pg-1 leads
    c.answer(i, r);
  }
  EXPECT_LE(until_cut(c), seconds(3));
}

TEST(JudgeWitness, AHungApiIsKeptWhileTheStoreNamesIt) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-2";
  EXPECT_LE(until_cut(c), milliseconds(1'100));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeWitness, OneClosedConnectionOfAHungApiCutsNobody) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(60));
  c.refuse(0);
  c.run(milliseconds(100));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  EXPECT_LE(until_cut(c), seconds(1)) << "two in a row: it is dead";
}
TEST(JudgeWitness, WithoutAnAnswerItIsFenced) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  EXPECT_EQ(c.rw(0), "admit witnessed");
  c.nodes[1].store_says = c.nodes[2].store_says = "";
  EXPECT_LE(until_cut(c), milliseconds(2'300));
}

TEST(JudgeWitness, AMemberThatIsBeingRebuiltIsNone) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = "pg-1";
  c.nodes[2].store_says = "nobody";  // of the other cluster, for which it is rebuilt
  c.answer(2, Cluster::without_query(false, State::kBootstrap, "creating replica", Role::kReplica));
  c.silence(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

TEST(JudgeWitness, OneOfTwoWitnessesIsEnough) {
  Cluster c;
  quiet(c);
  c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

TEST(JudgeWitness, ADeadPatroniIsNotWitnessed) {
  // Refused is not hung: the key still names it, but nobody renews it.
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeWitness, ADatabaseThatIsSlowOnceIsKept) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  ASSERT_EQ(c.rw(0), "admit witnessed");
  JudgeState& s = c.state;
  s.nodes[0].database.in_flight = true;
  judge(c.config, s, {DatabaseEvidence{0, c.now, c.now, DatabaseAnswer::kHung}}, c.now);
  EXPECT_EQ(s.nodes[0].database.answer, DatabaseAnswer::kAnswers);
  c.silence(0, DatabaseAnswer::kHung);
  EXPECT_LE(until_cut(c), seconds(2)) << "slow again and again";
}
TEST(JudgeWitness, AHungDatabaseIsNotWitnessed) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0, DatabaseAnswer::kHung);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeWitness, ANewLeaderEndsItAtOnce) {
  Cluster c;
  quiet(c);
  c.nodes[1].store_says = c.nodes[2].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(25));
  c.answer(1, Cluster::leader(6));
  const auto took = c.run_until([&] { return c.admits(1); }, milliseconds(1'000));
  EXPECT_LE(took, milliseconds(110));
  EXPECT_TRUE(c.cuts(0));
}

// Patroni before 3.2 does not tell its name. The leader has got a new address, so that GET /cluster
// shows one that is not configured.
TEST(JudgeWitness, AMemberKeepsItsNodeWhenItsAddressChanges) {
  for (const bool known_before : {true, false}) {
    Cluster c;
    for (std::size_t i = 0; i < 3; ++i) c.nodes[i].member_name = "pod-" + std::to_string(i + 1);
    for (auto& n : c.nodes) n.store_says = "pod-1";
    if (!known_before) c.nodes[0].address_moved = true;
    c.run(seconds(95));
    ASSERT_EQ(c.rw(0), "admit primary");
    c.nodes[0].address_moved = true;
    c.silence(0);
    c.run(seconds(5));
    EXPECT_EQ(c.rw(0), "admit silent") << "not taken for another leader";
    c.run(seconds(40));
    EXPECT_EQ(c.rw(0), known_before ? "admit witnessed" : "cut fenced");
  }
}

// Rebuilt with each other's names. From Patroni 3.2 on each one tells its own.
TEST(JudgeWitness, ANodesOwnNameCountsBeforeARememberedOne) {
  Cluster c;
  for (std::size_t i = 0; i < 3; ++i) {
    c.nodes[i].member_name = "pod-" + std::to_string(i + 1);
    c.nodes[i].reply.patroni_name = c.nodes[i].member_name;
    c.nodes[i].store_says = "pod-1";
  }
  c.run(seconds(95));
  std::swap(c.nodes[0].member_name, c.nodes[1].member_name);
  for (auto& n : c.nodes) {
    n.reply.patroni_name = n.member_name;
    n.store_says = "pod-2";
  }
  c.run(seconds(95));
  c.silence(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit witnessed");
}

TEST(JudgeWitness, AnUnknownLeaderBesideAllOurNodesIsAnotherOne) {
  Cluster c;
  quiet(c);
  c.stranger_member = true;
  for (auto& n : c.nodes) n.store_says = "pg-9";
  c.silence(0);
  c.nodes[1].reply.cluster_unlocked = true;  // a reason to ask
  c.answer(1, Cluster::promoting(4));
  EXPECT_LE(until_cut(c, seconds(20)), seconds(4));
}

TEST(JudgeWitness, MembersAreMatchedByAddressBeforePatroniTellsNames) {
  Cluster c;
  c.run(seconds(1));
  ClusterMember m;
  m.name = "some-pod-0";
  m.api_url = "http://10.0.0.1:8008/patroni";
  EXPECT_TRUE(names_node(c.config, c.state, m, 0));
  EXPECT_FALSE(names_node(c.config, c.state, m, 1));
  m.api_url = "";
  m.host = "10.0.0.2";
  m.port = 5432;
  EXPECT_TRUE(names_node(c.config, c.state, m, 1));
  m.port = 5433;
  EXPECT_FALSE(names_node(c.config, c.state, m, 1));
}

}  // namespace
}  // namespace pgsteer
