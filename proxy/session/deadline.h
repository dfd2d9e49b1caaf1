// One bound in time on one thing that a session does. A local of the stage that it bounds: leaving
// the stage cancels it.
#pragma once

#include "proxy/net/event_loop.h"
#include "proxy/routing/end_reason.h"
#include "proxy/session/waiter.h"

namespace pgsteer {

class Deadline {
 public:
  // When it passes, the session ends with `why`. With kNone the coroutine is resumed instead and
  // finds expired().
  Deadline(EventLoop& loop, Waiter& waiter, EndReason why)
      : waiter_(waiter), timer_(loop, this, &on_due), why_(why) {}

  void set_after(Timer::Clock::duration in) {
    expired_ = false;
    timer_.set_after(in);
  }
  void set(Timer::Clock::time_point at) {
    expired_ = false;
    timer_.set(at);
  }
  void cancel() { timer_.cancel(); }
  bool expired() const { return expired_; }

 private:
  static void on_due(void* owner) {
    auto& deadline = *static_cast<Deadline*>(owner);
    deadline.expired_ = true;
    if (deadline.why_ != EndReason::kNone) return deadline.waiter_.end(deadline.why_);
    deadline.waiter_.resume();
  }

  Waiter& waiter_;
  Timer timer_;
  EndReason why_;
  bool expired_ = false;
};

}  // namespace pgsteer
