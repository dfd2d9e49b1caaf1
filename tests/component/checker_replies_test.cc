// The checker thread and the replies other than GET /leader: understood, used, and their failure
// blocks nothing. Then what it does with what the workers report.
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

TEST_F(CheckerRepliesTest, AHungPortIsFoundWithinItsDeadline) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && view->nodes[0].tls == TlsAnswer::kNo; }));
  database[0]->freeze();
  rest[0]->refuse();
  const auto began = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kHung; }));
  const auto took = steady_clock::now() - began;
  EXPECT_GE(took, milliseconds(500));
  EXPECT_LT(took, seconds(3));
}

TEST_F(CheckerRepliesTest, WhatWorkersCutIsAnEvent) {
  build(1);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  WorkerReport nothing;
  nothing.held = 1;
  checker->report(nothing);
  WorkerReport cut;
  cut.cut = 3;
  cut.cut_told = 2;
  checker->report(cut);
  ASSERT_TRUE(eventually([&] { return event("ended 3 sessions (2 were told why)"); }));
  EXPECT_EQ(event("ended 3 sessions")->severity, Severity::kWarn);
  EXPECT_FALSE(event("ended 0"));
}

TEST_F(CheckerRepliesTest, AFinishedFailoverIsAnEvent) {
  build(2);
  config.health.interval = seconds(60);  // nothing else wakes the checker
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && view->nodes[1].last_check_result == "503"; }));
  rest[0]->follow(4);
  rest[1]->lead(5);
  checker->suspect({0, SuspicionKind::kShuttingDown});
  ASSERT_TRUE(eventually([&] { return leads(1); }));
  ASSERT_TRUE(eventually([&] { return event("failover pg-1 -> pg-2 finished"); }));
  ASSERT_TRUE(eventually([&] { return view->failovers.size() == 1; }));
}

}  // namespace
}  // namespace pgsteer
