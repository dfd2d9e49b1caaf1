// Where a session's coroutine waits, and the one way to end the session from outside. The first
// reason wins; the coroutine then wakes where it stands, and every wait from there on returns at
// once, so that it unwinds. Owned by the session, used on its worker's thread.
//
//   if (!co_await waiter.ready(watch, kReadable)) co_return waiter.ended();
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/net/connection.h"
#include "proxy/net/event_loop.h"
#include "proxy/routing/end_reason.h"
#include "proxy/routing/node_slots.h"

namespace pgsteer {

class Waiter final : public Wakeable, public SlotUser {
 public:
  explicit Waiter(EventLoop& loop) : loop_(loop) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() override { loop_.forget(*this); }

  // Suspends until `watch` is ready for `events`, or until somebody resumes the session. Gives
  // false if the session is to end.
  auto ready(Watch& watch, std::uint32_t events) { return Awaiter{*this, &watch, events}; }
  auto woken() { return Awaiter{*this, nullptr, 0}; }

  // Ends the session: at one of the loop's next turns the coroutine wakes and unwinds.
  void end(EndReason why, std::string detail = {}) override;
  // The same from the session's own code, which is about to return: wakes nobody.
  void conclude(EndReason why);
  bool ending() const override { return reason_ != EndReason::kNone; }
  EndReason ended() const { return reason_; }

  // Until something of a server's has reached the client, the loss of a node need not end the
  // session: it may take the reason back and look for another node.
  void may_search_again(bool may) { may_search_again_ = may; }
  bool survives_node() const override { return may_search_again_ && !ending(); }
  // The session was told that its node lost the role, and goes on without it. False: it was told
  // nothing of the kind, or has to end.
  bool take_back_role_lost();

  // More about the end than its reason says, for the log and the client; the first text stays.
  void explain(std::string detail);
  const std::string* detail() const { return detail_.get(); }

  // Resumes the coroutine if it waits: now, or in one of the loop's next turns.
  void resume();
  void resume_soon() override { loop_.wake(*this); }
  void on_wakeup() override { resume(); }

  // From here on waits wait again, although the session has ended: last words, linger.
  void begin_ending() { ending_phase_ = true; }

  // Makes this waiter the receiver of a connection's readiness.
  void receive(Watch& watch);
  // While somebody else is waited for: end the session when this connection is closed. Null: don't.
  void notice_close_of(const Connection* client) { client_ = client; }

 private:
  struct Awaiter {
    Waiter& waiter;
    Watch* watch;
    std::uint32_t events;
    bool await_ready() const { return waiter.interrupted(); }
    void await_suspend(std::coroutine_handle<> coroutine);
    bool await_resume();
  };

  bool interrupted() const { return ending() && !ending_phase_; }
  void on_ready(Watch& watch, std::uint32_t events);
  void notice_client(std::uint32_t events);

  EventLoop& loop_;
  std::coroutine_handle<> waiting_ = nullptr;
  Watch* awaited_ = nullptr;
  const Connection* client_ = nullptr;
  std::unique_ptr<std::string> detail_;
  EndReason reason_ = EndReason::kNone;
  bool ending_phase_ = false;
  bool may_search_again_ = false;
};

}  // namespace pgsteer
