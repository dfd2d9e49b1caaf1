// Whose step of a TLS handshake a worker computes next. Nothing else that a client can ask for
// takes its thread for as long, and the clients of an application that reconnects ask for thousands
// at the same moment: a client from elsewhere must not wait behind all of them. So one turn of the
// loop has a few of them only, and the client addresses that wait take turns. Owned by a worker,
// used on its thread.
//
//   HandshakeTurns::Turn turn(turns, waiter, address);
//   while (!turn.granted() && !waiter.ending()) co_await waiter.woken();
#pragma once

#include <cstdint>
#include <list>
#include <map>

#include "proxy/net/event_loop.h"
#include "proxy/session/waiter.h"

namespace pgsteer {

class HandshakeTurns final : public Wakeable {
 public:
  // Steps in one turn of the loop.
  static constexpr int kPerTurn = 2;

  // A client that is about to take a step. Granted at once where nobody waits; later its waiter is
  // resumed. The destructor leaves the queue.
  class Turn {
   public:
    // `client`: ClientAddress::table_key(). Both references outlive it.
    Turn(HandshakeTurns& turns, Waiter& waiter, std::uint64_t client);
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

    bool granted() const { return granted_; }

   private:
    friend class HandshakeTurns;
    HandshakeTurns& turns_;
    Waiter& waiter_;
    const std::uint64_t client_;
    std::list<Turn*>::iterator at_{};  // in its row, until it is granted
    bool granted_ = false;
  };

  explicit HandshakeTurns(EventLoop& loop) : loop_(loop) {}
  HandshakeTurns(const HandshakeTurns&) = delete;
  HandshakeTurns& operator=(const HandshakeTurns&) = delete;
  ~HandshakeTurns() override { loop_.forget(*this); }

  void on_wakeup() override;

 private:
  Turn& take_next();
  void remove(const Turn& turn);

  EventLoop& loop_;
  std::map<std::uint64_t, std::list<Turn*>> rows_;  // those who wait, by client; none is empty
  std::uint64_t last_client_ = 0;                   // whose turn it was
  int taken_ = 0;                                   // in this turn of the loop
};

}  // namespace pgsteer
