// Nodes, listeners and clusters keep their slots through reloads.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "config/cluster_part.h"

namespace pgsteer {
namespace {

using Numbers = std::vector<std::uint8_t>;

Config with(const std::vector<std::string>& nodes) {
  Config config;
  for (const std::string& name : nodes) {
    config.nodes.emplace_back().name = name;
    config.nodes.back().host = name + ".example";
  }
  config.listen.emplace_back().name = "rw";
  return config;
}

TEST(Running, TheFirstOneHasSlotsInTheOrderOfTheFile) {
  const Running running(with({"a", "b"}));
  EXPECT_EQ(running.slots.nodes, (Numbers{0, 1}));
  EXPECT_EQ(running.node(1)->name, "b");
  EXPECT_EQ(running.node(2), nullptr);
  EXPECT_EQ(running.listener(0)->name, "rw");
  EXPECT_EQ(running.listener(kMaxListeners - 1), nullptr);
}

TEST(Running, WhoStaysKeepsItsSlotWhereverItIsInTheFile) {
  const Running running(with({"a", "b", "c"}));
  EXPECT_EQ(slots_after(running, with({"c", "new", "a"}), {})->nodes, (Numbers{2, 1, 0}));
}

TEST(Running, ASlotThatIsStillUsedIsGivenToNobody) {
  const Running running(with({"a", "b", "c"}));
  EXPECT_EQ(slots_after(running, with({"a", "new", "c"}), {.nodes = 0b010})->nodes,
            (Numbers{0, 3, 2}));
}

TEST(Running, AnotherAddressIsAnotherNode) {
  const Running running(with({"a", "b"}));
  Config moved = with({"a", "b"});
  moved.nodes[0].port = 5433;
  EXPECT_EQ(slots_after(running, moved, {.nodes = 0b11})->nodes, (Numbers{2, 1}));
}

TEST(Running, WithoutAFreeSlotThereIsNoNewConfiguration) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMaxNodes; ++i) names.push_back("n" + std::to_string(i));
  const Running running(with(names));
  names[5] = "new";
  EXPECT_EQ(slots_after(running, with(names), {})->nodes[5], 5);
  EXPECT_FALSE(slots_after(running, with(names), {.nodes = ~std::uint64_t{0}}));
}

// Each with two nodes, at addresses of its own, and a listener.
Config clusters(const std::vector<std::string>& names) {
  Config config;
  config.clusters.clear();
  for (const std::string& name : names) {
    config.clusters.push_back({.name = name});
    for (const char* number : {"1", "2"}) {
      NodeConfig& node = config.nodes.emplace_back();
      node.name = std::string("pg-") + number;
      node.host = name + number;
      node.cluster = name;
    }
    ListenConfig& listen = config.listen.emplace_back();
    listen.name = name + "_rw";
    listen.cluster = name;
  }
  return config;
}

// What a reload to `read` puts in force.
std::shared_ptr<const Running> after(const Running& before, Config read) {
  Config config = with_leaving(before, std::move(read));
  const auto slots = slots_after(before, config, {});
  EXPECT_TRUE(slots);
  return std::make_shared<const Running>(std::move(config), *slots, before.number + 1);
}

TEST(RunningClusters, HaveSlotsAndSoAllKnowTheirs) {
  const Running running(clusters({"a", "b"}));
  EXPECT_EQ(running.slots.clusters, (Numbers{0, 1}));
  EXPECT_EQ(running.cluster(1)->name, "b");
  EXPECT_EQ(running.cluster(2), nullptr);
  EXPECT_EQ(running.cluster_of_node(1), 0U);
  EXPECT_EQ(running.cluster_of_node(2), 1U);
  EXPECT_EQ(running.cluster_of_listener(1), 1U);
}

TEST(RunningClusters, WithoutASectionThereIsOne) {
  const Running running(with({"a", "b"}));
  EXPECT_EQ(running.slots.clusters, (Numbers{0}));
  EXPECT_EQ(running.cluster(0)->name, "");
  EXPECT_EQ(running.cluster_of_node(1), 0U);
}

TEST(RunningClusters, KeepTheirSlotsWhereverTheyStand) {
  const Running running(clusters({"a", "b"}));
  const auto next = after(running, clusters({"new", "b", "a"}));
  EXPECT_EQ(next->slots.clusters, (Numbers{2, 1, 0}));
  EXPECT_EQ(next->slots.nodes, (Numbers{4, 5, 2, 3, 0, 1}));
  EXPECT_EQ(next->cluster_of_node(4), 2U);
  EXPECT_FALSE(any_leaving(next->config));
}

// The file names its cluster because a second one has come: sessions and slots stay.
TEST(RunningClusters, OneThatGetsAnotherNameIsTheSameOne) {
  Config unnamed = clusters({""});
  unnamed.listen[0].name = "a_rw";
  for (NodeConfig& node : unnamed.nodes) node.host = "a" + node.host;
  const Running running(unnamed);
  Config named = clusters({"a", "b"});
  named.nodes.erase(named.nodes.begin() + 1);  // a2 is gone
  const auto next = after(running, named);
  EXPECT_EQ(next->slots.clusters, (Numbers{0, 1}));
  EXPECT_EQ(next->cluster(0)->name, "a");
  EXPECT_EQ(next->slots.listeners, (Numbers{0, 1}));
  EXPECT_EQ(next->slots.nodes, (Numbers{0, 2, 3, 1}));
  EXPECT_TRUE(next->node(1)->leaving);
  EXPECT_EQ(next->node(1)->cluster, "a");
  EXPECT_EQ(next->cluster_of_node(1), 0U);
}

TEST(RunningClusters, TheSameAddressInAnotherClusterIsAnotherNode) {
  const Running running(clusters({"a", "b"}));
  Config moved = clusters({"a", "b"});
  moved.nodes[1].cluster = "b";
  moved.nodes[1].name = "pg-3";
  const auto next = after(running, moved);
  EXPECT_EQ(next->slots.nodes, (Numbers{0, 4, 2, 3, 1}));
  EXPECT_EQ(next->cluster_of_node(4), 1U);
  EXPECT_TRUE(next->node(1)->leaving);
  EXPECT_EQ(next->cluster_of_node(1), 0U);
}

TEST(RunningClusters, TheSameListenerOfAnotherClusterIsAnotherOne) {
  const Running running(clusters({"a", "b"}));
  Config moved = clusters({"a", "b"});
  moved.listen[0].cluster = "b";
  const auto next = after(running, moved);
  EXPECT_EQ(next->slots.listeners, (Numbers{2, 1, 0}));
  EXPECT_EQ(next->cluster_of_listener(2), 1U);
  EXPECT_TRUE(next->listener(0)->leaving);
  EXPECT_EQ(next->cluster_of_listener(0), 0U);
}

// Its listener still has a session, on a node that is checked until then.
TEST(RunningClusters, ARemovedOneLeavesAsAWhole) {
  const Running running(clusters({"a", "b"}));
  const auto next = after(running, clusters({"a"}));
  ASSERT_NE(next->cluster(1), nullptr);
  EXPECT_TRUE(next->cluster(1)->leaving);
  EXPECT_TRUE(next->node(2)->leaving);
  EXPECT_FALSE(without_unused(*next, {.nodes = 0b0100, .listeners = 0b10}));
  EXPECT_FALSE(without_unused(*next, {.listeners = 0b10})) << "somebody waits there";
  const std::optional<Config> left = without_unused(*next, {.nodes = 0b0001, .listeners = 0b01});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->clusters.size(), 1U);
  EXPECT_EQ(left->nodes.size(), 2U);
  EXPECT_EQ(left->listen.size(), 1U);
}

TEST(RunningClusters, AnUnusedNodeOfAClusterThatStaysGoesAtOnce) {
  const Running running(clusters({"a", "b"}));
  Config fewer = clusters({"a", "b"});
  fewer.nodes.erase(fewer.nodes.begin());
  const auto next = after(running, fewer);
  const auto left = without_unused(*next, {.nodes = 0b1100, .listeners = 0b11});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->nodes.size(), 3U);
  EXPECT_EQ(left->clusters.size(), 2U);
}

TEST(RunningClusters, OneThatComesBackHasItsSlotAndSessions) {
  const Running running(clusters({"a", "b"}));
  const auto gone = after(running, clusters({"a"}));
  const auto back = after(*gone, clusters({"b", "a"}));
  EXPECT_EQ(back->slots.clusters, (Numbers{1, 0}));
  EXPECT_EQ(back->slots.nodes, (Numbers{2, 3, 0, 1}));
  EXPECT_FALSE(any_leaving(back->config));
}

TEST(RunningClusters, WithoutAFreeSlotThereIsNoNewConfiguration) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMaxClusters; ++i) names.push_back("c" + std::to_string(i));
  const Running running(clusters(names));
  names[3] = "new";
  EXPECT_FALSE(slots_after(running, with_leaving(running, clusters(names)), {}));
}

TEST(ClusterPart, HasOnlyWhatBelongsToTheCluster) {
  Config config = clusters({"a", "b"});
  std::swap(config.nodes[1], config.nodes[2]);  // the order in the file means nothing
  config.health.user = "u";
  const Running running(config);
  const ClusterPart part = cluster_part(running, 1);
  ASSERT_EQ(part.config.nodes.size(), 2U);
  EXPECT_EQ(part.config.nodes[0].host, "b1");
  EXPECT_EQ(part.config.nodes[1].host, "b2");
  EXPECT_EQ(part.slots.nodes, (Numbers{1, 3}));
  ASSERT_EQ(part.config.listen.size(), 1U);
  EXPECT_EQ(part.config.listen[0].name, "b_rw");
  EXPECT_EQ(part.slots.listeners, (Numbers{1}));
  ASSERT_EQ(part.config.clusters.size(), 1U);
  EXPECT_EQ(part.config.clusters[0].name, "b");
  EXPECT_EQ(part.config.health.user, "u");
}

TEST(ClusterPart, OfTheOnlyClusterIsTheWhole) {
  const Running running(with({"a", "b"}));
  const ClusterPart part = cluster_part(running, 0);
  EXPECT_EQ(part.config.nodes.size(), 2U);
  EXPECT_EQ(part.slots.nodes, (Numbers{0, 1}));
  EXPECT_EQ(part.slots.listeners, (Numbers{0}));
}

}  // namespace
}  // namespace pgsteer
