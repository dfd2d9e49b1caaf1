// What the checker hands to the workers between two generations, and what they hand back.
#include <gtest/gtest.h>

#include <mutex>

#include "health/checker.h"
#include "tests/component/fake_patroni.h"
#include "tests/component/fake_postgres.h"
#include "tests/component/wait.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

class CheckerRenewal : public testing::Test {
 protected:
  CheckerRenewal() {
    for (std::size_t i = 0; i < 2; ++i) {
      NodeConfig node;
      node.name = "pg-" + std::to_string(i + 1);
      node.host = "127.0.0.1";
      node.port = postgres[i].port();
      node.rest = patroni[i].url();
      config.nodes.push_back(node);
    }
    config.listen.resize(1);
    config.health.interval = milliseconds(100);
    config.health.hunt_interval = milliseconds(20);
    config.health.timeout = milliseconds(200);
  }
  void start() {
    CheckerOutput output;
    output.topology = [this](const TopologyPtr& topology) {
      const std::lock_guard lock(mutex);
      published.push_back(topology);
    };
    checker = std::make_unique<Checker>(std::make_shared<const Running>(config), 0, output);
    checker->start();
  }
  std::vector<TopologyPtr> all() {
    const std::lock_guard lock(mutex);
    return published;
  }
  // Why pg-1 may, or may not, be written to.
  Reason reason() {
    const std::vector<TopologyPtr> so_far = all();
    return so_far.empty() ? Reason::kUnknown : so_far.back()->pools[0].by_node[0].reason;
  }

  FakePatroni patroni[2];
  FakePostgres postgres[2];
  Config config;
  std::mutex mutex;
  std::vector<TopologyPtr> published;
  std::unique_ptr<Checker> checker;  // destroyed first: it calls back
};

TEST_F(CheckerRenewal, AGenerationIsPublishedAgainWithALaterDeadline) {
  patroni[0].lead(5);
  patroni[1].follow(5);
  start();
  ASSERT_TRUE(eventually([&] { return reason() == Reason::kPrimary; }));
  ASSERT_TRUE(eventually([&] {
    const std::vector<TopologyPtr> so_far = all();
    if (so_far.size() < 3) return false;
    const Topology& before = *so_far[so_far.size() - 2];
    const Topology& last = *so_far.back();
    return last.generation == before.generation && last.valid_until > before.valid_until;
  }));
  const std::vector<TopologyPtr> so_far = all();
  for (std::size_t i = 1; i < so_far.size(); ++i) {
    EXPECT_GE(so_far[i]->generation, so_far[i - 1]->generation);
  }
}

// Just started, and the leader's REST API hangs: one member names it, and a login confirms it.
TEST_F(CheckerRenewal, ALoginThatFindsANodeWritableEndsItsTrial) {
  using Mode = FakePatroni::Mode;
  patroni[0].set("/leader", {.mode = Mode::kSilent, .body = ""});
  patroni[1].follow(5);
  patroni[1].set("/cluster", {.body = R"({"members":[
      {"name":"pg-1","role":"leader","state":"running","timeline":5,"host":"127.0.0.1"},
      {"name":"pg-2","role":"replica","state":"running","timeline":5,"host":"127.0.0.1"}]})"});
  start();
  ASSERT_TRUE(eventually([&] { return reason() == Reason::kTrial; }));
  EXPECT_EQ(all().back()->pools[0].by_node[0].admission, Admission::kAdmit);
  checker->found_writable(0);
  EXPECT_TRUE(eventually([&] { return reason() == Reason::kWitnessed; }));
}

}  // namespace
}  // namespace pgsteer
