// Which nodes are ours: scope and system identifier, at the start and later.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

Report in_scope(Report r, const char* scope, const char* identifier = "7001") {
  r.scope = scope;
  r.system_identifier = identifier;
  return r;
}

Report standby_leader(std::uint32_t timeline) {
  Report r = Cluster::replica(timeline);
  r.status = 200;
  r.lease = true;
  r.role = Role::kStandbyLeader;
  return r;
}

// pg-1 and pg-2 are the cluster "main", pg-3 and pg-4 its standby cluster "away".
class TwoScopes : public testing::Test {
 protected:
  TwoScopes() {
    c.answer(0, in_scope(Cluster::leader(5), "main"));
    c.answer(1, in_scope(Cluster::replica(5), "main"));
    c.answer(2, in_scope(standby_leader(5), "away"));
    c.answer(3, in_scope(Cluster::replica(5), "away"));
  }
  Cluster c{4};
};

TEST_F(TwoScopes, TheLeaseOfAStandbyLeaderIsNotOurs) {
  quiet(c);
  EXPECT_EQ(c.rw(2), "cut foreign");
  EXPECT_EQ(c.ro(3), "cut foreign");
  EXPECT_TRUE(c.alarm(AlarmKind::kForeign, 2));
  c.silence(0);  // a hiccup of 2 s
  c.run(seconds(3));
  EXPECT_TRUE(c.admits(0)) << c.rw(0);
  c.answer(0, in_scope(Cluster::leader(5), "main"));
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
}

TEST_F(TwoScopes, PromotingTheStandbyClusterTakesNothing) {
  quiet(c);
  c.answer(2, in_scope(Cluster::leader(6), "away"));
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.rw(2), "cut foreign");
  EXPECT_FALSE(c.alarm(AlarmKind::kClaimants));
  EXPECT_FALSE(c.alarm(AlarmKind::kHigherTimeline));
}

TEST_F(TwoScopes, ItsPauseIsNotOurs) {
  quiet(c);
  for (std::size_t i : {2u, 3u}) {
    Report r = c.nodes[i].reply;
    r.pause = true;
    c.answer(i, r);
  }
  c.run(seconds(2));
  EXPECT_FALSE(c.state.paused);
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST_F(TwoScopes, ALargerStandbyClusterIsNotTakenForUs) {
  Cluster five(5);
  five.answer(0, in_scope(Cluster::leader(5), "main"));
  five.answer(1, in_scope(Cluster::replica(5), "main"));
  five.answer(2, in_scope(standby_leader(5), "away"));
  five.answer(3, in_scope(Cluster::replica(5), "away"));
  five.answer(4, in_scope(Cluster::replica(5), "away"));
  five.run(seconds(2));
  EXPECT_EQ(five.rw(0), "admit primary");
}

TEST_F(TwoScopes, ItIsKeptWhenOursIsGone) {
  quiet(c);
  c.refuse(0, DatabaseAnswer::kRefused);
  c.refuse(1, DatabaseAnswer::kRefused);
  c.answer(2, in_scope(Cluster::leader(6), "away"));
  c.run(seconds(120));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.rw(2), "cut foreign");
}

TEST(JudgeIdentity, AStrangerThatWasAloneAtTheStartIsFoundOutWhenWeAreBack) {
  Cluster c;
  c.nodes[2].reply = in_scope(Cluster::replica(9), "main", "9009");
  for (std::size_t i : {0u, 1u}) {
    c.nodes[i].reply.scope = "main";
    c.nodes[i].outcome = Outcome::kRefused;
  }
  c.run(seconds(5));
  EXPECT_EQ(c.state.identity.identifier, "9009");
  c.answer(0, c.nodes[0].reply);
  c.answer(1, c.nodes[1].reply);
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.rw(2), "cut foreign");
}

// The stranger answers first, and its timeline is nobody's loss.
TEST(JudgeIdentity, AStrangersTimelineIsNotOneThatWentBack) {
  Cluster c;
  c.nodes[2].reply = in_scope(Cluster::leader(9), "away", "9009");
  for (std::size_t i : {0u, 1u}) {
    c.nodes[i].reply.scope = "main";
    c.nodes[i].latency = milliseconds(50);
  }
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_FALSE(c.alarm(AlarmKind::kTimelineWentBack));
}

TEST(JudgeIdentity, ALoneLeaderIsNotLockedOutByAMajorityWithoutOne) {
  Cluster c;
  for (std::size_t i : {1u, 2u}) c.nodes[i].reply.system_identifier = "9009";
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "cut not_primary") << "undecided: nobody is foreign";
  EXPECT_TRUE(c.alarm(AlarmKind::kIdentity));
  EXPECT_NE(c.state.no_primary_why.find("different clusters"), std::string::npos);
  c.refuse(1);
  c.refuse(2);
  c.run(seconds(20));
  EXPECT_FALSE(c.primary()) << "the others may be back";
  c.run(seconds(12));
  EXPECT_EQ(c.rw(0), "admit primary") << "everybody in sight has agreed for a while";
}

TEST(JudgeIdentity, OneOfManyIsNotBelievedBeforeTheOthersHadTheirTime) {
  Cluster c(5);
  Report stranger = Cluster::leader(9);
  stranger.system_identifier = "9009";
  c.answer(4, stranger);
  for (std::size_t i = 0; i < 4; ++i) c.nodes[i].outcome = Outcome::kUnresolved;
  c.run(milliseconds(1'500));
  EXPECT_FALSE(c.primary());
  for (std::size_t i = 0; i < 4; ++i) c.answer(i, c.nodes[i].reply);
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.rw(4), "cut foreign");
}

TEST(JudgeIdentity, OneOfManyIsBelievedWhenTheOthersAreGone) {
  Cluster c(5);
  for (std::size_t i = 1; i < 5; ++i) c.refuse(i);
  c.run(milliseconds(3'500));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgeIdentity, AStrangerBesideTheOnlyNodeLeavesADoubt) {
  Cluster c(2);
  Report stranger = Cluster::replica(5);
  stranger.system_identifier = "9009";
  c.answer(1, stranger);
  c.run(seconds(5));
  EXPECT_FALSE(c.primary());
  EXPECT_TRUE(c.alarm(AlarmKind::kIdentity));
}

class NewIdentifier : public testing::Test {
 protected:
  NewIdentifier() {
    quiet(c);
    for (std::size_t i = 0; i < 3; ++i) {
      Report r = i == 0 ? Cluster::leader(1) : Cluster::replica(1);
      r.system_identifier = "9009";
      c.answer(i, r);
    }
  }
  Cluster c;
};

TEST_F(NewIdentifier, IsAcceptedWhenEveryNodeInSightHasShownItForAWhile) {
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "cut foreign");
  EXPECT_TRUE(c.alarm(AlarmKind::kNewIdentifier));
  c.run(seconds(26));
  EXPECT_EQ(c.rw(0), "cut foreign");
  c.run(seconds(4));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_TRUE(c.state.alarms.empty());
  EXPECT_EQ(c.state.published.timeline, 1u);
}

TEST_F(NewIdentifier, OneNodeWithTheOldOneIsEnoughToRefuseIt) {
  c.run(seconds(20));
  c.answer(2, Cluster::replica(5));
  c.run(seconds(2));
  c.nodes[2].reply.system_identifier = "9009";
  c.run(seconds(28));
  EXPECT_EQ(c.rw(0), "cut foreign") << "it has to settle again";
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(NewIdentifier, AFormerReplicaAloneIsNotBelieved) {
  Report r = Cluster::leader(1);
  r.system_identifier = "9009";
  c.answer(1, r);
  c.refuse(0);
  c.refuse(2);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(1), "cut foreign");
  Report replica = Cluster::replica(1);
  replica.system_identifier = "9009";
  c.answer(2, replica);  // two of three
  c.run(seconds(32));
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST_F(NewIdentifier, TheLastPrimaryAloneIs) {
  c.refuse(1);
  c.refuse(2);
  c.run(seconds(34));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(NewIdentifier, WithoutALeaderItIsNotAccepted) {
  Report r = Cluster::replica(1);
  r.system_identifier = "9009";
  c.answer(0, r);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "cut foreign");
  EXPECT_FALSE(c.alarm(AlarmKind::kNewIdentifier));
}

TEST_F(NewIdentifier, TheTimeIsASetting) {
  Cluster d;
  d.config.health.identity_settle = seconds(5);
  quiet(d);
  for (std::size_t i = 0; i < 3; ++i) d.answer(i, c.nodes[i].reply);
  d.run(seconds(7));
  EXPECT_EQ(d.rw(0), "admit primary");
}

// Learnt from one node alone, which then shows another one; a second node agrees with that.
TEST(JudgeIdentity, WhoTurnsOutToBeOursIsNotForeignAnyMore) {
  Cluster c;
  c.silence(1);
  c.silence(2);
  c.run(seconds(10));
  ASSERT_EQ(c.rw(0), "admit primary");
  Report r = Cluster::leader(1);
  r.lease = false;
  r.system_identifier = "7002";
  c.answer(0, r);
  c.run(seconds(3));
  ASSERT_EQ(c.rw(0), "cut foreign");
  Report replica = Cluster::replica(1);
  replica.system_identifier = "7002";
  c.answer(1, replica);
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "cut not_primary");
}

}  // namespace
}  // namespace pgsteer
