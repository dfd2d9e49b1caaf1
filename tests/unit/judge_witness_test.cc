// The evidence table: what keeps a primary that proves nothing beyond its fence deadline, which is
// maintenance mode or a witness.
#include "health/judge_context.h"
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

void pause(Cluster& c, std::size_t i, Report r) {
  r.pause = true;
  c.answer(i, r);
}

TEST(JudgeMaintenance, APausedClusterKeepsASilentPrimaryForever) {
  Cluster c;
  quiet(c);
  pause(c, 0, Cluster::leader(5));
  pause(c, 1, Cluster::replica(5));
  pause(c, 2, Cluster::replica(5));
  c.run(seconds(3));
  c.refuse(0);
  c.run(seconds(300));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
}

TEST(JudgeMaintenance, OneMemberThatDoesNotSayPauseIsEnoughToFence) {
  Cluster c;
  quiet(c);
  pause(c, 1, Cluster::replica(5));
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// Patroni's REST API answers before its first loop, without the lease and without the pause.
TEST(JudgeMaintenance, APatroniThatComesBackBeforeItHasReadTheStoreCutsNobody) {
  for (std::size_t back : {0u, 1u}) {
    Cluster c;
    quiet(c);
    pause(c, 0, Cluster::leader(5));
    pause(c, 1, Cluster::replica(5));
    pause(c, 2, Cluster::replica(5));
    c.run(seconds(3));
    c.refuse(0);
    if (back == 1) c.refuse(1);
    c.run(seconds(40));
    EXPECT_EQ(c.rw(0), "admit maintenance");
    Report ignorant = back == 0 ? Cluster::leader(5) : Cluster::replica(5);
    ignorant.lease = false;
    ignorant.status = 503;
    c.answer(back, ignorant);
    c.run(seconds(3));
    EXPECT_EQ(c.rw(0), "admit maintenance") << back;
    c.run(seconds(5));
    if (back == 1) {
      EXPECT_EQ(c.rw(0), "cut fenced") << "by now it would know: it is not paused";
    }
  }
}

TEST(JudgeMaintenance, ALeaderThatWasDownWhenThePauseBeganMayComeBack) {
  Cluster c;
  quiet(c);
  c.refuse(0);
  c.run(seconds(5));
  pause(c, 1, Cluster::replica(5));
  pause(c, 2, Cluster::replica(5));
  c.run(seconds(40));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  Report ignorant = Cluster::leader(5);
  ignorant.lease = false;
  ignorant.status = 503;
  c.answer(0, ignorant);
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit maintenance");
}

TEST(JudgeMaintenance, SomebodyElseLeadingEndsIt) {
  Cluster c;
  quiet(c);
  pause(c, 1, Cluster::replica(5));
  pause(c, 2, Cluster::replica(5));
  c.refuse(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  pause(c, 1, Cluster::leader(6));
  c.run(milliseconds(600));
  EXPECT_EQ(c.rw(0), "cut superseded");
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST(JudgeMaintenance, SomebodyElseLeadingOnALowerTimelineEndsItToo) {
  Cluster c;
  quiet(c);
  pause(c, 1, Cluster::replica(5));
  pause(c, 2, Cluster::replica(5));
  c.refuse(0);
  c.run(seconds(60));
  pause(c, 1, Cluster::leader(4));
  c.run(milliseconds(1'200));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeMaintenance, AStoppedDatabaseIsHeld) {
  Cluster c;
  quiet(c);
  pause(c, 1, Cluster::replica(5));
  pause(c, 2, Cluster::replica(5));
  c.refuse(0, DatabaseAnswer::kRefused);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "drain down");
}

TEST(JudgeMaintenance, SeveralClaimsWithTheStoreDownKeepTheCurrentOne) {
  Cluster c;
  quiet(c);
  pause(c, 0, Cluster::leader(5));
  pause(c, 1, Cluster::leader(5));
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.alarm(AlarmKind::kClaimants));
}

TEST(JudgeMaintenance, ALoneNodeThatWasPausedIsKept) {
  Cluster c(1);
  pause(c, 0, Cluster::leader(5));
  c.run(seconds(5));
  c.refuse(0);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit maintenance");
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
