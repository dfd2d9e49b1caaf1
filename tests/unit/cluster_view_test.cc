// What an observer sees: every field of ClusterView and NodeView, from a scripted cluster.
#include "health/cluster_view.h"

#include "health/judge_context.h"
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;
using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::hours;

class ClusterViewOf : public testing::Test {
 protected:
  // The wall clock runs beside the other one.
  WallTime wall_at(Instant t) const {
    return WallTime{} + hours(24 * 365 * 50) +
           duration_cast<WallTime::duration>(t.time_since_epoch());
  }
  ClusterView view() const { return cluster_view(c.config, c.state, c.now, wall_at(c.now)); }
  NodeView node(std::size_t i) const { return view().nodes.at(i); }
  // Asks at once, so that the last checks are of this moment.
  void stop_at_a_check() {
    const auto total = c.state.nodes[0].checks.total;
    c.run_until([&] { return c.state.nodes[0].checks.total > total; }, seconds(5));
  }

  Cluster c;
};

TEST_F(ClusterViewOf, ItsNameAndWhetherItLeavesStandInTheConfiguration) {
  c.start();
  EXPECT_EQ(view().name, "");
  EXPECT_FALSE(view().leaving);
  c.config.clusters = {{.name = "orders", .leaving = true}};
  EXPECT_EQ(view().name, "orders");
  EXPECT_TRUE(view().leaving);
}

TEST_F(ClusterViewOf, NothingIsKnownBeforeTheFirstCheck) {
  c.start();
  const ClusterView v = view();
  EXPECT_EQ(v.topology_generation, 1u);
  EXPECT_EQ(v.primary, "");
  EXPECT_EQ(v.primary_since, WallTime{});
  EXPECT_EQ(v.timeline, 0u);
  EXPECT_EQ(v.system_identifier, "");
  EXPECT_EQ(v.no_primary_why, "no node has been checked yet");
  EXPECT_FALSE(v.first_round_done);
  EXPECT_FALSE(v.paused);
  EXPECT_TRUE(v.dcs_ok);
  EXPECT_FALSE(v.failsafe);
  EXPECT_FALSE(v.hunting);
  EXPECT_FALSE(v.fence_seconds);
  EXPECT_TRUE(v.alarms.empty());
  ASSERT_EQ(v.nodes.size(), 3u);
  const NodeView& n = v.nodes[0];
  EXPECT_EQ(n.role, NodeRole::kUnknown);
  EXPECT_EQ(n.role_since, WallTime{}) << "not fifty years ago";
  EXPECT_EQ(n.last_check_at, WallTime{});
  EXPECT_EQ(n.last_check_result, "");
  EXPECT_EQ(n.checks_total, 0u);
  EXPECT_EQ(n.checks_kept, 0u);
  EXPECT_EQ(n.database_answer, DatabaseAnswer::kUnknown);
  EXPECT_EQ(n.tls, TlsAnswer::kUnknown);
  EXPECT_FALSE(n.lease);
  EXPECT_FALSE(n.lag_bytes);
}

TEST_F(ClusterViewOf, TheClusterItself) {
  c.nodes[0].reply.scope = c.nodes[1].reply.scope = c.nodes[2].reply.scope = "main";
  c.run(seconds(10));
  const ClusterView v = view();
  EXPECT_EQ(v.topology_generation, c.state.published.generation);
  EXPECT_GT(v.topology_generation, 1u);
  EXPECT_EQ(v.scope, "main");
  EXPECT_EQ(v.system_identifier, "7001");
  EXPECT_EQ(v.primary, "pg-1");
  EXPECT_EQ(v.primary_since, wall_at(c.state.primary->since));
  EXPECT_EQ(v.timeline, 5u);
  EXPECT_EQ(v.no_primary_why, "");
  EXPECT_TRUE(v.first_round_done);
  EXPECT_FALSE(v.paused);
  EXPECT_TRUE(v.dcs_ok);
  EXPECT_FALSE(v.failsafe);
  EXPECT_FALSE(v.hunting);
  EXPECT_FALSE(v.fence_seconds);
  EXPECT_TRUE(v.alarms.empty());
  EXPECT_TRUE(v.failovers.empty());
}

TEST_F(ClusterViewOf, ANodeAsConfigured) {
  c.config.nodes[1].host = "pg-2.example";
  c.config.nodes[1].port = 6000;
  c.config.nodes[1].rest = "https://pg-2.example:9008";
  c.config.nodes[1].weight = 7;
  c.run(seconds(5));
  const NodeView n = node(1);
  EXPECT_EQ(n.name, "pg-2");
  EXPECT_EQ(n.host, "pg-2.example:6000");
  EXPECT_EQ(n.rest_url, "https://pg-2.example:9008");
  EXPECT_EQ(n.weight, 7u);
  EXPECT_EQ(n.address, Cluster::address(1).text());
  c.state.nodes[1].addresses.clear();
  EXPECT_EQ(node(1).address, "");
}

TEST_F(ClusterViewOf, ThePrimary) {
  Report& r = c.nodes[0].reply;
  r.patroni_version = "4.1.0";
  r.server_version = "17.2";
  r.tags = {{"nofailover", "true"}, {"zone", "a"}};
  c.run(seconds(10));
  const NodeView n = node(0);
  EXPECT_EQ(n.role, NodeRole::kPrimary);
  EXPECT_EQ(n.role_since, wall_at(c.state.nodes[0].role_since));
  EXPECT_EQ(n.state, "running");
  EXPECT_TRUE(n.lease);
  EXPECT_EQ(n.timeline, 5u);
  EXPECT_EQ(n.wal_position, 1'000'000u);
  EXPECT_FALSE(n.lag_bytes);
  EXPECT_EQ(n.server_version, "17.2");
  EXPECT_EQ(n.patroni_version, "4.1.0");
  const std::vector<std::pair<std::string, std::string>> tags{{"nofailover", "true"},
                                                              {"zone", "a"}};
  EXPECT_EQ(n.tags, tags);
  EXPECT_EQ(n.tls, TlsAnswer::kNo);
  EXPECT_EQ(n.database_answer, DatabaseAnswer::kAnswers);
}

TEST_F(ClusterViewOf, AReplicaWithItsLag) {
  c.answer(1, Cluster::replica(4, 999'000));
  c.nodes[1].reply.replication_state = "in archive recovery";
  c.nodes[2].reply.sync = true;
  c.run(seconds(5));
  const NodeView n = node(1);
  EXPECT_EQ(n.role, NodeRole::kReplica);
  EXPECT_FALSE(n.lease);
  EXPECT_EQ(n.timeline, 4u);
  EXPECT_EQ(n.wal_position, 999'000u);
  EXPECT_EQ(n.lag_bytes, 1'000u);
  EXPECT_EQ(n.replication_state, "in archive recovery");
  EXPECT_EQ(node(2).role, NodeRole::kSyncReplica);
  EXPECT_EQ(node(2).lag_bytes, 0u);
}

TEST_F(ClusterViewOf, ANodeThatDoesNotReplicateHasNoLag) {
  c.answer(1, Cluster::replica(5, 999'000));
  c.run(seconds(5));
  ASSERT_TRUE(node(1).lag_bytes);
  c.answer(1, Cluster::without_query(false, State::kCrashed, "crashed", Role::kReplica));
  c.run(seconds(5));
  EXPECT_FALSE(node(1).lag_bytes);
  EXPECT_EQ(node(1).wal_position, 0u);
  EXPECT_EQ(node(1).state, "crashed");
}

TEST_F(ClusterViewOf, ThePrimaryHasNoLagThoughItWasAReplica) {
  c.answer(1, Cluster::replica(5, 999'000));
  c.run(seconds(5));
  c.answer(0, Cluster::replica(5));
  c.run(seconds(2));
  c.answer(1, Cluster::leader(6));
  c.run(seconds(2));
  ASSERT_EQ(view().primary, "pg-2");
  // Patroni is restarted: the primary's last answer looks like a replica's.
  c.answer(1, Cluster::promoting(6));
  c.run(seconds(2));
  ASSERT_EQ(view().primary, "pg-2");
  c.state.nodes[1].replica.lag = 1'000;
  EXPECT_FALSE(node(1).lag_bytes);
}

TEST_F(ClusterViewOf, TheLastChecks) {
  c.nodes[0].latency = milliseconds(40);
  c.run(seconds(5));
  stop_at_a_check();
  NodeView n = node(0);
  const auto passed = n.checks_total;
  EXPECT_GE(passed, 4u);
  EXPECT_EQ(n.checks_failed, 0u);
  EXPECT_EQ(n.checks_kept, passed);
  EXPECT_EQ(n.check_history, (std::uint64_t{1} << passed) - 1);
  EXPECT_EQ(n.last_check_at, wall_at(c.now));
  EXPECT_DOUBLE_EQ(n.check_seconds, 0.04);
  EXPECT_EQ(n.last_check_result, "200");
  c.refuse(0);
  stop_at_a_check();
  n = node(0);
  EXPECT_EQ(n.checks_total, passed + 1);
  EXPECT_EQ(n.checks_failed, 1u);
  EXPECT_EQ(n.check_history, ((std::uint64_t{1} << passed) - 1) << 1);
  EXPECT_EQ(n.last_check_result, "refused");
  c.run(seconds(90));
  EXPECT_EQ(node(0).checks_kept, 64u);
  EXPECT_EQ(node(0).check_history, 0u);
  EXPECT_GT(node(0).checks_total, 64u);
}

TEST_F(ClusterViewOf, VerdictsOfEachListener) {
  c.run(seconds(5));
  const NodeView n = node(1);
  ASSERT_EQ(n.verdicts.size(), 2u);
  EXPECT_EQ(n.verdicts[0].listener, "read_write");
  EXPECT_EQ(n.verdicts[0].admission, Admission::kCut);
  EXPECT_EQ(n.verdicts[0].reason, Reason::kNotPrimary);
  EXPECT_EQ(n.verdicts[0].why, c.verdict(kReadWrite, 1).why);
  EXPECT_EQ(n.verdicts[1].listener, "read_only");
  EXPECT_EQ(n.verdicts[1].admission, Admission::kAdmit);
  EXPECT_EQ(n.verdicts[1].reason, Reason::kReplica);
  EXPECT_EQ(node(0).verdicts[0].admission, Admission::kAdmit);
}

TEST_F(ClusterViewOf, AnUnprovenPrimaryHasAFence) {
  quiet(c);
  c.refuse(0);
  c.run(seconds(3));
  const ClusterView v = view();
  ASSERT_FALSE(c.state.primary->proven);
  ASSERT_TRUE(v.fence_seconds);
  const Instant fence = fence_deadline(c.config, c.state, 0);
  EXPECT_DOUBLE_EQ(*v.fence_seconds, duration<double>(fence - c.now).count());
  EXPECT_GT(*v.fence_seconds, 2);
  EXPECT_TRUE(v.hunting);
  EXPECT_EQ(v.nodes[0].role, NodeRole::kSilent);
  EXPECT_FALSE(v.nodes[0].lease) << "it showed one before it fell silent";
  EXPECT_EQ(v.nodes[0].database_answer, DatabaseAnswer::kAnswers) << "by its port";
  c.nodes[0].database = DatabaseAnswer::kRefused;
  c.run(seconds(1));
  EXPECT_EQ(node(0).database_answer, DatabaseAnswer::kRefused);
}

TEST_F(ClusterViewOf, TheFenceDoesNotFallBelowZero) {
  quiet(c);
  for (std::size_t i : {1u, 2u}) c.nodes[i].store_says = "pg-1";
  c.silence(0);
  c.run(seconds(40));
  ASSERT_EQ(c.rw(0), "admit witnessed");
  EXPECT_EQ(view().fence_seconds, 0.0);
}

TEST_F(ClusterViewOf, MaintenanceHasNoFence) {
  for (auto& n : c.nodes) n.reply.pause = true;
  quiet(c);
  EXPECT_TRUE(view().paused);
  c.refuse(0);
  c.run(seconds(3));
  ASSERT_EQ(c.rw(0), "admit maintenance");
  EXPECT_FALSE(view().fence_seconds);
  EXPECT_TRUE(view().paused);
}

TEST_F(ClusterViewOf, OneMemberIsEnoughToTellPauseAndFailsafe) {
  c.nodes[0].reply.pause = true;
  c.nodes[1].reply.failsafe = true;
  c.run(seconds(5));
  EXPECT_TRUE(view().paused);
  EXPECT_TRUE(view().failsafe);
  EXPECT_FALSE(view().dcs_ok) << "the failsafe mode says so";
}

TEST_F(ClusterViewOf, ForeignAndSilentNodesTellNothingOfTheCluster) {
  c.nodes[2].reply.system_identifier = "7002";
  c.nodes[2].reply.pause = true;
  c.nodes[2].reply.failsafe = true;
  c.run(seconds(5));
  ASSERT_EQ(node(2).role, NodeRole::kForeign);
  EXPECT_FALSE(view().paused);
  EXPECT_FALSE(view().failsafe);
  EXPECT_EQ(view().alarms, (std::vector<std::string>{c.state.alarms.begin()->second}));
  c.answer(2, Cluster::replica(5));
  c.nodes[1].reply.pause = true;
  c.run(seconds(5));
  ASSERT_TRUE(view().paused);
  c.refuse(1);
  c.run(seconds(5));
  EXPECT_FALSE(view().paused);
}

TEST_F(ClusterViewOf, AStoreOutOfReachOfEveryMember) {
  for (auto& n : c.nodes) n.reply.cluster_unlocked = true;
  c.run(seconds(5));
  EXPECT_FALSE(view().dcs_ok);
  c.nodes[2].reply.cluster_unlocked = false;
  c.run(seconds(5));
  EXPECT_TRUE(view().dcs_ok) << "one member reaches it";
}

TEST_F(ClusterViewOf, AClusterWithoutAKeyStillHasItsStore) {
  c.answer(0, Cluster::replica(5));
  for (auto& n : c.nodes) n.reply.cluster_unlocked = true;
  c.run(seconds(5));
  const ClusterView v = view();
  EXPECT_TRUE(v.dcs_ok);
  EXPECT_EQ(v.primary, "");
  EXPECT_EQ(v.no_primary_why, c.state.no_primary_why);
  EXPECT_NE(v.no_primary_why, "");
}

TEST_F(ClusterViewOf, AnUnprovenPrimaryProvesNothingAboutTheStore) {
  quiet(c);
  c.refuse(0);
  for (std::size_t i : {1u, 2u}) c.nodes[i].reply.cluster_unlocked = true;
  c.run(seconds(3));
  ASSERT_TRUE(c.state.primary);
  EXPECT_TRUE(view().dcs_ok);
}

TEST_F(ClusterViewOf, NobodyAnswersAndTheStoreIsNotBlamed) {
  for (std::size_t i : {0u, 1u, 2u}) c.refuse(i);
  c.run(seconds(5));
  EXPECT_TRUE(view().dcs_ok);
  EXPECT_EQ(view().scope, "");
  EXPECT_EQ(node(0).state, "");
}

}  // namespace
}  // namespace pgsteer
