#include "proxy/routing/route.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace pgsteer {
namespace {

// A topology of `n` nodes, all admitted, and their load.
struct Scene {
  explicit Scene(std::size_t count) : load(count) {
    topology.nodes.resize(count);
    topology.pools.resize(1);
    topology.pools[0].by_node.resize(count);
    for (Verdict& verdict : topology.pools[0].by_node) verdict.admission = Admission::kAdmit;
  }
  Scene& admission(std::size_t node, Admission admission) {
    topology.pools[0].by_node[node].admission = admission;
    return *this;
  }
  Route pick() const {
    return route({.topology = topology,
                  .listener = 0,
                  .balance = balance,
                  .load = load,
                  .tried = tried,
                  .turn = turn,
                  .random = random,
                  .client_hash = client});
  }
  // How many of `sessions` permanent sessions each node gets.
  std::map<std::size_t, int> spread(int sessions) {
    std::map<std::size_t, int> count;
    for (int i = 0; i < sessions; ++i) {
      const Route r = pick();
      EXPECT_EQ(r.outcome, RouteOutcome::kNode);
      ++count[r.node];
      ++load[r.node].sessions;
      ++turn;
      ++random;
    }
    return count;
  }

  Topology topology;
  std::vector<NodeLoad> load;
  Balance balance = Balance::kLeastSessions;
  std::uint64_t tried = 0;
  std::uint32_t turn = 0;
  std::uint64_t random = 0;
  std::uint64_t client = 0;
};

TEST(Route, OnlyToAdmittedNodes) {
  Scene scene(3);
  scene.admission(0, Admission::kCut).admission(2, Admission::kDrain);
  for (const Balance balance :
       {Balance::kLeastSessions, Balance::kRoundRobin, Balance::kRandom, Balance::kClientAddress}) {
    scene.balance = balance;
    for (scene.turn = 0; scene.turn < 10; ++scene.turn) {
      scene.random = scene.client = scene.turn;
      EXPECT_EQ(scene.pick().outcome, RouteOutcome::kNode);
      EXPECT_EQ(scene.pick().node, 1U);
    }
  }
}

TEST(Route, NoNodeAdmitted) {
  Scene scene(2);
  scene.admission(0, Admission::kCut).admission(1, Admission::kDrain);
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kNobody);
}

TEST(Route, TriedNodesAreSkipped) {
  Scene scene(2);
  scene.tried = 0b01;
  EXPECT_EQ(scene.pick().node, 1U);
  scene.tried = 0b11;
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kTried);
}

TEST(Route, FullNodesAreSkipped) {
  Scene scene(2);
  scene.load[0] = {.sessions = 5, .max_sessions = 5};
  EXPECT_EQ(scene.pick().node, 1U);
  scene.load[1] = {.sessions = 7, .max_sessions = 6};
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kFull);
  scene.load[1].max_sessions = 0;  // no limit
  EXPECT_EQ(scene.pick().node, 1U);
}

TEST(Route, NodesAtTheLimitOfLoginsInFlightAreSkipped) {
  Scene scene(2);
  scene.load[0] = {.busy = true};
  EXPECT_EQ(scene.pick().node, 1U);
  scene.load[1] = {.busy = true};
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kBusy);
}

// Waiting helps if logins are in flight, but not if the node is full.
TEST(Route, BusyMeansWaitAndFullMeansRefuse) {
  Scene scene(2);
  scene.load[0] = {.sessions = 5, .max_sessions = 5};
  scene.load[1] = {.busy = true};
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kBusy);
  scene.tried = 0b10;
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kFull);
}

TEST(Route, LeastSessionsIsEven) {
  Scene scene(3);
  EXPECT_EQ(scene.spread(30), (std::map<std::size_t, int>{{0, 10}, {1, 10}, {2, 10}}));
}

TEST(Route, LeastSessionsPrefersTheLeastLoadedNode) {
  Scene scene(2);
  scene.load[0].sessions = 10;
  EXPECT_EQ(scene.spread(10), (std::map<std::size_t, int>{{1, 10}}));
  EXPECT_EQ(scene.spread(10), (std::map<std::size_t, int>{{0, 5}, {1, 5}}));
}

TEST(Route, LeastSessionsByWeight) {
  Scene scene(2);
  scene.topology.nodes[1].weight = 3;
  EXPECT_EQ(scene.spread(40), (std::map<std::size_t, int>{{0, 10}, {1, 30}}));
}

TEST(Route, TheLargestWeightsDoNotOverflow) {
  Scene scene(2);
  for (std::size_t i = 0; i < 2; ++i) {
    scene.topology.nodes[i].weight = 256;
    scene.load[i].sessions = 0xffffff00U + static_cast<std::uint32_t>(1 - i);
  }
  EXPECT_EQ(scene.pick().node, 1U);
}

TEST(Route, RoundRobinIgnoresTheLoad) {
  Scene scene(3);
  scene.balance = Balance::kRoundRobin;
  scene.load[0].sessions = 100;
  EXPECT_EQ(scene.spread(9), (std::map<std::size_t, int>{{0, 3}, {1, 3}, {2, 3}}));
}

TEST(Route, RoundRobinByWeight) {
  Scene scene(2);
  scene.balance = Balance::kRoundRobin;
  scene.topology.nodes[0].weight = 4;
  EXPECT_EQ(scene.spread(50), (std::map<std::size_t, int>{{0, 40}, {1, 10}}));
}

TEST(Route, RandomOfTwoIsNearlyEven) {
  Scene scene(4);
  scene.balance = Balance::kRandom;
  for (const auto& [node, count] : scene.spread(4000)) EXPECT_NEAR(count, 1000, 20) << node;
}

TEST(Route, OneClientStaysOnOneNodeAndOthersAreSpread) {
  Scene scene(4);
  scene.balance = Balance::kClientAddress;
  std::map<std::size_t, int> count;
  for (scene.client = 0; scene.client < 4000; ++scene.client) {
    const std::size_t node = scene.pick().node;
    ++scene.turn;
    ++scene.random;
    EXPECT_EQ(scene.pick().node, node);
    ++count[node];
  }
  ASSERT_EQ(count.size(), 4U);
  for (const auto& [node, clients] : count) EXPECT_NEAR(clients, 1000, 150) << node;
}

TEST(Route, WhenANodeLeavesOnlyItsClientsMove) {
  Scene scene(4);
  scene.balance = Balance::kClientAddress;
  for (scene.client = 0; scene.client < 500; ++scene.client) {
    scene.admission(2, Admission::kAdmit);
    const std::size_t before = scene.pick().node;
    scene.admission(2, Admission::kDrain);
    const std::size_t after = scene.pick().node;
    if (before != 2) {
      EXPECT_EQ(after, before);
    }
    EXPECT_NE(after, 2U);
  }
}

TEST(Route, ClientAddressByWeight) {
  Scene scene(2);
  scene.balance = Balance::kClientAddress;
  scene.topology.nodes[1].weight = 3;
  int heavy = 0;
  for (scene.client = 0; scene.client < 4000; ++scene.client) heavy += scene.pick().node == 1;
  EXPECT_NEAR(heavy, 3000, 200);
}

// -------------------------------------------------------------------------------------------------

TEST(Permits, CutEndsSessionsAndDrainDoesNot) {
  Scene scene(2);
  scene.admission(0, Admission::kCut).admission(1, Admission::kDrain);
  for (const Target to : {Target::kPrimary, Target::kReplica}) {
    scene.topology.pools[0].to = to;
    EXPECT_FALSE(permits(scene.topology, 0, 0, 1));
    EXPECT_TRUE(permits(scene.topology, 0, 1, 1));
  }
}

// Between two of its timelines the node was not the primary.
TEST(Permits, AnotherTimelineOfThePrimaryEndsItsWriters) {
  Scene scene(2);
  scene.topology.primary = 0;
  scene.topology.timeline = 5;
  EXPECT_TRUE(permits(scene.topology, 0, 0, 5));
  EXPECT_FALSE(permits(scene.topology, 0, 0, 4));
  scene.topology.pools[0].to = Target::kAny;
  EXPECT_TRUE(permits(scene.topology, 0, 0, 4));  // readers
  scene.topology.pools[0].to = Target::kReplica;
  EXPECT_TRUE(permits(scene.topology, 0, 1, 4));  // of a replica
}

TEST(Permits, WithoutAPrimaryTheVerdictDecides) {
  Scene scene(1);
  scene.topology.timeline = 9;
  EXPECT_TRUE(permits(scene.topology, 0, 0, 5));
}

// -------------------------------------------------------------------------------------------------

TEST(Expired, NobodyMayWriteAndReadersKeepTheirNodes) {
  Scene scene(2);
  scene.admission(1, Admission::kCut);
  scene.topology.pools.push_back(scene.topology.pools[0]);
  scene.topology.pools[1].to = Target::kAny;
  scene.topology.pools[1].by_node[0] = {Admission::kAdmit, Reason::kFallback, "no replica"};
  scene.topology.generation = 7;
  scene.topology.primary = 0;
  scene.topology.timeline = 5;
  scene.topology.first_round_done = true;
  scene.topology.valid_until = std::chrono::steady_clock::time_point{};
  const Topology after = expired(scene.topology, std::chrono::milliseconds(12'900));
  EXPECT_EQ(after.generation, 7U);
  EXPECT_TRUE(after.first_round_done);
  EXPECT_FALSE(after.primary);
  EXPECT_FALSE(after.valid_until);
  EXPECT_EQ(after.no_primary_why, "the checks of the nodes stopped 12 s ago");
  for (const Verdict& verdict : after.pools[0].by_node) {
    EXPECT_EQ(verdict.admission, Admission::kCut);
    EXPECT_EQ(verdict.reason, Reason::kFenced);
    EXPECT_EQ(verdict.why, after.no_primary_why);
  }
  EXPECT_FALSE(permits(after, 0, 0, 5));
  EXPECT_EQ(after.pools[1].by_node[0].admission, Admission::kAdmit);
  EXPECT_EQ(after.pools[1].by_node[0].why, "no replica");
  EXPECT_EQ(after.pools[1].by_node[1].admission, Admission::kCut);
}

// Elsewhere a cancel inside TLS, which looks like a login, would miss its session.
TEST(Route, AClientAddressWaitsForItsNode) {
  Scene scene(2);
  scene.balance = Balance::kClientAddress;
  scene.client = 7;
  const std::size_t its = scene.pick().node;
  scene.load[its].busy = true;
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kBusy);
  scene.load[its].busy = false;
  scene.load[1 - its].busy = true;
  EXPECT_EQ(scene.pick().node, its);
  scene.admission(its, Admission::kCut);
  EXPECT_EQ(scene.pick().outcome, RouteOutcome::kBusy);
}

}  // namespace
}  // namespace pgsteer
