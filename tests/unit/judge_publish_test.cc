// What is published besides a new generation: how long the primary may be believed, current
// sentences, and a line for each change that an operator wants to know of.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

// Counts what judge wants to be published again.
struct Publications {
  Cluster& c;
  std::vector<Instant> renewals;
  void run(milliseconds d) {
    const Instant end = c.now + d;
    while (c.now < end) {
      const Instant before = c.state.published_at;
      const auto generation = c.generations;
      c.run(milliseconds(10));
      if (c.state.published_at != before && c.generations == generation) renewals.push_back(c.now);
    }
  }
};

std::vector<std::string> lines(const Cluster& c, TransitionKind kind, std::size_t from = 0) {
  std::vector<std::string> texts;
  for (std::size_t i = from; i < c.transitions.size(); ++i) {
    if (c.transitions[i].kind == kind) texts.push_back(c.transitions[i].text);
  }
  return texts;
}

TEST(JudgePublish, AProvenPrimaryIsValidUntilItsFenceDeadlineAndRenewedOnceASecond) {
  Cluster c;
  quiet(c);
  ASSERT_TRUE(c.state.published.valid_until);
  const Instant fence = fence_deadline(c.config, c.state, 0);
  EXPECT_LE(*c.state.published.valid_until, fence);
  EXPECT_GE(*c.state.published.valid_until, fence - seconds(10));
  Publications p{c, {}};
  const auto generation = c.generations;
  p.run(seconds(60));
  EXPECT_EQ(c.generations, generation);
  EXPECT_GE(p.renewals.size(), 5u) << "with each read of the store";
  EXPECT_LE(p.renewals.size(), 60u);
  EXPECT_GE(*c.state.published.valid_until, c.now + seconds(5));
}

TEST(JudgePublish, ItStaysValidForFiveSecondsAtLeast) {
  Cluster c;
  quiet(c);
  c.nodes[0].dcs_loop = false;  // the store is out of reach; the lease is shown none the less
  c.nodes[0].dcs_stuck = c.wall(c.now) - 2;
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_LT(fence_deadline(c.config, c.state, 0), c.now);
  ASSERT_TRUE(c.state.published.valid_until);
  EXPECT_GE(*c.state.published.valid_until, c.now + seconds(3));
  EXPECT_LE(*c.state.published.valid_until, c.now + seconds(5));
}

TEST(JudgePublish, LongIntervalsMakeItLonger) {
  Cluster c;
  c.config.health.interval = seconds(6);
  c.run(seconds(20));
  ASSERT_TRUE(c.state.published.valid_until);
  EXPECT_GE(*c.state.published.valid_until, c.now + seconds(6));
}

TEST(JudgePublish, MaintenanceIsValidForATtl) {
  Cluster c;
  for (auto& n : c.nodes) n.reply.pause = true;
  c.run(seconds(10));
  c.refuse(0);
  c.run(seconds(300));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  EXPECT_GE(*c.state.published.valid_until, c.now + seconds(28));
  EXPECT_LE(*c.state.published.valid_until, c.now + seconds(30));
}

// Else nobody would notice that the checks have stopped.
TEST(JudgePublish, WithoutAPrimaryTheDeadlineIsThatOfTwoChecks) {
  Cluster c;
  c.answer(0, Cluster::replica(5));
  c.run(seconds(10));
  ASSERT_FALSE(c.state.primary);
  ASSERT_TRUE(c.state.published.valid_until);
  EXPECT_GE(*c.state.published.valid_until, c.now + seconds(3));
  EXPECT_LE(*c.state.published.valid_until, c.now + seconds(5));
}

TEST(JudgePublish, SentencesStayCurrentWhileThereIsNoPrimary) {
  Cluster c;
  quiet(c);
  c.refuse(0, DatabaseAnswer::kRefused);
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "drain down");
  const std::string first = c.state.published.no_primary_why;
  Publications p{c, {}};
  p.run(seconds(5));
  EXPECT_NE(c.state.published.no_primary_why, first) << "it says for how long";
  EXPECT_GE(p.renewals.size(), 4u);
  EXPECT_LE(p.renewals.size(), 5u);
}

TEST(JudgePublish, AReplicaThatComesAndGoesHasItsLine) {
  Cluster c;
  quiet(c);
  const std::size_t from = c.transitions.size();
  c.nodes[1].reply.noloadbalance = true;
  c.run(seconds(2));
  ASSERT_EQ(
      lines(c, TransitionKind::kNode, from),
      std::vector<std::string>{"pg-2 takes no new sessions of read_only: is tagged noloadbalance"});
  c.nodes[1].reply.noloadbalance = false;
  c.run(seconds(2));
  EXPECT_EQ(lines(c, TransitionKind::kNode, from).back(),
            "pg-2 takes sessions of read_only: replays 0 bytes behind");
}

TEST(JudgePublish, PauseAndFailsafeHaveTheirLines) {
  Cluster c;
  quiet(c);
  const std::size_t from = c.transitions.size();
  for (auto& n : c.nodes) n.reply.pause = n.reply.failsafe = true;
  c.run(seconds(2));
  for (auto& n : c.nodes) n.reply.pause = n.reply.failsafe = false;
  c.run(seconds(2));
  EXPECT_EQ(lines(c, TransitionKind::kCluster, from),
            (std::vector<std::string>{"the cluster is in maintenance mode: Patroni does not act",
                                      "failsafe mode is active: the store is out of reach",
                                      "maintenance mode is over", "failsafe mode is over"}));
}

}  // namespace
}  // namespace pgsteer
