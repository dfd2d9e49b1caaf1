// Which nodes take reads, and what happens to sessions there.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

constexpr std::uint64_t kMb = 1 << 20;

void limit_lag(Cluster& c, std::uint64_t bytes) { c.config.listen[kReadOnly].max_lag = bytes; }

TEST(JudgeReplica, HealthyReplicasServeAndThePrimaryDoesNot) {
  Cluster c;
  c.run(seconds(2));
  EXPECT_EQ(c.ro(0), "drain is_primary");
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "admit replica");
}

TEST(JudgeReplica, AnyAdmitsThePrimaryToo) {
  Cluster c;
  c.config.listen[kReadOnly].to = Target::kAny;
  c.run(seconds(2));
  EXPECT_EQ(c.ro(0), "admit primary");
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST(JudgeReplica, NoloadbalanceDrains) {
  Cluster c;
  c.nodes[1].reply.noloadbalance = true;
  c.run(seconds(2));
  EXPECT_EQ(c.ro(1), "drain no_load_balance");
  EXPECT_EQ(c.rw(1), "cut not_primary");
}

TEST(JudgeReplica, TagsAreRequired) {
  Cluster c;
  c.config.listen[kReadOnly].tags = {{"zone", "a"}, {"fast", "true"}};
  c.nodes[1].reply.tags = {{"zone", "a"}, {"fast", "true"}};
  c.nodes[2].reply.tags = {{"zone", "b"}, {"fast", "true"}};
  c.run(seconds(2));
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "drain tag_mismatch");
}

TEST(JudgeReplica, SyncAndAsyncGoByPatronisList) {
  Cluster c;
  c.config.listen.resize(3);
  c.config.listen[kReadOnly].to = Target::kSync;
  c.config.listen[2].to = Target::kAsync;
  c.nodes[1].reply.sync = true;
  c.run(seconds(2));
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "drain not_sync");
  EXPECT_EQ(Cluster::words(c.verdict(2, 1)), "drain not_async");
  EXPECT_EQ(Cluster::words(c.verdict(2, 2)), "admit replica");
}

TEST(JudgeReplica, AStoreOutOfReachDoesNotForgetWhoIsSync) {
  Cluster c;
  c.config.listen[kReadOnly].to = Target::kSync;
  c.nodes[1].reply.sync = true;
  c.run(seconds(2));
  c.nodes[1].reply.sync = false;
  c.nodes[1].reply.cluster_unlocked = true;
  c.run(seconds(5));
  EXPECT_EQ(c.ro(1), "admit replica");
  c.nodes[1].reply.cluster_unlocked = false;
  c.run(seconds(2));
  EXPECT_EQ(c.ro(1), "drain not_sync");
}

TEST(JudgeReplicaLag, IsTheLeadersPositionLessTheReplayedOne) {
  Cluster c;
  c.answer(0, Cluster::leader(5, 100 * kMb));
  c.answer(1, Cluster::replica(5, 99 * kMb));
  c.answer(2, Cluster::replica(5, 100 * kMb));
  c.run(seconds(2));
  EXPECT_EQ(c.state.nodes[1].replica.lag, kMb);
  EXPECT_EQ(c.state.nodes[2].replica.lag, 0u);
  EXPECT_FALSE(c.state.nodes[0].replica.lag);
}

TEST(JudgeReplicaLag, AReplicaAheadOfAnEarlierReplyOfTheLeaderLagsNotAtAll) {
  Cluster c;
  c.answer(0, Cluster::leader(5, 100 * kMb));
  c.answer(1, Cluster::replica(5, 101 * kMb));
  c.run(seconds(2));
  EXPECT_EQ(c.state.nodes[1].replica.lag, 0u);
}

TEST(JudgeReplicaLag, DrainsAboveTheLimitAndNeverCuts) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.answer(0, Cluster::leader(5, 100 * kMb));
  c.answer(1, Cluster::replica(5, 100 * kMb));
  c.answer(2, Cluster::replica(5, 100 * kMb));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(1), "admit replica");
  c.answer(0, Cluster::leader(5, 200 * kMb));
  c.answer(2, Cluster::replica(5, 200 * kMb));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(1), "drain lagging");
  EXPECT_EQ(c.ro(2), "admit replica");
}

TEST(JudgeReplicaLag, OneRoundAboveTheLimitIsABlip) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.run(seconds(3));
  const auto generation = c.generations;
  const auto round = c.state.rounds.number;
  c.answer(0, Cluster::leader(5, 1'000'000 + 17 * kMb));
  c.run_until([&] { return c.state.nodes[1].replica.lag_round > round; }, milliseconds(3'000));
  EXPECT_EQ(c.state.nodes[1].replica.lag, 17 * kMb);
  c.answer(0, Cluster::leader(5));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.generations, generation);
}

TEST(JudgeReplicaLag, AroundTheLimitItDoesNotFlap) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.run(seconds(3));
  const auto before = c.generations;
  // 300 changes in 22 minutes is what a threshold without hysteresis does; here it is one drain.
  for (int i = 0; i < 300; ++i) {
    c.answer(0,
             Cluster::leader(5, 1'000'000 + (i % 2 == 0 ? 15 : 17) * kMb + (i % 4 == 0 ? 0 : kMb)));
    c.run(milliseconds(2'400));
  }
  EXPECT_LE(c.generations, before + 2);
  c.answer(0, Cluster::leader(5, 1'000'000 + 11 * kMb));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST(JudgeReplicaLag, AReplicaThatStartsFarBehindIsNotAdmittedFirst) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.answer(0, Cluster::leader(5, 100 * kMb));
  c.answer(1, Cluster::replica(5, kMb));
  c.answer(2, Cluster::replica(5, 100 * kMb));
  for (int i = 0; i < 30; ++i) {
    c.run(milliseconds(100));
    EXPECT_NE(c.ro(1), "admit replica");
  }
  EXPECT_EQ(c.ro(2), "admit replica");
}

TEST(JudgeReplicaLag, WithoutAPrimaryReadsGoOn) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.run(seconds(3));
  c.refuse(0, DatabaseAnswer::kRefused);
  c.run(seconds(60));
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "admit replica");
}

TEST(JudgeReplica, NotStreamingDrainsWhereTheVersionTells) {
  Cluster c;
  for (auto& n : c.nodes) n.reply.tells_replication_state = true;
  c.nodes[1].reply.replication_state = "streaming";
  c.run(seconds(30));
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "drain not_streaming");
  // From the archive alone (nostream): as Patroni's /replica, where lag decides.
  c.nodes[2].reply.replication_state = "in archive recovery";
  c.run(seconds(3));
  EXPECT_EQ(c.ro(2), "admit replica");
}

TEST(JudgeReplica, AStandbyLeaderThatDoesNotRunTakesNoReads) {
  Cluster c;
  c.config.listen[kReadOnly].fallback_to_primary = true;
  c.answer(0, Cluster::without_query(true, State::kStopping, "stopping", Role::kStandbyLeader));
  c.refuse(1);
  c.refuse(2);
  c.run(seconds(5));
  EXPECT_NE(c.verdict(kReadOnly, 0).admission, Admission::kAdmit);
}

TEST(JudgeReplica, NothingFallsBackBeforeAnythingIsKnown) {
  Cluster c;
  c.config.listen[kReadOnly].fallback_to_primary = true;
  Report r = Cluster::replica(5);
  r.status = 200;
  r.lease = true;
  r.role = Role::kStandbyLeader;
  c.answer(0, r);
  c.nodes[1].latency = c.nodes[2].latency = milliseconds(60);
  c.run(milliseconds(30));
  EXPECT_EQ(c.ro(0), "drain unknown");
}

// A former primary that cannot be rewound: what it has beyond the fork is nobody's.
TEST(JudgeReplica, AReplicaOnATimelineAboveThePrimarysIsNoneOfIts) {
  Cluster c;
  c.run(seconds(2));
  c.answer(2, Cluster::replica(6));
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.ro(2), "drain not_streaming");
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST(JudgeReplica, ReplicasThatLoseTheirPrimaryStayDuringAFailover) {
  Cluster c;
  for (auto& n : c.nodes) n.reply.tells_replication_state = true;
  c.nodes[1].reply.replication_state = c.nodes[2].reply.replication_state = "streaming";
  c.run(seconds(30));
  c.refuse(0, DatabaseAnswer::kRefused);
  c.nodes[1].reply.replication_state = c.nodes[2].reply.replication_state = "";
  c.run(seconds(40));
  EXPECT_EQ(c.ro(2), "admit replica");
  Report next = Cluster::leader(6);
  next.tells_replication_state = true;
  c.answer(1, next);
  c.run(seconds(8));
  EXPECT_EQ(c.ro(2), "admit replica") << "it takes a moment to follow the new primary";
  c.run(seconds(10));
  EXPECT_EQ(c.ro(2), "drain not_streaming");
}

TEST(JudgeReplica, ASilentApiDrainsOnlyAfterSomeTime) {
  Cluster c;
  c.run(seconds(3));
  c.refuse(1);
  c.run(milliseconds(1'500));
  EXPECT_EQ(c.ro(1), "admit replica");
  c.run(seconds(5));
  EXPECT_EQ(c.ro(1), "drain silent") << "its sessions stay: PostgreSQL answers";
  c.run(seconds(600));
  EXPECT_EQ(c.ro(1), "drain silent");
}

TEST(JudgeReplica, BothPortsRefusedIsDown) {
  Cluster c;
  c.run(seconds(3));
  c.refuse(1, DatabaseAnswer::kRefused);
  c.run(milliseconds(1'200));
  EXPECT_EQ(c.ro(1), "cut down");
}

TEST(JudgeReplica, ANodeWithoutAnySignOfLifeIsCutAfterSomeSeconds) {
  Cluster c;
  c.run(seconds(3));
  c.silence(1, DatabaseAnswer::kUnreachable);
  c.nodes[1].outcome = Outcome::kUnreachable;
  c.run(seconds(6));
  EXPECT_EQ(c.ro(1), "drain down");
  c.run(seconds(10));
  EXPECT_EQ(c.ro(1), "cut down");
}

// pgsteer itself stood still, and the node has come back meanwhile.
TEST(JudgeReplica, AfterAStallItIsAskedBeforeItIsCut) {
  Cluster c;
  c.run(seconds(3));
  c.silence(1, DatabaseAnswer::kUnreachable);
  c.nodes[1].outcome = Outcome::kUnreachable;
  c.run(seconds(6));
  ASSERT_EQ(c.ro(1), "drain down");
  c.now += seconds(20);
  c.run(milliseconds(10));
  EXPECT_EQ(c.ro(1), "drain down");
  c.answer(1, Cluster::replica(5));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST(JudgeReplica, AFrozenNodeKeepsItsSessions) {
  Cluster c;
  c.run(seconds(3));
  c.silence(1, DatabaseAnswer::kHung);
  c.run(seconds(60));
  EXPECT_EQ(c.ro(1), "drain silent");
}

TEST(JudgeReplica, AReturningReplicaIsAdmittedWithinOneRound) {
  Cluster c;
  limit_lag(c, 16 * kMb);
  c.run(seconds(3));
  c.refuse(1, DatabaseAnswer::kRefused);
  c.run(seconds(60));
  c.answer(1, Cluster::replica(5));
  c.run(milliseconds(2'300));
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST(JudgeReplica, OneIncompleteReplyKeepsItTwoDrainIt) {
  Cluster c;
  c.run(seconds(3));
  c.answer(1, Cluster::without_query(false, State::kUnknown, "unknown", Role::kReplica));
  c.run_until([&] { return c.state.nodes[1].rest.incomplete_replies == 1; }, milliseconds(1'500));
  EXPECT_EQ(c.ro(1), "admit replica");
  c.run(milliseconds(300));
  EXPECT_EQ(c.ro(1), "drain degraded");
}

TEST(JudgeReplica, StartingOrStoppedDrains) {
  Cluster c;
  c.run(seconds(3));
  c.answer(1, Cluster::without_query(false, State::kStarting, "starting", Role::kReplica));
  c.run(milliseconds(1'200));
  EXPECT_EQ(c.ro(1), "drain not_running");
}

TEST(JudgeReplica, PromotionDrainsForTheTimeoutThenCuts) {
  Cluster c;
  c.config.listen[kReadOnly].drain_timeout = seconds(60);
  c.run(seconds(3));
  c.answer(0, Cluster::replica(5));
  c.answer(1, Cluster::promoting(5));
  c.run(milliseconds(1'500));
  EXPECT_EQ(c.ro(1), "drain promoting");
  c.answer(1, Cluster::leader(6));
  c.run(seconds(30));
  EXPECT_EQ(c.ro(1), "drain promoted");
  EXPECT_EQ(c.ro(0), "admit replica");
  c.run(seconds(32));
  EXPECT_EQ(c.ro(1), "cut is_primary");
}

TEST(JudgeReplica, FallbackRoutesToThePrimaryOnlyWhileNoReplicaServes) {
  Cluster c;
  c.config.listen[kReadOnly].fallback_to_primary = true;
  c.run(seconds(3));
  EXPECT_EQ(c.ro(0), "drain stand_in");
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(3));
  EXPECT_EQ(c.ro(0), "admit fallback");
  c.answer(2, Cluster::replica(5));
  c.run(milliseconds(2'200));
  EXPECT_EQ(c.ro(2), "admit replica");
  EXPECT_EQ(c.ro(0), "drain stand_in") << "reads that went there may end in peace";
}

TEST(JudgeReplica, WithoutFallbackNobodyServes) {
  Cluster c;
  c.run(seconds(3));
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(5));
  EXPECT_EQ(c.ro(0), "drain is_primary");
}

TEST(JudgeReplica, AStalePrimaryIsNoReplica) {
  Cluster c;
  c.config.listen[kReadOnly].to = Target::kAny;
  c.run(seconds(3));
  c.silence(0);
  c.run(seconds(3));
  c.answer(1, Cluster::leader(6));
  c.run(seconds(1));
  EXPECT_EQ(c.ro(0), "cut superseded");
  c.answer(0, Cluster::replica(6));
  c.run(seconds(3));
  EXPECT_EQ(c.ro(0), "admit replica");
}

TEST(JudgeReplica, ANameThatDoesNotResolveIsANodeThatIsDown) {
  Cluster c;
  c.start();
  c.step({AddressEvidence{1, {}}});
  c.refuse(1);
  c.nodes[1].outcome = Outcome::kUnresolved;
  c.run(seconds(10));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.verdict(kReadOnly, 1).admission, Admission::kDrain);
  EXPECT_EQ(c.state.nodes[1].addresses.size(), 1u) << "an old address is better than none";
}

TEST(JudgeReplica, StandbyClusterLagIsMeasuredAgainstItsLeader) {
  Cluster c;
  Report r = Cluster::replica(5, 100 * kMb);
  r.status = 200;
  r.lease = true;
  r.role = Role::kStandbyLeader;
  c.answer(0, r);
  c.answer(1, Cluster::replica(5, 98 * kMb));
  c.run(seconds(3));
  EXPECT_EQ(c.state.nodes[1].replica.lag, 2 * kMb);
}

}  // namespace
}  // namespace pgsteer
