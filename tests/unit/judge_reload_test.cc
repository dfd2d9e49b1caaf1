// What judge knows survives a configuration that is read again: nobody who serves stops serving,
// and a new node serves only once it has proven itself.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

class JudgeReload : public testing::Test {
 protected:
  JudgeReload() { quiet(c); }
  // The configuration with the nodes of these numbers, in this order; 4 and up are new.
  Config with(const std::vector<unsigned>& numbers) const {
    Config next = c.config;
    next.nodes.clear();
    for (const unsigned number : numbers) {
      NodeConfig node;
      node.name = "pg-" + std::to_string(number);
      node.host = "10.0.0." + std::to_string(number);
      next.nodes.push_back(node);
    }
    return next;
  }

  ScriptedCluster c;
};

TEST_F(JudgeReload, WithNothingChangedOnlyTheGenerationIsNew) {
  const auto generation = c.generations;
  const auto lines = c.transitions.size();
  c.reload(c.config);
  EXPECT_EQ(c.generations, generation + 1);
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "admit replica");
  c.run(seconds(30));
  EXPECT_EQ(c.generations, generation + 1);
  EXPECT_EQ(c.transitions.size(), lines);
}

TEST_F(JudgeReload, ANewNodeServesOnceItHasProvenItself) {
  c.reload(with({1, 2, 3, 4}));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(3), "drain unknown");
  c.run(seconds(3));
  EXPECT_EQ(c.ro(3), "admit replica");
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST_F(JudgeReload, ANewNodeOfAnotherClusterServesNobody) {
  c.reload(with({1, 2, 3, 4}));
  c.nodes[3].reply = ScriptedCluster::leader(9);
  c.nodes[3].reply.system_identifier = "9009";
  c.run(seconds(40));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.alarm(AlarmKind::kForeign, 3));
  c.reload(with({4, 1, 2, 3}));
  EXPECT_TRUE(c.alarm(AlarmKind::kForeign, 0)) << "the alarm goes with its node";
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST_F(JudgeReload, TheOrderInTheFileMeansNothing) {
  c.reload(with({3, 1, 2}));
  EXPECT_EQ(c.primary(), 1U);
  EXPECT_EQ(c.rw(1), "admit primary");
  EXPECT_EQ(c.ro(0), "admit replica");
  EXPECT_EQ(c.ro(2), "admit replica");
  c.run(seconds(30));
  EXPECT_EQ(c.rw(1), "admit primary");
  EXPECT_EQ(c.count(TransitionKind::kLost), 0U);
}

// Its requests in flight are answered by nobody; those of the others have to be.
TEST_F(JudgeReload, ANodeIsTakenAwayWhileEverythingIsInFlight) {
  c.silence(2);
  c.run_until([&] { return c.state.nodes[2].rest.in_flight && c.state.nodes[1].rest.in_flight; },
              seconds(5));
  c.reload(with({2, 1}));
  c.run(seconds(30));
  EXPECT_EQ(c.rw(1), "admit primary");
  EXPECT_EQ(c.ro(0), "admit replica");
  EXPECT_EQ(c.state.nodes.size(), 2U);
}

TEST_F(JudgeReload, AnotherAddressIsAnotherNode) {
  Config next = c.config;
  next.nodes[1].host = "10.0.0.22";
  c.reload(next);
  EXPECT_EQ(c.ro(1), "drain unknown");
  EXPECT_EQ(c.ro(2), "admit replica");
}

// The old entry stays while it has sessions.
TEST_F(JudgeReload, ANodeWhoseHostIsWrittenAnewIsOneClaimant) {
  Config next = with({1, 2, 3, 4});
  next.nodes[1].leaving = true;
  c.reload(next);
  c.run(seconds(3));
  c.state.nodes[3].addresses = c.state.nodes[1].addresses;
  c.refuse(0, DatabaseAnswer::kRefused);
  for (const std::size_t i : {1U, 3U}) c.nodes[i].reply = ScriptedCluster::leader(6);
  c.run(seconds(3));
  EXPECT_EQ(c.primary(), 3U);
  EXPECT_EQ(c.rw(3), "admit primary");
  EXPECT_FALSE(c.alarm(AlarmKind::kClaimants));
}

TEST_F(JudgeReload, WithoutItsPrimaryTheClusterHasNone) {
  c.reload(with({2, 3}));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.ro(0), "admit replica");
  c.nodes[1].reply = ScriptedCluster::leader(6);
  c.run(seconds(5));
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST_F(JudgeReload, ANewListenerKnowsTheNodesAtOnce) {
  Config next = c.config;
  next.listen.insert(next.listen.begin(), next.listen[kReadOnly]);
  next.listen[0].name = "reports";
  c.reload(next);
  EXPECT_EQ(ScriptedCluster::words(c.verdict(0, 1)), "admit replica");
  EXPECT_EQ(ScriptedCluster::words(c.verdict(1, 0)), "admit primary");
  EXPECT_EQ(ScriptedCluster::words(c.verdict(2, 2)), "admit replica");
}

// A replica that lags keeps that until it has caught up to three quarters of the limit.
TEST_F(JudgeReload, WhatWasRememberedOfAReplicaGoesWithIt) {
  c.config.listen[kReadOnly].max_lag = 1'000;
  c.nodes[2].reply.replayed = 990'000;
  c.run(seconds(5));
  ASSERT_EQ(c.ro(2), "drain lagging");
  c.nodes[2].reply.replayed = 999'100;
  Config next = with({3, 2, 1});
  c.reload(next);
  c.run(seconds(5));
  EXPECT_EQ(c.ro(0), "drain lagging");
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST_F(JudgeReload, AnotherLimitOfLagCountsAtOnce) {
  c.config.listen[kReadOnly].max_lag = 1'000;
  c.nodes[2].reply.replayed = 990'000;
  c.run(seconds(5));
  ASSERT_EQ(c.ro(2), "drain lagging");
  Config next = c.config;
  next.listen[kReadOnly].max_lag = 20'000;
  c.reload(next);
  EXPECT_EQ(c.ro(2), "admit replica");
  next.listen[kReadOnly].max_lag = 500;
  c.reload(next);
  EXPECT_EQ(c.ro(2), "drain lagging");
}

// Patroni of the primary hangs: how long it may be believed was learnt before.
TEST_F(JudgeReload, TheFenceOfASilentPrimaryStaysWhereItWas) {
  c.silence(0, DatabaseAnswer::kAnswers);
  c.run(seconds(5));
  const Instant fence = fence_deadline(c.config, c.state, 0);
  c.reload(with({2, 1, 3}));
  EXPECT_EQ(fence_deadline(c.config, c.state, 1), fence);
  EXPECT_EQ(c.primary(), 1U);
}

// Clients that wait for the primary, and the page, are told why there is none for them.
TEST_F(JudgeReload, APrimaryThatIsRemovedIsNamedAsTheReason) {
  Config next = c.config;
  next.nodes[0].leaving = true;
  c.reload(next);
  EXPECT_EQ(c.rw(0), "drain removed");
  EXPECT_EQ(c.state.published.no_primary_why, "pg-1 was removed from the configuration");
  next.nodes[0].leaving = false;
  c.reload(next);
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.state.published.no_primary_why, "");
}

TEST_F(JudgeReload, TheAlarmAboutANodeThatHasGoneIsOver) {
  c.reload(with({1, 2, 3, 4}));
  c.nodes[3].reply.system_identifier = "9009";
  c.run(seconds(5));
  ASSERT_EQ(c.count(TransitionKind::kAlarm), 1U);
  c.reload(with({1, 2, 3}));
  EXPECT_EQ(c.count(TransitionKind::kAlarmOver), 1U);
  EXPECT_TRUE(c.state.alarms.empty());
}

// The primary is silent, and the one other member that is configured never may lead.
TEST_F(JudgeReload, AMemberThatWasRemovedMayTakeTheLeaseAllTheSame) {
  for (ScriptedNode& n : c.nodes) n.store_says = "pg-1";
  c.nodes[1].reply.nofailover = true;
  c.run(seconds(62) + milliseconds(500));
  for (ScriptedNode& n : c.nodes) n.store_says.clear();  // nobody reads the store any more
  c.reload(with({1, 2}));
  c.refuse(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// Nobody but the primary was in sight, and its last word was that the cluster is paused.
TEST_F(JudgeReload, ANewNodeDoesNotEndMaintenanceBeforeItWasAsked) {
  for (ScriptedNode& n : c.nodes) n.reply.pause = true;
  c.run(seconds(10));
  for (std::size_t i = 0; i < 3; ++i) c.refuse(i);
  c.run(seconds(60));
  ASSERT_EQ(c.rw(0), "admit maintenance");
  c.reload(with({1, 2, 3, 4}));
  EXPECT_EQ(c.rw(0), "admit maintenance");
}

TEST_F(JudgeReload, ANewNodeDoesNotFenceWhereNothingCanBeChecked) {
  for (std::size_t i = 0; i < 3; ++i) c.nodes[i].outcome = Outcome::kTlsFailed;
  c.run(seconds(60));
  ASSERT_EQ(c.rw(0), "admit uncheckable");
  c.reload(with({1, 2, 3, 4}));
  EXPECT_EQ(c.rw(0), "admit uncheckable");
}

// pg_upgrade, and of two nodes one is new in the file.
TEST_F(JudgeReload, ANewNodeDoesNotKeepTheClusterFromItsNewIdentifier) {
  c.reload(with({1}));
  c.nodes[0].reply.system_identifier = "7002";
  c.run(seconds(2));
  c.reload(with({1, 4}));
  c.nodes[1].reply.system_identifier = "7002";
  c.run(c.config.health.identity_settle + seconds(5));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.ro(1), "admit replica");
}

TEST_F(JudgeReload, AShorterIntervalCountsAtOnce) {
  c.config.health.interval = seconds(60);
  c.run(seconds(5));
  const std::size_t asked = c.nodes[1].asked.size();
  Config next = c.config;
  next.health.interval = seconds(1);
  c.reload(next);
  c.run(seconds(3));
  EXPECT_GT(c.nodes[1].asked.size(), asked);
}

// The node to ask next may be the one behind the last.
TEST_F(JudgeReload, TheTurnOfTheWitnessesGoesOnAfterTheLastOne) {
  c.state.witness.next = 3;
  c.reload(with({3, 2, 1}));
  EXPECT_EQ(c.state.witness.next, 2U);
}

}  // namespace
}  // namespace pgsteer
