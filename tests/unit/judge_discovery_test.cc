// Members that the lists of proven members name and the configuration file does not.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using std::chrono::minutes;

class Discovery : public testing::Test {
 protected:
  Discovery() {
    c.config.clusters[0].discover = true;
    for (ScriptedNode& node : c.nodes) node.store_says = "pg-1";
  }
  static ClusterMember member(const std::string& name, const std::string& host) {
    ClusterMember m;
    m.name = name;
    m.role = "replica";
    m.host = host;
    m.port = 5432;
    m.api_url = "http://" + host + ":8008/patroni";
    return m;
  }
  // What puts configurations in force does: the nodes that were written down, and the nominees.
  void put_in_force() {
    if (!c.nominated) return;
    Config next = c.config;
    std::erase_if(next.nodes, [](const NodeConfig& n) { return n.discovered; });
    next.nodes.insert(next.nodes.end(), c.nominated->begin(), c.nominated->end());
    c.nominated.reset();
    c.reload(next);
    for (ScriptedNode& node : c.nodes) node.store_says = "pg-1";
    // The scripted list has every node of the configuration.
    for (std::size_t i = 3; i < c.nodes.size(); ++i) c.nodes[i].member = false;
  }
  // The list is read, and a nominee is checked.
  void discover() {
    c.run(seconds(25));
    put_in_force();
    c.run(seconds(5));
    put_in_force();
  }
  std::size_t told(const std::string& part) const {
    return static_cast<std::size_t>(std::ranges::count_if(c.transitions, [&](const Transition& t) {
      return t.text.find(part) != std::string::npos;
    }));
  }

  ScriptedCluster c;
};

TEST_F(Discovery, AFurtherMemberIsNominated) {
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(seconds(25));
  ASSERT_TRUE(c.nominated);
  ASSERT_EQ(c.nominated->size(), 1U);
  const NodeConfig& node = c.nominated->front();
  EXPECT_EQ(node.name, "pg-4");
  EXPECT_EQ(node.host, "10.0.0.4");
  EXPECT_EQ(node.port, 5432);
  EXPECT_EQ(node.rest, "http://10.0.0.4:8008");
  EXPECT_TRUE(node.discovered);
  EXPECT_EQ(told("pg-4 at 10.0.0.4:5432"), 1U);
  c.nominated.reset();
  c.run(minutes(1));
  EXPECT_FALSE(c.nominated) << "it is said once";
}

TEST_F(Discovery, OnlyWhereItIsAskedFor) {
  c.config.clusters[0].discover = false;
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(minutes(2));
  EXPECT_FALSE(c.nominated);
}

TEST_F(Discovery, ANomineeServesOnceItHasProvenItself) {
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(seconds(25));
  put_in_force();
  ASSERT_EQ(c.nodes.size(), 4U);
  EXPECT_EQ(c.ro(3), "cut unknown");
  c.run(seconds(5));
  EXPECT_EQ(c.ro(3), "admit replica");
  EXPECT_EQ(c.primary(), 0U);
}

TEST_F(Discovery, ANomineeThatDoesNotTellItsIdentifierServesNobody) {
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(seconds(25));
  put_in_force();
  c.nodes[3].reply.system_identifier.clear();
  c.run(minutes(1));
  EXPECT_EQ(c.ro(3), "cut unknown");
  c.answer(3, ScriptedCluster::leader(9));
  c.nodes[3].reply.system_identifier.clear();
  c.run(minutes(1));
  EXPECT_EQ(c.rw(3), "cut unknown");
  EXPECT_EQ(c.rw(0), "admit primary") << "nor does a timeline of that kind count";
}

TEST_F(Discovery, ANomineeOfAnotherClusterIsDroppedAndChangesNothing) {
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(seconds(25));
  put_in_force();
  Report other = ScriptedCluster::leader(99);
  other.system_identifier = "6000";
  c.answer(3, other);
  const auto generation = c.generations;
  c.run(seconds(5));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty());
  EXPECT_EQ(told("pg-4 at 10.0.0.4:5432 is listed as a member, and is not used"), 1U);
  EXPECT_FALSE(c.alarm(AlarmKind::kForeign, 3));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_LE(c.generations - generation, 2U) << "its own verdict, from unknown to foreign";
  put_in_force();
  c.run(minutes(3));
  EXPECT_EQ(c.nodes.size(), 3U);
  EXPECT_FALSE(c.nominated) << "it is tried again after forget_after only";
  c.run(minutes(3));
  EXPECT_TRUE(c.nominated);
}

TEST_F(Discovery, StrangersNominateNobody) {
  Config four = c.config;
  NodeConfig stranger;
  stranger.name = "stranger";
  stranger.host = "10.0.0.9";
  four.nodes.push_back(stranger);
  c.start();
  c.reload(four);
  c.nodes[3].reply.system_identifier = "6000";
  for (ScriptedNode& node : c.nodes) node.store_says = node.reply.lease ? "" : "pg-1";
  c.nodes[1].store_says = c.nodes[2].store_says = "";  // only the stranger's list can be read
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(minutes(2));
  EXPECT_FALSE(c.nominated);
}

TEST_F(Discovery, ANomineeHasWhatTheListSays) {
  Config named = c.config;
  named.clusters[0].name = "orders";
  for (NodeConfig& node : named.nodes) node.cluster = "orders";
  for (ListenConfig& listen : named.listen) listen.cluster = "orders";
  c.start();
  c.reload(named);
  c.further = {member("pg-4", "pg-4.example")};
  c.further[0].port = 5433;
  c.run(seconds(25));
  ASSERT_TRUE(c.nominated);
  ASSERT_EQ(c.nominated->size(), 1U);
  EXPECT_EQ(c.nominated->front().cluster, "orders");
  EXPECT_EQ(c.nominated->front().host, "pg-4.example");
  EXPECT_EQ(c.nominated->front().port, 5433);
}

// It may be on its way to another cluster.
TEST_F(Discovery, TheListOfANodeWhosePostgresDoesNotRunCountsForNothing) {
  c.run(seconds(5));
  c.nodes[0].store_says = c.nodes[2].store_says = "";
  c.nodes[1].reply.state = State::kStarting;
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(minutes(2));
  EXPECT_FALSE(c.nominated);
  c.nodes[1].reply.state = State::kRunning;
  c.run(minutes(2));
  EXPECT_TRUE(c.nominated);
}

TEST_F(Discovery, WhoeverTurnsOutToBeAStrangerIsForgottenWhenNobodyListsIt) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  ASSERT_EQ(c.ro(3), "admit replica");
  c.nodes[3].reply.system_identifier = "6000";
  c.run(minutes(6));
  EXPECT_FALSE(c.nominated) << "it is listed";
  c.further.clear();
  c.run(minutes(6));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty());
}

TEST_F(Discovery, EachMembersListIsReadInItsTurn) {
  c.run(minutes(5));
  for (const ScriptedNode& node : c.nodes) {
    const auto lists = std::ranges::count(node.asked, ProbeKind::kCluster);
    EXPECT_NEAR(static_cast<double>(lists), 9, 1.5);
  }
}

TEST_F(Discovery, ANodeIsForgottenWhenNobodyListsItAndItIsSilent) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  ASSERT_EQ(c.ro(3), "admit replica");
  c.further.clear();
  c.run(minutes(6));
  EXPECT_FALSE(c.nominated) << "it answers";
  c.refuse(3, DatabaseAnswer::kRefused);
  c.further = {member("pg-4", "10.0.0.4")};
  c.run(minutes(6));
  EXPECT_FALSE(c.nominated) << "it is listed";
  c.further.clear();
  c.run(minutes(4));
  EXPECT_FALSE(c.nominated);
  c.run(minutes(2));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty());
  EXPECT_EQ(told("pg-4 at 10.0.0.4:5432 is forgotten"), 1U);
}

TEST_F(Discovery, NobodyIsForgottenWhileNoListCanBeRead) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  for (std::size_t i = 0; i < 4; ++i) c.refuse(i, DatabaseAnswer::kUnreachable);
  c.run(minutes(12));
  EXPECT_FALSE(c.nominated);
}

TEST_F(Discovery, NobodyIsForgottenBecausePgsteerStoodStill) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  c.further.clear();
  c.run(seconds(25));
  c.refuse(3, DatabaseAnswer::kRefused);
  c.run(minutes(1));
  c.now += minutes(10);
  c.answer(3, c.nodes[1].reply);
  c.run(minutes(1));
  EXPECT_FALSE(c.nominated);
}

TEST_F(Discovery, ANodeThatMovesIsNominatedAtItsNewAddress) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  c.further = {member("pg-4", "10.0.0.44")};
  c.refuse(3, DatabaseAnswer::kRefused);
  c.run(seconds(25));
  ASSERT_TRUE(c.nominated);
  ASSERT_EQ(c.nominated->size(), 2U);
  EXPECT_EQ((*c.nominated)[0].name, "pg-4");
  EXPECT_EQ((*c.nominated)[1].host, "10.0.0.44");
  EXPECT_EQ((*c.nominated)[1].name, "pg-4-2");
}

TEST_F(Discovery, WhatIsWrittenDownMeanwhileIsNoNominee) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  Config written = c.config;
  written.nodes[3].discovered = false;
  c.reload(written);
  c.run(seconds(1));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty());
  EXPECT_EQ(c.ro(3), "admit replica");
}

TEST_F(Discovery, WhatIsWrittenDownByNameMeanwhileIsNoNominee) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  Config next = c.config;
  NodeConfig written = next.nodes[3];
  written.host = "pg-4.example";
  written.discovered = false;
  next.nodes.insert(next.nodes.begin() + 3, written);
  c.reload(next);
  c.nodes[3].member = c.nodes[4].member = false;
  c.state.nodes[3].addresses = {with_port(*numeric_address("10.0.0.4"), 5432)};
  c.run(minutes(2));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty()) << "one PostgreSQL is one node";
  EXPECT_LE(told("lists a further member"), 1U);
}

TEST_F(Discovery, AMemberThatIsTakenOutOfTheFileStaysANode) {
  c.nodes[2].member = false;
  c.further = {member("pg-3", c.config.nodes[2].host)};
  c.run(seconds(25));
  ASSERT_FALSE(c.nominated) << "it is written down";
  Config next = c.config;
  next.nodes[2].leaving = true;
  c.reload(next);
  c.run(seconds(3));
  ASSERT_TRUE(c.nominated);
  ASSERT_EQ(c.nominated->size(), 1U);
  EXPECT_EQ(c.nominated->front().host, next.nodes[2].host);
  EXPECT_EQ(c.nominated->front().name, "pg-3");
  EXPECT_FALSE(c.nominated->front().leaving);
}

TEST_F(Discovery, AClusterThatIsReplacedKeepsItsNodes) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  ASSERT_EQ(c.ro(3), "admit replica");
  for (ScriptedNode& node : c.nodes) node.reply.system_identifier = "8000";
  c.run(minutes(3));
  EXPECT_FALSE(c.nominated) << "it has been one of ours";
  EXPECT_EQ(c.ro(3), "admit replica");
}

TEST_F(Discovery, SwitchedOffItTakesItsNodesBack) {
  c.further = {member("pg-4", "10.0.0.4")};
  discover();
  Config off = c.config;
  off.clusters[0].discover = false;
  c.reload(off);
  c.run(seconds(1));
  ASSERT_TRUE(c.nominated);
  EXPECT_TRUE(c.nominated->empty());
}

TEST_F(Discovery, NonsenseIsToldOnceAndNominatesNobody) {
  ClusterMember nowhere = member("pg-4", "");
  ClusterMember no_port = member("pg-5", "10.0.0.5");
  no_port.port = 0;
  ClusterMember no_rest = member("pg-6", "10.0.0.6");
  no_rest.api_url = "file:///etc/passwd";
  ClusterMember spaces = member("pg-7", "10.0.0.7 evil");
  c.further = {nowhere, no_port, no_rest, spaces, member("", "10.0.0.8")};
  c.run(minutes(3));
  EXPECT_FALSE(c.nominated);
  EXPECT_EQ(told("whose address cannot be used"), 5U);
}

TEST_F(Discovery, AListThatCannotBeReadIsToldOnceUntilItCanBeAgain) {
  c.run(seconds(1));
  const auto fail = [&](const std::string& why) {
    c.step({ClusterEvidence{1, c.now, c.now, std::nullopt, why}});
  };
  fail("more than 1 MB");
  fail("more than 1 MB");
  EXPECT_EQ(told("the list of members cannot be read from pg-2: more than 1 MB"), 1U);
  c.step({ClusterEvidence{1, c.now, c.now, ClusterReport{}, {}}});
  fail("more than 1 MB");
  EXPECT_EQ(told("the list of members cannot be read from pg-2"), 2U);
}

TEST_F(Discovery, NamesAreMadeFitAndUnique) {
  c.further = {member("pg-1", "10.0.0.4"), member("a b/c", "10.0.0.5"), member("a b/c", "10.0.0.6"),
               member(std::string(100, 'x'), "10.0.0.7")};
  for (ScriptedNode& node : c.nodes) node.reply.patroni_name = "";
  c.run(seconds(25));
  ASSERT_TRUE(c.nominated);
  std::vector<std::string> names;
  for (const NodeConfig& node : *c.nominated) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"pg-1-2", "a_b_c", "a_b_c-2", std::string(60, 'x')}));
}

TEST_F(Discovery, ThereAreAtMost64Nodes) {
  for (int i = 10; i < 200; ++i) {
    c.further.push_back(member("pg-" + std::to_string(i), "10.0.1." + std::to_string(i)));
  }
  c.run(minutes(1));
  ASSERT_TRUE(c.nominated);
  EXPECT_EQ(c.nominated->size(), kMaxNodes - 3);
  EXPECT_EQ(told("there are 64 nodes already"), 1U);
}

}  // namespace
}  // namespace pgsteer
