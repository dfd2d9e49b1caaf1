// The checker thread against fake REST APIs: what it publishes, and how each failure looks.
#include "tests/component/checker_fixture.h"
#include "tests/component/no_sockets.h"

namespace pgsteer {
namespace {

TEST_F(CheckerTest, PublishesThePrimaryAndItsReplicas) {
  build(3);
  rest[1]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(1); }));
  EXPECT_EQ(last_topology()->timeline, 4u);
  EXPECT_EQ(last_topology()->nodes[1].addresses.front().text(),
            "127.0.0.1:" + std::to_string(database[1]->port()));
  // A majority that agrees decides, so the first topology may come before the last answer.
  ASSERT_TRUE(
      eventually([&] { return topology->pools[1].by_node[0].admission == Admission::kAdmit; }));
  EXPECT_EQ(last_topology()->pools[1].by_node[1].admission, Admission::kDrain);
  ASSERT_TRUE(eventually([&] { return view->primary == "pg-2"; }));
}

TEST_F(CheckerTest, GenerationsCountWithoutGaps) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->follow(4);
  ASSERT_TRUE(eventually([&] { return !topology->primary; }));
  checker->stop();
  for (std::size_t i = 0; i < generations.size(); ++i) EXPECT_EQ(generations[i], i + 1);
}

TEST_F(CheckerTest, SpeaksPlainHttp10WithoutABody) {
  build(1);
  rest[0]->lead(1);
  config.health.user = "probe";
  config.health.password.value = "secret";
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  checker->stop();
  const std::string request = rest[0]->last_request();
  EXPECT_NE(request.find(" HTTP/1.0\r\n"), std::string::npos) << request;
  EXPECT_NE(request.find("Authorization: Basic cHJvYmU6c2VjcmV0"), std::string::npos) << request;
}

// It may be anybody's.
TEST_F(CheckerTest, TellsThePasswordToNoNodeThatAListAloneHasNamed) {
  build(2);
  rest[0]->lead(1);
  rest[1]->set("/leader", {.status = 503, .body = R"({"role": "replica"})"});
  config.nodes[1].discovered = true;
  config.health.user = "probe";
  config.health.password.value = "secret";
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && rest[1]->asked("/leader") > 2; }));
  checker->stop();
  EXPECT_NE(rest[0]->last_request().find("Authorization"), std::string::npos);
  EXPECT_EQ(rest[1]->last_request().find("Authorization"), std::string::npos);
}

TEST_F(CheckerTest, LearnsWhetherNodesTakeTls) {
  build(1);
  database[0] = std::make_unique<FakePort>('S');
  config.nodes[0].port = database[0]->port();
  rest[0]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return topology->nodes[0].tls == TlsAnswer::kYes; }));
  EXPECT_EQ(database[0]->ssl_requests(), 1u);
}

TEST_F(CheckerTest, FollowsANewPrimaryWithinAHuntOnDoubt) {
  build(3);
  rest[0]->lead(4);
  config.health.interval = seconds(5);  // without the suspicion it would take that long
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->follow(4);
  checker->suspect({0, SuspicionKind::kShuttingDown});
  ASSERT_TRUE(eventually([&] { return !topology->primary; }, seconds(2)));
  rest[2]->lead(5);
  const auto writable = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return leads(2); }, seconds(2)));
  EXPECT_LT(last_published() - writable, milliseconds(500));
}

TEST_F(CheckerTest, PromotionIsFollowedClosely) {
  build(2);
  rest[1]->promote(4);
  config.health.interval = seconds(1);
  config.health.hunt_interval = milliseconds(100);
  start();
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[1].reason == Reason::kPromoting; }));
  rest[1]->lead(5);
  const auto writable = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return leads(1); }));
  EXPECT_LT(last_published() - writable, milliseconds(150));
}

TEST_F(CheckerTest, OneRequestInFlightPerNodeEvenWhileHunting) {
  build(2);
  rest[0]->set("/leader", {FakePatroni::Mode::kAnswer, 503,
                           R"({"state":"running","role":"replica"})", milliseconds(100)});
  start();
  ASSERT_TRUE(eventually([&] { return view->hunting && view->nodes[0].checks_total >= 8; }));
  EXPECT_EQ(rest[0]->most_in_flight(), 1u);
}

TEST_F(CheckerTest, AHungApiIsToldFromARefusedOneAndFromADeadHost) {
  build(3);
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  rest[1]->refuse();
  rest[2]->set_mode(FakePatroni::Mode::kClose);
  start();
  ASSERT_TRUE(eventually([&] {
    return view->nodes[0].last_check_result == "no reply within 0.4 s" &&
           view->nodes[1].last_check_result == "connection refused" &&
           view->nodes[2].last_check_result == "closed without a reply";
  }));
  ASSERT_TRUE(
      eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kAnswers; }));
}

TEST_F(CheckerTest, OneDeadlineOverTheWholeReply) {
  build(2);
  rest[0]->lead(4);
  rest[0]->set_mode(FakePatroni::Mode::kHalf);  // its first bytes come at once
  const auto began = steady_clock::now();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed >= 1; }));
  const auto took = steady_clock::now() - began;
  EXPECT_GE(took, milliseconds(390));
  EXPECT_LT(took, milliseconds(900));
}

TEST_F(CheckerTest, GarbageAndEndlessRepliesAreFailures) {
  build(2);
  rest[0]->set_mode(FakePatroni::Mode::kGarbage);
  rest[1]->set_mode(FakePatroni::Mode::kHuge);
  start();
  ASSERT_TRUE(eventually(
      [&] { return view->nodes[0].checks_failed >= 2 && view->nodes[1].checks_failed >= 2; }));
  EXPECT_EQ(last_view()->nodes[1].last_check_result, "reply larger than 64.0 kB");
  EXPECT_FALSE(last_topology()->primary);
}

TEST_F(CheckerTest, RedirectsAreNotFollowed) {
  build(1);
  rest[0]->set("/leader", {FakePatroni::Mode::kAnswer, 302, "moved", {}});
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].last_check_result == "HTTP status 302"; }));
}

TEST_F(CheckerTest, ASilentPrimaryWithALivingDatabaseKeepsItsSessions) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->refuse();
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[0].reason == Reason::kOrphaned; }));
  EXPECT_EQ(last_topology()->pools[0].by_node[0].admission, Admission::kAdmit);
  ASSERT_TRUE(eventually([&] { return view->fence_seconds.has_value(); }));
  rest[0]->accept();
  ASSERT_TRUE(eventually([&] { return topology->pools[0].by_node[0].reason == Reason::kPrimary; }));
}

TEST_F(CheckerTest, AFrozenDatabaseIsNotTakenForALivingOne) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && view->nodes[0].tls == TlsAnswer::kNo; }));
  database[0]->freeze();
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[0].admission == Admission::kDrain; }));
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kHung; }));
}

TEST_F(CheckerTest, ANameThatDoesNotResolveIsADownNodeAndNoFailedStart) {
  build(3);
  rest[0]->lead(4);
  config.nodes[2].host = "pg-3.invalid";
  config.nodes[2].rest = "http://pg-3.invalid:8008";
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  EXPECT_TRUE(last_topology()->nodes[2].addresses.empty());
  ASSERT_TRUE(eventually(
      [&] { return view->nodes[2].last_check_result == "pg-3.invalid does not resolve"; }));
}

TEST_F(CheckerTest, NamesAreResolvedForBothPorts) {
  build(1);
  rest[0]->lead(4);
  config.nodes[0].host = "localhost";
  config.nodes[0].rest = rest[0]->url("localhost");
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && !topology->nodes[0].addresses.empty(); }));
}

TEST_F(CheckerTest, StopsAtOnceWhileEverythingHangs) {
  build(2);
  config.health.timeout = seconds(60);
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  rest[1]->set_mode(FakePatroni::Mode::kSilent);
  start();
  ASSERT_TRUE(
      eventually([&] { return topology != nullptr || view != nullptr; }, milliseconds(300)) ||
      true);
  const auto began = steady_clock::now();
  checker->stop();
  EXPECT_LT(steady_clock::now() - began, seconds(1));
  checker->stop();
}

TEST_F(CheckerTest, DoubtAndFeedbackMayComeFromManyThreads) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        checker->suspect({static_cast<std::size_t>(i % 3), SuspicionKind::kServerEnded});
        checker->report({});
      }
    });
  }
  for (auto& t : threads) t.join();
  rest[0]->lead(5);
  ASSERT_TRUE(eventually([&] { return topology->timeline == 5; }));
}

TEST_F(CheckerTest, TheFailoverIsRecordedWithTheWorkersReports) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  checker->suspect({0, SuspicionKind::kShuttingDown});
  rest[0]->follow(4);
  ASSERT_TRUE(eventually([&] { return !topology->primary; }));
  WorkerReport f;
  f.generation = last_topology()->generation;
  f.at = steady_clock::now();
  f.cut = 3;
  f.cut_told = 2;
  checker->report(f);
  rest[1]->lead(5);
  ASSERT_TRUE(
      eventually([&] { return !view->failovers.empty() && view->failovers[0].to == "pg-2"; }));
  EXPECT_EQ(last_view()->failovers[0].from, "pg-1");
  EXPECT_EQ(last_view()->failovers[0].sessions_cut, 3u);
  EXPECT_EQ(last_view()->failovers[0].sessions_cut_told, 2u);
}

// Out of descriptors pgsteer cannot ask. It blamed the nodes: "Patroni does not answer".
TEST_F(CheckerTest, WithoutDescriptorsAnAlarmNamesTheLocalFault) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  const auto alarmed = [this] {
    for (const std::string& alarm : view->alarms) {
      if (alarm.find("cannot be checked: pgsteer: Too many open files") != std::string::npos)
        return true;
    }
    return false;
  };
  {
    const NoSockets none;
    EXPECT_TRUE(eventually(alarmed));
    EXPECT_TRUE(eventually([&] { return admitted(0); }));
  }
  EXPECT_TRUE(eventually([&] { return !alarmed() && leads(0); }));
}

}  // namespace
}  // namespace pgsteer
