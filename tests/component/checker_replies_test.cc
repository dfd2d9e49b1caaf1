// The checker thread and the replies other than GET /leader: understood, used, and their failure
// blocks nothing.
#include "tests/component/checker_fixture.h"

namespace pgsteer {
namespace {

using Mode = FakePatroni::Mode;

class CheckerRepliesTest : public CheckerTest {
 protected:
  // Every member answers GET /config with `body`.
  void set_config(const std::string& body) {
    for (auto& each : rest) each->set("/config", {Mode::kAnswer, 200, body, {}});
  }
  // The members' answer to GET /cluster: the store names node `leader`.
  void set_cluster(std::size_t leader) {
    std::string members;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      members += std::string(i == 0 ? "" : ",") + R"({"name":"member)" + std::to_string(i) +
                 R"(","role":")" + (i == leader ? "leader" : "replica") + R"(","api_url":")" +
                 rest[i]->url() + R"(/patroni","host":"127.0.0.1","port":)" +
                 std::to_string(database[i]->port()) + "}";
    }
    for (auto& each : rest)
      each->set("/cluster", {Mode::kAnswer, 200, R"({"members":[)" + members + "]}", {}});
  }
};

TEST_F(CheckerRepliesTest, TheConfigurationMovesTheFence) {
  build(2);
  set_config(R"({"ttl":600,"loop_wait":10,"retry_timeout":10})");
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && event("ttl 600"); }));
  rest[0]->refuse();
  ASSERT_TRUE(eventually([&] { return view->fence_seconds && *view->fence_seconds > 300; }));
}

TEST_F(CheckerRepliesTest, AFailedConfigurationBlocksNothing) {
  build(1);
  rest[0]->set("/config", {Mode::kAnswer, 502, "", {}});
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && rest[0]->asked("/config") >= 1; }));
  const auto checks = last_view()->nodes[0].checks_total;
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_total >= checks + 3; }));
  EXPECT_FALSE(event("Patroni's configuration"));
}

TEST_F(CheckerRepliesTest, TheStoreKeepsAHungPrimaryBeyondItsFence) {
  build(2);
  set_config(R"({"ttl":3,"loop_wait":1,"retry_timeout":0})");
  set_cluster(0);
  config.health.clock_margin = milliseconds(0);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && event("ttl 3"); }));
  rest[0]->set_mode(Mode::kSilent);
  ASSERT_TRUE(eventually([&] { return reason(0) == Reason::kWitnessed; }));
  EXPECT_TRUE(leads(0));
  EXPECT_GE(rest[1]->asked("/cluster"), 1u);
}

TEST_F(CheckerRepliesTest, AStoreThatNamesNobodyKeepsNobody) {
  build(2);
  set_config(R"({"ttl":3,"loop_wait":1,"retry_timeout":0})");
  rest[1]->set("/cluster", {Mode::kAnswer, 502, "", {}});
  config.health.clock_margin = milliseconds(0);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && event("ttl 3"); }));
  rest[0]->set_mode(Mode::kSilent);
  ASSERT_TRUE(eventually([&] { return reason(0) == Reason::kFenced; }));
  EXPECT_GE(rest[1]->asked("/cluster"), 2u) << "the failed one blocked the next";
}

}  // namespace
}  // namespace pgsteer
