// When the checker thread wakes up, when it sleeps, and what it tells observers of it.
#include <ctime>
#include <filesystem>
#include <future>

#include "tests/component/checker_fixture.h"

namespace pgsteer {
namespace {

using Mode = FakePatroni::Mode;

// The processor's time that this process has used.
double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

std::size_t threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

class CheckerRhythmTest : public CheckerTest {
 protected:
  // Two nodes, pg-1 leads, and nothing is due before `interval` is over.
  void start_quietly(milliseconds interval = seconds(60)) {
    build(2);
    config.health.interval = interval;
    rest[0]->lead(4);
    start();
    ASSERT_TRUE(eventually([&] {
      return leads(0) && view->nodes[0].tls == TlsAnswer::kNo &&
             view->nodes[1].tls == TlsAnswer::kNo && event("Patroni's configuration");
    }));
  }
};

TEST_F(CheckerRhythmTest, SleepsWhileNothingIsDue) {
  start_quietly(seconds(1));
  const double used = cpu_seconds();
  const auto checks = last_view()->nodes[0].checks_total;
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_total > checks; }));
  EXPECT_LT(cpu_seconds() - used, 0.2);
}

TEST_F(CheckerRhythmTest, SleepsWhileAPortIsBeingChecked) {
  start_quietly();
  database[0]->freeze();
  rest[0]->refuse();
  const double used = cpu_seconds();
  checker->suspect({0, SuspicionKind::kServerEnded});
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kHung; }));
  EXPECT_LT(cpu_seconds() - used, 0.2);
}

TEST_F(CheckerRhythmTest, SleepsWhileANameIsBeingLookedUp) {
  build(1);
  config.health.timeout = seconds(1);
  config.nodes[0].rest = rest[0]->url("pg-1.test");
  const auto release = std::make_shared<std::promise<void>>();
  lookup = [future = release->get_future().share()](const std::string&) -> std::vector<Address> {
    future.wait();
    return {};
  };
  const double used = cpu_seconds();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed == 1; }));
  EXPECT_LT(cpu_seconds() - used, 0.2);
  release->set_value();
}

TEST_F(CheckerRhythmTest, AHungPortIsFoundWithinItsDeadline) {
  start_quietly();
  database[0]->freeze();
  rest[0]->refuse();
  checker->suspect({0, SuspicionKind::kServerEnded});
  const auto before = database[0]->connections();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed == 1; }));
  const auto began = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kHung; }));
  const auto took = steady_clock::now() - began;
  EXPECT_GT(took, milliseconds(300));
  EXPECT_LT(took, milliseconds(950));
  EXPECT_GT(database[0]->connections(), before);
}

TEST_F(CheckerRhythmTest, TheAnswerOfAPortIsTakenAtOnce) {
  start_quietly();
  database[0]->freeze();
  const auto before = database[0]->connections();
  rest[0]->refuse();
  checker->suspect({0, SuspicionKind::kServerEnded});
  ASSERT_TRUE(eventually(
      [&] { return view->nodes[0].checks_failed > 0 && database[0]->connections() > before; }));
  EXPECT_EQ(last_view()->nodes[0].database_answer, DatabaseAnswer::kUnknown);
  database[0]->thaw();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kAnswers; },
                         milliseconds(300)));
}

TEST_F(CheckerRhythmTest, ARefusalOfThePortIsTakenAtOnce) {
  start_quietly();
  database[0].reset();
  rest[0]->refuse();
  checker->suspect({0, SuspicionKind::kServerEnded});
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kRefused; },
                         milliseconds(400)));
}

TEST_F(CheckerRhythmTest, ASuspicionWakesIt) {
  start_quietly();
  rest[0]->set_mode(Mode::kSilent);  // so that no answer wakes it
  rest[1]->set_mode(Mode::kSilent);
  checker->suspect({0, SuspicionKind::kServerEnded});
  ASSERT_TRUE(eventually([&] { return event("in trouble") && view->hunting; }, milliseconds(400)));
}

TEST_F(CheckerRhythmTest, AReportWakesIt) {
  start_quietly();
  WorkerReport cut;
  cut.cut = 1;
  checker->report(cut);
  ASSERT_TRUE(eventually([&] { return event("ended 1 sessions"); }, milliseconds(400)));
}

TEST_F(CheckerRhythmTest, StopWakesIt) {
  start_quietly();
  const auto began = steady_clock::now();
  checker->stop();
  EXPECT_LT(steady_clock::now() - began, milliseconds(400));
}

TEST_F(CheckerRhythmTest, NoThreadIsLeftAfterStop) {
  build(1);
  const std::size_t before = threads();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_total > 0; }));
  EXPECT_GT(threads(), before);
  checker->stop();
  EXPECT_EQ(threads(), before);
}

TEST_F(CheckerRhythmTest, AnEventAloneIsNoNewView) {
  start_quietly();
  unsigned before = 0;
  {
    const std::lock_guard lock(mutex);
    before = views;
  }
  for (std::uint64_t i = 1; i <= 20; ++i) {
    WorkerReport cut;
    cut.cut = i;
    checker->report(cut);
    ASSERT_TRUE(eventually([&] { return event("ended " + std::to_string(i) + " sessions"); }));
  }
  const std::lock_guard lock(mutex);
  EXPECT_LT(views - before, 10u);
}

TEST_F(CheckerRhythmTest, ObserversAreOptional) {
  build(1);
  rest[0]->lead(4);
  std::promise<void> found;
  CheckerOutput output;
  output.topology = [&found, told = false](const TopologyPtr& t) mutable {
    if (t->primary && !std::exchange(told, true)) found.set_value();
  };
  config.health.interval = seconds(60);
  checker = std::make_unique<Checker>(std::make_shared<const Running>(config), 0, output);
  checker->start();
  EXPECT_EQ(found.get_future().wait_for(seconds(10)), std::future_status::ready);
  checker->stop();
}

TEST_F(CheckerRhythmTest, ChecksGoOnWhileARecordIsOpen) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->follow(4);
  rest[1]->lead(5);
  ASSERT_TRUE(eventually([&] { return leads(1) && !view->failovers.empty(); }));
  const auto checks = last_view()->nodes[0].checks_total;
  ASSERT_TRUE(
      eventually([&] { return view->nodes[0].checks_total >= checks + 4; }, milliseconds(2'500)));
  EXPECT_FALSE(last_view()->failovers[0].finished);
}

TEST_F(CheckerRhythmTest, WhatWorkersCutIsAnEvent) {
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

TEST_F(CheckerRhythmTest, AFinishedFailoverIsAnEvent) {
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
