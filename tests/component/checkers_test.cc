// A checker for each cluster, against fake REST APIs: each publishes its own topology, and nothing
// of one delays another.
#include "health/checkers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/component/checker_fixture.h"

namespace pgsteer {
namespace {

class CheckersTest : public testing::Test {
 protected:
  // One node and one listener for each.
  void add(const std::string& cluster) {
    const std::size_t i = rest.size();
    rest.push_back(std::make_unique<FakePatroni>());
    port.push_back(std::make_unique<FakePort>('N'));
    if (i == 0) config.clusters.clear();
    config.clusters.push_back({.name = cluster});
    NodeConfig& node = config.nodes.emplace_back();
    node.name = "pg-1";
    node.cluster = cluster;
    node.host = "127.0.0.1";
    node.port = port[i]->port();
    node.rest = rest[i]->url();
    ListenConfig& listen = config.listen.emplace_back();
    listen.name = cluster + "_rw";
    listen.cluster = cluster;
    config.health.interval = milliseconds(200);
    config.health.hunt_interval = milliseconds(20);
    config.health.timeout = milliseconds(400);
  }
  void start() {
    running = std::make_shared<const Running>(config);
    CheckersOutput output;
    output.checker.topology = [this](TopologyPtr t) {
      const std::lock_guard lock(mutex);
      topologies[t->cluster] = std::move(t);
      changed.notify_all();
    };
    output.checker.cluster = [this](ClusterViewPtr v) {
      const std::lock_guard lock(mutex);
      views[v->slot] = std::move(v);
      changed.notify_all();
    };
    output.checker.event = [this](EventView e) {
      const std::lock_guard lock(mutex);
      events.push_back(std::move(e));
      changed.notify_all();
    };
    output.gone = [this](std::size_t cluster) {
      const std::lock_guard lock(mutex);
      topologies.erase(cluster);
      views.erase(cluster);
    };
    checkers = std::make_unique<Checkers>(running, output);
    checkers->start();
  }
  // As Reloader does.
  void reload(Config next) {
    const auto slots = slots_after(*running, next, {});
    running = std::make_shared<const Running>(std::move(next), *slots, running->number + 1);
    checkers->use(running, checkers->prepare(running));
  }
  bool eventually(const std::function<bool()>& done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(10), done);
  }
  bool leads(std::size_t cluster, std::size_t node) const {
    const auto found = topologies.find(cluster);
    return found != topologies.end() && found->second->primary == node;
  }
  std::uint64_t generation(std::size_t cluster) {
    const std::lock_guard lock(mutex);
    return topologies.at(cluster)->generation;
  }

  Config config;
  RunningPtr running;
  std::vector<std::unique_ptr<FakePatroni>> rest;
  std::vector<std::unique_ptr<FakePort>> port;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::size_t, TopologyPtr> topologies;  // by slot of the cluster
  std::map<std::size_t, ClusterViewPtr> views;
  std::vector<EventView> events;
  std::unique_ptr<Checkers> checkers;
};

TEST_F(CheckersTest, EachPublishesItsOwnClusterAtItsSlots) {
  add("orders");
  add("billing");
  rest[0]->lead(1);
  rest[1]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0, 0) && leads(1, 1); }));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(topologies[1]->pools.size(), 2U);
  EXPECT_EQ(topologies[1]->pools[1].by_node[1].admission, Admission::kAdmit);
  EXPECT_EQ(topologies[1]->pools[0].by_node[0].admission, Admission::kDrain) << "not its own";
  EXPECT_EQ(topologies[1]->nodes[1].name, "pg-1");
  EXPECT_TRUE(topologies[1]->nodes[0].addresses.empty());
  EXPECT_EQ(views[1]->name, "billing");
  EXPECT_EQ(views[1]->nodes.size(), 1U);
}

TEST_F(CheckersTest, EveryLineNamesItsCluster) {
  add("orders");
  add("billing");
  rest[0]->lead(1);
  rest[1]->lead(1);
  start();
  const auto told = [&](const char* cluster) {
    return std::ranges::find(events, cluster, &EventView::cluster) != events.end();
  };
  ASSERT_TRUE(eventually([&] { return told("orders") && told("billing"); }));
  const std::lock_guard lock(mutex);
  for (const EventView& event : events) {
    EXPECT_TRUE(event.cluster == "orders" || event.cluster == "billing");
    EXPECT_TRUE(event.text.starts_with(event.cluster + ": ")) << event.text;
  }
}

TEST_F(CheckersTest, WithoutANameOfTheClusterNoLineHasOne) {
  add("");
  rest[0]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0, 0) && !events.empty(); }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(events[0].cluster, "");
  EXPECT_FALSE(events[0].text.starts_with(":")) << events[0].text;
}

// Its REST API hangs: it has nothing to say before the health timeout has passed.
TEST_F(CheckersTest, OneThatHangsDelaysNobodyElse) {
  add("orders");
  add("billing");
  config.health.timeout = seconds(60);
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  rest[1]->lead(1);
  start();
  EXPECT_TRUE(eventually([&] { return leads(1, 1); }));
  const std::lock_guard lock(mutex);
  EXPECT_FALSE(leads(0, 0));
}

TEST_F(CheckersTest, ASuspicionReachesTheCheckerOfItsNode) {
  add("orders");
  add("billing");
  config.health.interval = seconds(60);
  rest[0]->lead(1);
  rest[1]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0, 0) && leads(1, 1); }));
  rest[0]->refuse();
  rest[1]->refuse();
  checkers->suspect({1, SuspicionKind::kServerEnded});
  EXPECT_TRUE(eventually([&] {
    return std::ranges::any_of(events, [](const EventView& e) {
      return e.cluster == "billing" && e.severity != Severity::kInfo;
    });
  }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(topologies[0]->pools[0].by_node[0].reason, Reason::kPrimary) << "nobody looked";
}

TEST_F(CheckersTest, AReloadAddsAndRemovesOne) {
  add("orders");
  rest[0]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0, 0); }));
  const Config alone = config;
  add("billing");
  rest[1]->lead(1);
  reload(config);
  {
    const std::lock_guard lock(mutex);
    ASSERT_TRUE(views.contains(1)) << "it is shown at once";
  }
  ASSERT_TRUE(eventually([&] { return leads(1, 1); }));
  EXPECT_TRUE(eventually([&] { return checkers->in_force() == running->number; }));
  EXPECT_GT(generation(0), 0U);
  reload(alone);
  {
    const std::lock_guard lock(mutex);
    EXPECT_FALSE(views.contains(1)) << "nothing of it comes any more";
    EXPECT_FALSE(topologies.contains(1));
  }
  EXPECT_TRUE(eventually([&] { return checkers->in_force() == running->number; }));
  // What concerns it may still be under way.
  checkers->suspect({1, SuspicionKind::kServerEnded});
  checkers->found_writable(1);
  WorkerReport late;
  late.cluster = 1;
  checkers->report(late);
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(leads(0, 0));
}

}  // namespace
}  // namespace pgsteer
