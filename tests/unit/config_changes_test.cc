// What a reload would change, in words.
#include <gtest/gtest.h>

#include "config/changes.h"
#include "config/parse.h"

namespace pgsteer {
namespace {

constexpr const char* kFile = R"(
[[node]]
name = "pg-1"
host = "10.0.0.1"
[[node]]
name = "pg-2"
host = "10.0.0.2"
[[listen]]
name = "rw"
bind = "*:5000"
[health]
user = "u"
password = "secret"
)";

Config parsed(std::string text, const std::string& from = {}, const std::string& to = {}) {
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  const Parsed result = parse_text(text, "pgsteer.toml");
  for (const Diagnostic& each : result.diagnostics) ADD_FAILURE() << each.text();
  return result.config;
}

// Between kFile and kFile with `from` replaced by `to`.
std::vector<std::string> texts(const std::string& from, const std::string& to) {
  std::vector<std::string> lines;
  for (const ConfigChange& change : changes(parsed(kFile), parsed(kFile, from, to))) {
    lines.push_back(change.text);
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(ConfigChanges, OfTheSameFileThereAreNone) {
  EXPECT_TRUE(changes(parsed(kFile), parsed(kFile)).empty());
}

TEST(ConfigChanges, NodesAndListenersAreToldByTheirNames) {
  EXPECT_EQ(texts("pg-2", "pg-3"), (Lines{"node \"pg-2\" is removed", "node \"pg-3\" is new"}));
  EXPECT_EQ(texts("\"rw\"", "\"ro\""),
            (Lines{"listener \"rw\" is removed", "listener \"ro\" is new"}));
}

TEST(ConfigChanges, EachSettingIsToldWithBothValues) {
  EXPECT_EQ(texts("[health]", "hold = \"4s\"\n[health]"),
            (Lines{"listener \"rw\": hold \"9s\" becomes \"4s\" for new clients"}));
  EXPECT_EQ(texts("host = \"10.0.0.2\"", "host = \"10.0.0.2\"\nweight = 3"),
            (Lines{"node \"pg-2\": weight 1 becomes 3"}));
  EXPECT_EQ(texts("[health]", "[health]\ninterval = \"2s\""),
            (Lines{"health.interval \"1s\" becomes \"2s\""}));
}

TEST(ConfigChanges, ANodeWithAnotherAddressIsAnotherOne) {
  EXPECT_EQ(texts("10.0.0.2", "10.0.0.3").front(),
            "node \"pg-2\": host \"10.0.0.2\" becomes \"10.0.0.3\", which makes it another node");
}

TEST(ConfigChanges, TheOrderOfNodesMeansNothing) {
  Config turned = parsed(kFile);
  std::swap(turned.nodes[0], turned.nodes[1]);
  EXPECT_TRUE(changes(parsed(kFile), turned).empty());
}

constexpr const char* kSecond =
    "[[cluster]]\nname = \"billing\"\n"
    "[[node]]\nname = \"pg-1\"\ncluster = \"billing\"\nhost = \"10.0.1.1\"\n"
    "[[listen]]\nname = \"b\"\ncluster = \"billing\"\nbind = \"*:5010\"\n";

// kFile as cluster "orders", with a second one.
std::string two_clusters() {
  std::string text = "[[cluster]]\nname = \"orders\"" + std::string(kFile);
  for (const char* name : {"\"pg-1\"", "\"pg-2\"", "\"rw\""}) {
    text.insert(text.find(name) + std::string(name).size(), "\ncluster = \"orders\"");
  }
  return text + kSecond;
}

// A cluster that gets a name keeps what it has.
TEST(ConfigChanges, ASecondClusterIsNewAndTheFirstGetsItsName) {
  Lines lines;
  for (const auto& change : changes(parsed(kFile), parsed(two_clusters()))) {
    lines.push_back(change.text);
  }
  EXPECT_EQ(lines, (Lines{"the cluster without a name is now named \"orders\"",
                          "cluster \"billing\" is new", "node \"billing/pg-1\" is new",
                          "listener \"b\" is new"}));
  lines.clear();
  for (const auto& change : changes(parsed(two_clusters()), parsed(kFile))) {
    lines.push_back(change.text);
  }
  EXPECT_EQ(lines,
            (Lines{"cluster \"billing\" is removed", "cluster \"orders\" has no name any more",
                   "node \"billing/pg-1\" is removed", "listener \"b\" is removed"}));
}

TEST(ConfigChanges, AnotherClusterMakesAnotherNodeAndAnotherListener) {
  Config moved = parsed(two_clusters());
  moved.nodes[1].cluster = moved.listen[0].cluster = "billing";
  Lines lines;
  for (const auto& change : changes(parsed(two_clusters()), moved)) lines.push_back(change.text);
  EXPECT_EQ(lines, (Lines{"node \"orders/pg-2\" is removed", "node \"billing/pg-2\" is new",
                          "listener \"rw\": cluster \"orders\" becomes \"billing\", which makes it "
                          "another listener"}));
}

TEST(ConfigChanges, WhatIsWrittenAboutAClusterIsTold) {
  const std::string file = "[[cluster]]\nname = \"a\"\n" + std::string(kFile);
  Config read = parsed(file);
  read.clusters[0].name = read.nodes[0].cluster = read.nodes[1].cluster = "b";
  read.listen[0].cluster = "b";
  read.clusters[0].discover = true;
  Lines lines;
  for (const ConfigChange& change : changes(parsed(file), read)) lines.push_back(change.text);
  EXPECT_EQ(lines, (Lines{"cluster \"a\" is now named \"b\"",
                          "cluster \"b\": discover false becomes true"}));
}

TEST(ConfigChanges, ASecretIsNotTold) {
  EXPECT_EQ(texts("secret", "another"), (Lines{"health.password changes"}));
}

TEST(ConfigChanges, WhatTakesARestartIsSaid) {
  const std::vector<ConfigChange> found =
      changes(parsed(kFile), parsed(kFile, "[health]", "[server]\nworkers = 3\n[health]"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].text, "server.workers 0 becomes 3 after a restart");
  EXPECT_EQ(found[0].reload, Reload::kRestart);
}

}  // namespace
}  // namespace pgsteer
