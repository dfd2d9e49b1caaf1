// What discovery adds to a file.
#include <gtest/gtest.h>

#include <algorithm>

#include "config/nominees.h"

namespace pgsteer {
namespace {

NodeConfig node(const std::string& cluster, unsigned number, bool discovered = true) {
  NodeConfig n;
  n.name = "pg-" + std::to_string(number);
  n.cluster = cluster;
  n.host = "10.0.0." + std::to_string(number);
  n.discovered = discovered;
  return n;
}

class NomineesTest : public testing::Test {
 protected:
  NomineesTest() {
    file.clusters = {{.name = "a", .discover = true}, {.name = "b", .discover = true}};
    file.nodes = {node("a", 1, false), node("b", 2, false)};
    running = file;
  }
  static std::string cluster_of(const Config& config, unsigned number) {
    const std::string host = "10.0.0." + std::to_string(number);
    const auto at = std::ranges::find(config.nodes, host, &NodeConfig::host);
    return at == config.nodes.end() ? "" : at->cluster;
  }

  Config file, running;
};

TEST_F(NomineesTest, AreAddedWhereItIsAskedFor) {
  file.clusters[1].discover = false;
  const Config next = with_nominees(file, {{"a", {node("a", 3)}}, {"b", {node("b", 4)}}}, running);
  EXPECT_EQ(next.nodes.size(), 3U);
  EXPECT_EQ(cluster_of(next, 3), "a");
}

TEST_F(NomineesTest, WhatIsWrittenDownStaysAsItIs) {
  const Config next = with_nominees(file, {{"a", {node("a", 2)}}}, running);
  EXPECT_EQ(next.nodes, file.nodes);
}

TEST_F(NomineesTest, NoClusterTakesANodeOfAnother) {
  running.nodes.push_back(node("b", 3));
  const Nominees both = {{"a", {node("a", 3)}}, {"b", {node("b", 3)}}};
  EXPECT_EQ(cluster_of(with_nominees(file, both, running), 3), "b");
}

TEST_F(NomineesTest, ThereAreNoMoreNodesThanThereMayBe) {
  Nominees many;
  for (unsigned i = 3; i < 100; ++i) many["a"].push_back(node("a", i));
  EXPECT_EQ(with_nominees(file, many, running).nodes.size(), kMaxNodes);
}

TEST_F(NomineesTest, ThoseInForceAreFewer) {
  running.nodes.push_back(node("a", 3));
  running.nodes.push_back(node("a", 4));
  running.nodes.back().leaving = true;
  const Nominees found = in_force({{"a", {node("a", 3), node("a", 4), node("a", 5)}}}, running);
  ASSERT_EQ(found.at("a").size(), 1U);
  EXPECT_EQ(found.at("a")[0].host, "10.0.0.3");
}

TEST_F(NomineesTest, GoAlongWhenTheirClusterGetsAnotherName) {
  file.clusters[0].name = file.nodes[0].cluster = "orders";
  const Nominees nominees = {{"a", {node("a", 3)}}, {"b", {node("b", 4)}}};
  const Nominees now = renamed(nominees, running, file);
  ASSERT_EQ(now.size(), 2U);
  EXPECT_EQ(now.at("orders")[0].cluster, "orders");
  file.clusters.pop_back();
  EXPECT_FALSE(renamed(nominees, running, file).contains("b")) << "it is not in the file any more";
}

}  // namespace
}  // namespace pgsteer
