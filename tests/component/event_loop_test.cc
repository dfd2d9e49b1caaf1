// The worker's loop by itself: timers, wakeups, tasks from other threads.
#include "proxy/net/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

// Turns the loop until `done`, for at most five seconds; true if it came to that.
template <class Done>
bool turn_until(EventLoop& loop, Done done) {
  const auto until = Timer::Clock::now() + std::chrono::seconds(5);
  while (!done() && Timer::Clock::now() < until) loop.turn();
  return done();
}

struct Alarm {
  explicit Alarm(EventLoop& loop)
      : timer(loop, this, [](void* self) { ++static_cast<Alarm*>(self)->fired; }) {}
  int fired = 0;
  Timer timer;
};

struct Sleeper : Wakeable {
  void on_wakeup() override { ++woken; }
  int woken = 0;
};

TEST(EventLoop, WhoIsWokenByAWakeupIsWokenInALaterTurn) {
  struct Restless : Wakeable {
    explicit Restless(EventLoop& of) : loop(of) {}
    void on_wakeup() override {
      ++woken;
      loop.wake(*this);
    }
    EventLoop& loop;
    int woken = 0;
  };
  EventLoop loop;
  Restless restless(loop);
  loop.wake(restless);
  for (int turn = 1; turn <= 100; ++turn) {
    loop.turn();
    EXPECT_EQ(restless.woken, turn);
    EXPECT_EQ(loop.wakeups_left(), 1U);
  }
  loop.forget(restless);
}

TEST(EventLoop, ATimerFiresOnce) {
  EventLoop loop;
  Alarm alarm(loop);
  Alarm later(loop);
  alarm.timer.set_after(milliseconds(1));
  EXPECT_TRUE(alarm.timer.armed());
  ASSERT_TRUE(turn_until(loop, [&] { return alarm.fired > 0; }));
  EXPECT_FALSE(alarm.timer.armed());
  later.timer.set_after(milliseconds(50));
  ASSERT_TRUE(turn_until(loop, [&] { return later.fired > 0; }));
  EXPECT_EQ(alarm.fired, 1);
}

TEST(EventLoop, ACancelledOrDestroyedTimerDoesNotFire) {
  EventLoop loop;
  Alarm cancelled(loop);
  auto destroyed = std::make_unique<Alarm>(loop);
  Alarm last(loop);
  cancelled.timer.set_after(milliseconds(1));
  destroyed->timer.set_after(milliseconds(1));
  last.timer.set_after(milliseconds(30));
  cancelled.timer.cancel();
  destroyed.reset();
  ASSERT_TRUE(turn_until(loop, [&] { return last.fired > 0; }));
  EXPECT_EQ(cancelled.fired, 0);
}

TEST(EventLoop, SettingATimerAgainReplacesIt) {
  EventLoop loop;
  Alarm moved(loop);
  Alarm between(loop);
  moved.timer.set_after(milliseconds(1));
  moved.timer.set_after(std::chrono::hours(1));
  between.timer.set_after(milliseconds(30));
  ASSERT_TRUE(turn_until(loop, [&] { return between.fired > 0; }));
  EXPECT_EQ(moved.fired, 0);
}

// A stage that times out destroys its frame, and its timer with it, inside the callback.
TEST(EventLoop, ATimerMayBeDestroyedByItsCallback) {
  EventLoop loop;
  struct Owner {
    std::optional<Timer> timer;
    bool fired = false;
  } owner;
  std::vector<std::unique_ptr<Alarm>> others;
  for (int i = 0; i < 10; ++i) {
    others.push_back(std::make_unique<Alarm>(loop));
    others.back()->timer.set_after(milliseconds(1));
  }
  owner.timer.emplace(loop, &owner, [](void* self) {
    auto& fired = *static_cast<Owner*>(self);
    fired.timer.reset();
    fired.fired = true;
  });
  owner.timer->set_after(milliseconds(1));
  ASSERT_TRUE(turn_until(loop, [&] {
    bool all = owner.fired;
    for (const auto& other : others) all = all && other->fired == 1;
    return all;
  }));
}

// A loop with a watchdog, and an eventfd that is ready all the time.
class Watchdog : public testing::Test {
 protected:
  Watchdog() {
    loop.on_watchdog(this, [](void* self) { static_cast<Watchdog*>(self)->seen += "watchdog "; });
    watch.fd.reset(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
    watch.owner = this;
    watch.ready = [](void* self, Watch&, std::uint32_t) {
      static_cast<Watchdog*>(self)->seen += "ready ";
    };
  }
  ~Watchdog() override { loop.poller().close(watch); }

  const Timer::Clock::time_point past = Timer::Clock::now() - milliseconds(1);
  EventLoop loop;
  Watch watch;
  std::string seen;
};

TEST_F(Watchdog, ComesBeforeWhatIsReadyAndOnce) {
  loop.poller().want(watch, EPOLLIN);
  loop.set_watchdog(past);
  loop.turn();
  loop.turn();
  EXPECT_EQ(seen, "watchdog ready ready ");
}

TEST_F(Watchdog, ATaskThatWasPostedMeanwhileMaySetALaterDeadline) {
  loop.set_watchdog(past);
  loop.post([this] { loop.set_watchdog(Timer::Clock::now() + std::chrono::hours(1)); });
  loop.poller().want(watch, EPOLLIN);
  loop.turn();
  EXPECT_EQ(seen, "ready ");
}

TEST_F(Watchdog, WakesALoopThatHasNothingElseToDo) {
  loop.set_watchdog(Timer::Clock::now() + milliseconds(5));
  loop.turn();
  EXPECT_EQ(seen, "watchdog ");
}

TEST(EventLoop, WakeupsComeInLaterTurnsOnceEach) {
  EventLoop loop;
  std::vector<Sleeper> sleepers(40);
  for (Sleeper& each : sleepers) {
    loop.wake(each);
    loop.wake(each);
    EXPECT_EQ(each.woken, 0);
  }
  loop.turn();
  EXPECT_EQ(sleepers.front().woken, 1);
  EXPECT_EQ(sleepers.back().woken, 0);  // a turn wakes a bounded number
  ASSERT_TRUE(turn_until(loop, [&] { return !loop.wakeups_pending(); }));
  for (const Sleeper& each : sleepers) EXPECT_EQ(each.woken, 1);
}

TEST(EventLoop, AForgottenSleeperIsNotWoken) {
  EventLoop loop;
  Sleeper first, second;
  loop.wake(first);
  loop.wake(second);
  loop.forget(first);
  loop.turn();
  EXPECT_EQ(first.woken, 0);
  EXPECT_EQ(second.woken, 1);
}

TEST(EventLoop, TasksOfAnotherThreadRunInOrder) {
  EventLoop loop;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&seen, i] { seen.push_back(i); });
  });
  const bool all = turn_until(loop, [&] { return seen.size() == 1000; });
  other.join();
  ASSERT_TRUE(all);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace pgsteer
