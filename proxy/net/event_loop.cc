#include "proxy/net/event_loop.h"

#include <algorithm>

namespace pgsteer {

namespace {

// Woken in one turn, so that ending thousands of sessions does not keep the others waiting: before
// the next ones are woken, all that is ready has its turn, within reason.
constexpr std::size_t kWakeupsPerTurn = 16;
constexpr int kWaitsPerTurn = 8;
// Nothing depends on it; it keeps a far deadline within epoll's range.
constexpr std::chrono::milliseconds kLongestWait{60'000};

}  // namespace

void Timer::set(Clock::time_point at) {
  at_ = at;
  if (armed_) return;
  armed_ = true;
  index_ = static_cast<std::uint32_t>(loop_.timers_.size());
  loop_.timers_.push_back(this);
}

void Timer::cancel() {
  if (!armed_) return;
  armed_ = false;
  Timer* const last = loop_.timers_.back();
  loop_.timers_[index_] = last;
  last->index_ = index_;
  loop_.timers_.pop_back();
}

void EventLoop::wake(Wakeable& sleeper) {
  if (sleeper.pending_) return;
  sleeper.pending_ = true;
  wakeups_.push_back(&sleeper);
}

void EventLoop::forget(Wakeable& sleeper) {
  if (!sleeper.pending_) return;
  sleeper.pending_ = false;
  std::replace(wakeups_.begin(), wakeups_.end(), &sleeper, static_cast<Wakeable*>(nullptr));
}

int EventLoop::wait_limit() const {
  if (wakeups_pending()) return 0;
  if (!timers_.empty()) return static_cast<int>(kTick.count());
  if (!watchdog_at_ && interval_.count() == 0) return -1;
  using std::chrono::milliseconds;
  auto until = watchdog_at_.value_or(Timer::Clock::time_point::max());
  if (interval_.count() > 0) until = std::min(until, interval_at_);
  const auto left = std::chrono::ceil<milliseconds>(until - Timer::Clock::now());
  return static_cast<int>(std::clamp(left, milliseconds(0), kLongestWait).count());
}

bool EventLoop::wait(int limit) {
  poller_.wait(limit);
  check_watchdog();
  return poller_.dispatch();
}

bool EventLoop::watchdog_is_due() const {
  return watchdog_at_ && Timer::Clock::now() >= *watchdog_at_;
}

void EventLoop::check_watchdog() {
  if (!watchdog_is_due()) return;
  mailbox_.run();
  if (!watchdog_is_due()) return;
  watchdog_at_.reset();
  watchdog_due_(watchdog_owner_);
}

void EventLoop::on_interval(void* owner, Timer::Callback due, std::chrono::milliseconds interval) {
  interval_owner_ = owner;
  interval_due_ = due;
  interval_ = interval;
  interval_at_ = Timer::Clock::now() + interval;
}

void EventLoop::check_interval() {
  if (interval_.count() == 0) return;
  const auto now = Timer::Clock::now();
  if (now < interval_at_) return;
  interval_at_ = now + interval_;
  interval_due_(interval_owner_);
}

void EventLoop::turn() {
  bool more = wait(wait_limit());
  for (int waits = 1; more && waits < kWaitsPerTurn; ++waits) more = wait(0);
  run_wakeups();
  check_interval();
  if (timers_.empty()) return;
  const auto now = Timer::Clock::now();
  if (now < next_tick_) return;
  next_tick_ = now + kTick;
  fire_timers(now);
}

void EventLoop::run_wakeups() {
  const std::size_t end = std::min(wakeups_.size(), next_wakeup_ + kWakeupsPerTurn);
  while (next_wakeup_ < end) {
    Wakeable* const sleeper = wakeups_[next_wakeup_++];
    if (sleeper == nullptr) continue;
    sleeper->pending_ = false;
    sleeper->on_wakeup();
  }
  // Somebody may be woken in each turn for hours.
  if (2 * next_wakeup_ < wakeups_.size()) return;
  wakeups_.erase(wakeups_.begin(), wakeups_.begin() + static_cast<std::ptrdiff_t>(next_wakeup_));
  next_wakeup_ = 0;
}

// A callback may set and cancel any timer, its own included. One that takes the place of another is
// looked at in this tick or in the next.
void EventLoop::fire_timers(Timer::Clock::time_point now) {
  std::size_t i = 0;
  for (std::size_t left = timers_.size(); left > 0 && i < timers_.size(); --left) {
    Timer* const timer = timers_[i];
    if (now < timer->at_) {
      ++i;
      continue;
    }
    timer->cancel();
    timer->due_(timer->owner_);
  }
}

}  // namespace pgsteer
