// Two clusters behind one data plane: what happens to one is not noticed in the other.
#include <gtest/gtest.h>

#include <array>

#include "tests/component/proxy_fixture.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kOrders = 0;
constexpr std::size_t kBilling = 1;

// Cluster, node and listener have the same number; every listener is for the primary.
class ProxyClusters : public testing::TestWithParam<unsigned> {
 protected:
  ProxyClusters() : proxy(2, GetParam()) {
    proxy.config.clusters = {{.name = "orders"}, {.name = "billing"}};
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string& cluster = proxy.config.clusters[i].name;
      proxy.config.nodes[i].cluster = cluster;
      proxy.config.listen[i].cluster = cluster;
      proxy.config.listen[i].to = Target::kPrimary;
      drafts[i] = proxy.draft;
      drafts[i].cluster = i;
      for (Pool& pool : drafts[i].pools) pool.to = Target::kPrimary;
    }
  }
  void begin() {
    proxy.start();
    leads(kOrders);
    leads(kBilling);
  }
  // A new generation of one cluster.
  void publish(std::size_t cluster, Admission admission, const std::string& why = "") {
    Topology& draft = drafts[cluster];
    ++draft.generation;
    draft.primary.reset();
    if (admission == Admission::kAdmit) draft.primary = cluster;
    draft.no_primary_why = why;
    draft.pools[cluster].by_node[cluster] = {admission, Reason::kUnknown, why};
    renew(cluster);
  }
  void leads(std::size_t cluster) { publish(cluster, Admission::kAdmit); }
  void renew(std::size_t cluster) {
    proxy.server->adopt(std::make_shared<const Topology>(drafts[cluster]));
    proxy.server->sessions();  // once they answer, every worker has adopted it
  }
  void expire(std::size_t cluster, std::chrono::milliseconds valid_for) {
    drafts[cluster].valid_until = steady_clock::now() + valid_for;
    renew(cluster);
  }
  std::uint64_t held(std::size_t cluster) const { return proxy.traffic(cluster).held_clients; }

  ProxyFixture proxy;
  std::array<Topology, 3> drafts;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyClusters, testing::Values(1U, 2U));

TEST_P(ProxyClusters, EachListenerLeadsToItsOwn) {
  begin();
  EXPECT_EQ(proxy.session(kOrders).query("name"), "pg-1");
  EXPECT_EQ(proxy.session(kBilling).query("name"), "pg-2");
  const ListenerView billing = proxy.traffic(kBilling);
  EXPECT_EQ(billing.cluster, "billing");
  ASSERT_EQ(billing.nodes.size(), 1U) << "the nodes of its cluster";
  EXPECT_EQ(billing.nodes[0].node, "pg-2");
}

TEST_P(ProxyClusters, AFailoverOfOneIsNoticedByNobodyInTheOther) {
  begin();
  ProxyClient order = proxy.session(kOrders);
  ProxyClient bill = proxy.session(kBilling);
  publish(kBilling, Admission::kDrain, "pg-2 is being promoted");
  ProxyClient waits = proxy.connect(kBilling);
  waits.send_startup();
  ASSERT_TRUE(eventually([&] { return held(kBilling) == 1; }));
  publish(kOrders, Admission::kCut, "pg-1 has been demoted");
  EXPECT_TRUE(order.ended_with("57P01"));
  for (int i = 0; i < 10; ++i) {
    leads(kOrders);
    ProxyClient again = proxy.session(kOrders);
    EXPECT_EQ(again.query("name"), "pg-1");
    publish(kOrders, Admission::kCut, "pg-1 has been demoted");
    EXPECT_TRUE(again.ended_with("57P01"));
    EXPECT_EQ(bill.query("name"), "pg-2");
    EXPECT_EQ(held(kBilling), 1U);
  }
  leads(kBilling);
  ASSERT_TRUE(waits.wait_until_ready());
  EXPECT_EQ(waits.query("name"), "pg-2");
  EXPECT_EQ(bill.query("name"), "pg-2");
}

TEST_P(ProxyClusters, ReportsGoToTheClusterTheyAreAbout) {
  begin();
  ProxyClient order = proxy.session(kOrders);
  ProxyClient bill = proxy.session(kBilling);
  publish(kBilling, Admission::kCut, "pg-2 has been demoted");
  EXPECT_TRUE(bill.ended_with("57P01"));
  const auto cut = [&](std::size_t cluster) {
    std::uint64_t sum = 0;
    for (const WorkerReport& each : proxy.reports()) {
      if (each.cluster == cluster) sum += each.cut_told;
    }
    return sum;
  };
  EXPECT_TRUE(eventually([&] { return cut(kBilling) == 1; }));
  EXPECT_EQ(cut(kOrders), 0U);
}

// The last one that publishes has the later deadline.
TEST_P(ProxyClusters, EachHasItsOwnDeadline) {
  begin();
  ProxyClient order = proxy.session(kOrders);
  ProxyClient bill = proxy.session(kBilling);
  expire(kOrders, 50ms);
  expire(kBilling, 1h);
  ASSERT_TRUE(order.ended_with("57P01"));
  EXPECT_EQ(bill.query("name"), "pg-2");
  EXPECT_EQ(proxy.server->traffic().checks_stopped, 0b01U);
  expire(kBilling, 20ms);
  ASSERT_TRUE(bill.ended_with("57P01"));
  EXPECT_TRUE(eventually([&] { return proxy.server->traffic().checks_stopped == 0b11U; }));
  expire(kOrders, 1h);
  EXPECT_EQ(proxy.session(kOrders).query("name"), "pg-1");
  EXPECT_EQ(proxy.server->traffic().checks_stopped, 0b10U);
}

TEST_P(ProxyClusters, AListenerClosesForItsOwnClusterOnly) {
  for (ListenConfig& listen : proxy.config.listen) {
    listen.when_no_node = WhenNoNode::kClose;
    listen.hold = 20ms;
  }
  begin();
  publish(kOrders, Admission::kCut, "pg-1 has been demoted");
  EXPECT_TRUE(eventually([&] { return !proxy.traffic(kOrders).open; }));
  EXPECT_TRUE(proxy.traffic(kBilling).open);
  leads(kBilling);
  EXPECT_FALSE(proxy.traffic(kOrders).open) << "the other one has a primary";
  EXPECT_TRUE(proxy.traffic(kBilling).open);
  EXPECT_EQ(proxy.session(kBilling).query("name"), "pg-2");
}

TEST_P(ProxyClusters, AReloadAddsOne) {
  begin();
  ProxyClient order = proxy.session(kOrders);
  proxy.nodes.push_back(std::make_unique<FakePostgres>("pg-3"));
  proxy.config.clusters.push_back({.name = "sales"});
  NodeConfig& node = proxy.config.nodes.emplace_back(proxy.config.nodes[0]);
  node.cluster = "sales";
  node.port = proxy.nodes[2]->port();
  ListenConfig& listen = proxy.config.listen.emplace_back(proxy.config.listen[0]);
  listen.name = listen.bind[0].text = "sales";
  listen.cluster = "sales";
  proxy.reload();
  ProxyClient early = proxy.connect(2);
  early.send_startup();
  ASSERT_TRUE(eventually([&] { return held(2) == 1; })) << "its checker knows nothing yet";
  drafts[2].cluster = 2;
  drafts[2].timeline = 1;
  drafts[2].nodes.resize(3);
  drafts[2].nodes[2] = {"pg-1", {proxy.nodes[2]->address()}, TlsAnswer::kNo, 1};
  drafts[2].pools.resize(3);
  for (Pool& pool : drafts[2].pools) pool.by_node.resize(3);
  leads(2);
  ASSERT_TRUE(early.wait_until_ready());
  EXPECT_EQ(early.query("name"), "pg-3");
  EXPECT_EQ(order.query("name"), "pg-1");
}

// Its session goes on, and another cluster gets its slot only when it has gone.
TEST_P(ProxyClusters, AReloadTakesOneAway) {
  begin();
  for (int i = 0; i < 5; ++i) leads(kBilling);
  ProxyClient order = proxy.session(kOrders);
  ProxyClient bill = proxy.session(kBilling);
  const Config both = proxy.config;
  proxy.config.clusters.pop_back();
  proxy.config.nodes.pop_back();
  proxy.config.listen.pop_back();
  proxy.reload();
  EXPECT_FALSE(proxy.let_leave());
  EXPECT_EQ(bill.query("name"), "pg-2");
  leads(kBilling);
  EXPECT_EQ(bill.query("name"), "pg-2") << "it is checked on";
  bill.close();
  EXPECT_TRUE(eventually([&] { return proxy.server->used().listeners == 0b01; }));
  EXPECT_TRUE(proxy.let_leave());
  EXPECT_EQ(proxy.running->cluster(kBilling), nullptr);
  EXPECT_EQ(proxy.server->traffic().listeners.size(), 1U);
  leads(kBilling);  // its checker has not heard of it yet
  EXPECT_EQ(order.query("name"), "pg-1");
  proxy.config = both;
  proxy.reload();
  ProxyClient early = proxy.connect(kBilling);
  early.send_startup();
  ASSERT_TRUE(eventually([&] { return held(kBilling) == 1; })) << "what was published is forgotten";
  drafts[kBilling].generation = 0;
  leads(kBilling);
  ASSERT_TRUE(early.wait_until_ready());
  EXPECT_EQ(early.query("name"), "pg-2");
  EXPECT_EQ(order.query("name"), "pg-1");
}

// The first cluster of the file gets a name when a second one comes.
TEST_P(ProxyClusters, ANewNameCostsNoSession) {
  begin();
  ProxyClient order = proxy.session(kOrders);
  proxy.config.clusters[kOrders].name = "purchases";
  proxy.config.nodes[kOrders].cluster = proxy.config.listen[kOrders].cluster = "purchases";
  proxy.reload();
  EXPECT_FALSE(proxy.let_leave()) << "nothing leaves";
  EXPECT_EQ(proxy.traffic(kOrders).cluster, "purchases");
  EXPECT_EQ(order.query("name"), "pg-1");
  EXPECT_EQ(proxy.session(kOrders).query("name"), "pg-1");
}

}  // namespace
}  // namespace pgsteer
