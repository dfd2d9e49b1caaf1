// The loop of a worker thread: ready descriptors, tasks from other threads, wakeups and timers. It
// knows no session. Owned by a worker and used on its thread; only post() may be called from
// elsewhere.
//
// A turn waits for descriptors, looks at the watchdog, calls what is ready, wakes a bounded number
// of those that asked for it, and fires the timers that are due.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/net/mailbox.h"
#include "proxy/net/poller.h"

namespace pgsteer {

class EventLoop;

// Something that the loop wakes in one of its next turns, rather than in the middle of whatever
// asked for it.
class Wakeable {
 public:
  virtual ~Wakeable() = default;
  virtual void on_wakeup() = 0;
  bool wakeup_pending() const { return pending_; }

 private:
  friend class EventLoop;
  bool pending_ = false;
};

// Fires once, up to kTick late, on the loop's thread. Its destructor cancels it. It may be
// destroyed by its own callback.
class Timer {
 public:
  using Clock = std::chrono::steady_clock;
  using Callback = void (*)(void* owner);

  Timer(EventLoop& loop, void* owner, Callback due) : loop_(loop), owner_(owner), due_(due) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  // Replaces an earlier setting.
  void set(Clock::time_point at);
  void set_after(Clock::duration in) { set(Clock::now() + in); }
  void cancel();
  bool armed() const { return armed_; }

 private:
  friend class EventLoop;
  EventLoop& loop_;
  void* owner_;
  Callback due_;
  Clock::time_point at_{};
  std::uint32_t index_ = 0;  // in the loop's list, while armed
  bool armed_ = false;
};

class EventLoop {
 public:
  // The resolution of timers. Nothing in a session is bounded more tightly.
  static constexpr std::chrono::milliseconds kTick{20};

  Poller& poller() { return poller_; }

  // Any thread: runs `task` on the loop's thread, soon.
  template <class Task>
  void post(Task task) {
    mailbox_.post(std::move(task));
  }

  // One deadline that is kept before anything else. When a process that stood still goes on (a
  // stopped process, a machine that was paused), descriptors are ready whose bytes must not move if
  // it has passed. Tasks that were posted meanwhile run first: they may set a later deadline. An
  // idle loop does not tick for it.
  void on_watchdog(void* owner, Timer::Callback due) {
    watchdog_owner_ = owner;
    watchdog_due_ = due;
  }
  // Replaces an earlier setting; empty: none. It fires once.
  void set_watchdog(std::optional<Timer::Clock::time_point> at) { watchdog_at_ = at; }

  // `due` is called about every `interval`, which is longer than kTick; an idle loop wakes up for
  // it.
  void on_interval(void* owner, Timer::Callback due, std::chrono::milliseconds interval);

  // Wakes `sleeper` in this turn or a later one, once; if a wakeup asks for it, in a later one.
  void wake(Wakeable& sleeper);
  // To be called before a Wakeable is destroyed.
  void forget(Wakeable& sleeper);
  bool wakeups_pending() const { return wakeups_left() > 0; }
  std::size_t wakeups_left() const { return wakeups_.size() - next_wakeup_; }

  void turn();

 private:
  friend class Timer;

  int wait_limit() const;
  bool wait(int limit);
  bool watchdog_is_due() const;
  void check_watchdog();
  void run_wakeups();
  void fire_timers(Timer::Clock::time_point now);
  void check_interval();

  Poller poller_;
  Mailbox mailbox_{poller_};
  std::vector<Wakeable*> wakeups_;  // null: forgotten
  std::size_t next_wakeup_ = 0;
  std::vector<Timer*> timers_;  // armed ones, unordered; scanned once per tick
  Timer::Clock::time_point next_tick_{};
  std::optional<Timer::Clock::time_point> watchdog_at_;
  void* watchdog_owner_ = nullptr;
  Timer::Callback watchdog_due_ = nullptr;
  std::chrono::milliseconds interval_{0};  // 0: none
  Timer::Clock::time_point interval_at_{};
  void* interval_owner_ = nullptr;
  Timer::Callback interval_due_ = nullptr;
};

}  // namespace pgsteer
