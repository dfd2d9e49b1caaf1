// The evidence table: a paused cluster keeps its primary, whatever the clocks say.
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
  for (const bool store : {true, false}) {
    Cluster c;
    quiet(c);
    pause(c, 1, Cluster::replica(5));
    pause(c, 2, Cluster::replica(5));
    c.refuse(0);
    c.run(seconds(60));
    pause(c, 1, Cluster::leader(4));
    if (store) c.nodes[2].store_says = "pg-2";
    // The store settles it at once; without it the next read of the newcomer does, in a loop.
    EXPECT_LE(until_cut(c, seconds(30)), store ? milliseconds(1'200) : milliseconds(11'000));
    EXPECT_EQ(c.rw(0), "cut fenced");
  }
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

TEST(JudgeMaintenance, ItsOwnWordIsOldOnceTheOthersHaveSaidOtherwise) {
  Cluster c;
  quiet(c);
  for (std::size_t i : {0u, 1u, 2u}) pause(c, i, i == 0 ? Cluster::leader(5) : Cluster::replica(5));
  c.run(seconds(3));
  c.silence(0);
  c.run(seconds(5));
  for (std::size_t i : {1u, 2u}) c.answer(i, Cluster::replica(5));
  c.run(seconds(3));
  for (std::size_t i : {0u, 1u, 2u}) c.refuse(i);
  c.run(seconds(20));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST(JudgeMaintenance, ALoneNodeThatWasPausedIsKept) {
  Cluster c(1);
  pause(c, 0, Cluster::leader(5));
  c.run(seconds(5));
  c.refuse(0);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit maintenance");
}

// It does not show `pause` for its first seconds.
TEST(JudgeMaintenance, APatroniThatHasJustStartedDoesNotEndIt) {
  Cluster c;
  quiet(c);
  c.refuse(2, DatabaseAnswer::kRefused);
  pause(c, 0, Cluster::leader(5));
  pause(c, 1, Cluster::replica(5));
  c.run(seconds(5));
  c.refuse(0);
  c.refuse(1, DatabaseAnswer::kAnswers);
  c.run(seconds(60));
  c.answer(1, Cluster::replica(5));
  c.run(seconds(3));
  c.refuse(1, DatabaseAnswer::kAnswers);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit maintenance");
}

// Patroni has lost the store and is paused: its 200 stands for the role alone.
class ClaimByRole : public testing::Test {
 protected:
  ClaimByRole() {
    for (const std::size_t i : {1u, 2u}) pause(c, i, Cluster::replica(5));
  }
  static Report by_role(std::uint32_t timeline) {
    Report r = Cluster::leader(timeline);
    r.pause = r.cluster_unlocked = true;
    return r;
  }
  void first_node_claims() {
    quiet(c);
    c.answer(0, by_role(5));
  }
  void resume() {
    for (const std::size_t i : {1u, 2u}) c.answer(i, Cluster::replica(5));
  }
  Cluster c;
};

TEST_F(ClaimByRole, SupersedesNobody) {
  quiet(c);
  pause(c, 0, Cluster::leader(5));
  c.run(seconds(2));
  c.answer(1, by_role(6));  // promoted by hand, then cut off from the store
  c.run(seconds(10));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.cuts(1));
  c.refuse(0);  // its Patroni is upgraded
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit maintenance");
}

TEST_F(ClaimByRole, KeepsTheHolder) {
  first_node_claims();
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(ClaimByRole, HoldsNoLeaseOnceMaintenanceIsOver) {
  first_node_claims();
  c.run(seconds(40));
  c.refuse(0);
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  resume();
  c.run(seconds(2));
  EXPECT_TRUE(c.cuts(0)) << "they could promote at once";
}

TEST_F(ClaimByRole, LeavesTimeToTakeTheKeyAgain) {
  first_node_claims();
  c.run(seconds(40));
  resume();
  Report between = Cluster::leader(5);
  between.lease = false;
  c.answer(0, between);
  c.run(seconds(2));
  EXPECT_FALSE(c.cuts(0));
}

TEST_F(ClaimByRole, IsOutlivedByTheLastRealLease) {
  first_node_claims();
  c.run(seconds(5));
  c.refuse(0);
  resume();
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit orphaned");
}

TEST_F(ClaimByRole, KeepsNoSessionsOnceAnotherLeads) {
  quiet(c);
  Report r = Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary);
  r.pause = r.cluster_unlocked = true;
  c.answer(0, r);
  c.run(seconds(5));
  c.answer(1, Cluster::leader(6));
  c.run(seconds(2));
  EXPECT_EQ(c.rw(1), "admit primary");
  EXPECT_TRUE(c.cuts(0));
}

TEST_F(ClaimByRole, IsWorthLessThanALeaseAtTheStart) {
  pause(c, 0, Cluster::leader(5));
  c.answer(1, by_role(5));
  c.run(seconds(1));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(ClaimByRole, WinsAtTheStartIfItIsTheOnlyOne) {
  c.answer(0, by_role(5));
  c.run(seconds(1));
  EXPECT_EQ(c.rw(0), "admit primary");
}

}  // namespace
}  // namespace pgsteer
