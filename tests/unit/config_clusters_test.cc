// Several clusters in one file: what the parser fills in, and what it refuses.
#include <gtest/gtest.h>

#include <string>

#include "config/clusters.h"
#include "tests/unit/config_text.h"

namespace pgsteer {
namespace {

constexpr const char* kTwo = R"([[cluster]]
name = "orders"
[[cluster]]
name = "billing"
[[node]]
name = "pg-1"
cluster = "orders"
host = "10.0.0.1"
[[node]]
name = "pg-1"
cluster = "billing"
host = "10.0.1.1"
[[listen]]
name = "orders_rw"
cluster = "orders"
bind = "*:5000"
[[listen]]
name = "billing_rw"
cluster = "billing"
bind = "*:5010"
)";

// kTwo with the first `from` replaced by `to`.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kTwo;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ConfigClusters, WithoutASectionThereIsOneWithoutAName) {
  const Parsed parsed = parse(std::string(kNode) + kListen);
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  ASSERT_EQ(parsed.config.clusters.size(), 1U);
  EXPECT_EQ(parsed.config.clusters[0].name, "");
  EXPECT_EQ(parsed.config.nodes[0].cluster, "");
  EXPECT_EQ(parsed.config.listen[0].cluster, "");
}

TEST(ConfigClusters, OneNeedNotBeNamedByItsNodesAndListeners) {
  const Parsed parsed = parse("[[cluster]]\nname = \"orders\"\n" + std::string(kNode) + kListen);
  ASSERT_TRUE(parsed.ok()) << texts(parsed);
  ASSERT_EQ(parsed.config.clusters.size(), 1U);
  EXPECT_EQ(parsed.config.nodes[0].cluster, "orders");
  EXPECT_EQ(parsed.config.listen[0].cluster, "orders");
}

TEST(ConfigClusters, EveryClusterHasItsOwnPg1) {
  const Parsed parsed = parse(kTwo);
  EXPECT_EQ(texts(parsed), "");
  ASSERT_EQ(parsed.config.clusters.size(), 2U);
  EXPECT_EQ(parsed.config.nodes[1].name, "pg-1");
  EXPECT_EQ(parsed.config.nodes[1].cluster, "billing");
}

struct Refused {
  std::string from, to, error;
};

class ConfigClustersRefused : public testing::TestWithParam<Refused> {};

TEST_P(ConfigClustersRefused, WithOneClearLine) {
  const Refused& c = GetParam();
  const Parsed parsed = parse(changed(c.from, c.to));
  EXPECT_FALSE(parsed.ok());
  EXPECT_EQ(texts(parsed), "pgsteer.toml:" + c.error + "\n");
}

INSTANTIATE_TEST_SUITE_P(
    Each, ConfigClustersRefused,
    testing::Values(
        Refused{"cluster = \"billing\"", "cluster = \"biling\"",
                "11: node[1].cluster: \"biling\" is not a cluster (did you mean \"billing\"?); "
                "known: orders, billing"},
        Refused{"name = \"billing\"", "name = \"orders\"",
                "4: cluster[1].name: \"orders\" is already used by cluster[0].name (line 2); each "
                "cluster needs its own name"},
        Refused{"cluster = \"billing\"\nhost", "host",
                "9: node[1].cluster: is missing; there are several clusters, and each node and "
                "listener names its own: cluster = \"orders\""},
        Refused{"cluster = \"billing\"\nbind", "bind",
                "17: listen[1].cluster: is missing; there are several clusters, and each node and "
                "listener names its own: cluster = \"orders\""},
        Refused{"name = \"pg-1\"\ncluster = \"billing\"", "name = \"pg-2\"\ncluster = \"orders\"",
                "4: cluster[1].name: \"billing\" has no nodes; write cluster = \"billing\" in its "
                "[[node]] sections"},
        Refused{"cluster = \"billing\"\nbind", "cluster = \"orders\"\nbind",
                "4: cluster[1].name: \"billing\" has no listener; write cluster = \"billing\" in "
                "its [[listen]]"},
        Refused{"10.0.1.1", "10.0.0.1",
                "12: node[1].host: \"10.0.0.1:5432\" is claimed by two clusters: \"orders\" "
                "(node[0].host, line 8) and \"billing\"; a node belongs to one"},
        Refused{"billing_rw", "orders_rw",
                "18: listen[1].name: \"orders_rw\" is already used by listen[0].name (line 14); "
                "each listener needs its own name"},
        Refused{"name = \"billing\"", "name = \"bill ing\"",
                "4: cluster[1].name: \"bill ing\" is not a valid name; allowed: 1 to 63 letters (a "
                "to z, A to Z), digits, . _ -"}));

TEST(ConfigClusters, NamesOfNodesAreUniqueInTheirCluster) {
  const Parsed parsed =
      parse(std::string(kTwo) + "[[node]]\nname = \"pg-1\"\ncluster = \"orders\"\nhost = \"h\"\n");
  EXPECT_EQ(
      texts(parsed),
      "pgsteer.toml:22: node[2].name: \"pg-1\" is already used by node[0].name (line 6); each "
      "node of a cluster needs its own name\n");
}

TEST(ConfigClusters, WithoutASectionNobodyBelongsToOne) {
  EXPECT_EQ(texts(parse(std::string(kNode) + "cluster = \"orders\"\n" + kListen)),
            "pgsteer.toml:4: node[0].cluster: \"orders\" is not a cluster: there is no [[cluster]] "
            "in this file\n");
}

TEST(ConfigClusters, ThereAreAtMostSixteen) {
  std::string text;
  for (std::size_t i = 0; i <= kMaxClusters; ++i) {
    const std::string n = std::to_string(i);
    const std::string its = "\"\ncluster = \"c" + n + "\"\n";
    if (i == kMaxClusters) {
      EXPECT_TRUE(parse(text).ok()) << texts(parse(text));
    }
    text += "[[cluster]]\nname = \"c" + n + "\"\n[[node]]\nname = \"n" + its + "host = \"10.0.0." +
            n + "\"\n[[listen]]\nname = \"l" + n + its + "bind = \"*:" + std::to_string(5000 + i) +
            "\"\n";
  }
  EXPECT_NE(texts(parse(text)).find("cluster[16]: is one too many; at most 16 are allowed"),
            std::string::npos);
}

using Origins = std::vector<std::optional<std::size_t>>;

Config parsed(const std::string& toml) {
  const Parsed result = parse(toml);
  EXPECT_TRUE(result.ok()) << texts(result);
  return result.config;
}

TEST(ConfigClusters, AreTheSameByNameWhereverTheyStand) {
  Config turned = parsed(kTwo);
  std::swap(turned.clusters[0], turned.clusters[1]);
  EXPECT_EQ(cluster_origins(parsed(kTwo), turned), (Origins{1, 0}));
}

// A second cluster comes, so that the first one needs a name.
TEST(ConfigClusters, TheFirstNameOfAClusterMakesNoOtherOfIt) {
  const Config before =
      parsed("[[node]]\nname = \"pg-1\"\nhost = \"10.0.1.1\"\n" + std::string(kListen));
  EXPECT_EQ(cluster_origins(before, parsed(kTwo)), (Origins{std::nullopt, 0}));
  EXPECT_EQ(cluster_origins(parsed(kTwo), before), (Origins{1}));
}

TEST(ConfigClusters, ANewNameAndOtherNodesMakeAnotherCluster) {
  std::string text = changed("name = \"orders\"", "name = \"sales\"");
  for (std::size_t at; (at = text.find("\"orders\"")) != std::string::npos;) {
    text.replace(at, 8, "\"sales\"");
  }
  EXPECT_EQ(cluster_origins(parsed(kTwo), parsed(text)), (Origins{0, 1}));
  text.replace(text.find("10.0.0.1"), 8, "10.0.0.9");
  EXPECT_EQ(cluster_origins(parsed(kTwo), parsed(text)), (Origins{std::nullopt, 1}));
}

// A name is never taken from a cluster that has it.
TEST(ConfigClusters, ANodeThatChangesItsClusterDoesNotRenameIt) {
  Config moved = parsed(kTwo);
  std::swap(moved.nodes[0].host, moved.nodes[1].host);
  EXPECT_EQ(cluster_origins(parsed(kTwo), moved), (Origins{0, 1}));
}

}  // namespace
}  // namespace pgsteer
