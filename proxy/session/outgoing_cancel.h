// A CancelRequest on its way to one node or to several: connect, send, wait until the server
// closes. PostgreSQL answers nothing and ignores a wrong key, so asking a node too many does no
// harm. Used on a worker's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/net/address.h"
#include "proxy/net/event_loop.h"
#include "proxy/net/poller.h"

namespace pgsteer {

// How long a cancel may take.
inline constexpr std::chrono::seconds kCancelTimeout{5};

class OutgoingCancel {
 public:
  // Begins at once. `done` is called once, later, when every server has closed or failed. Not
  // bounded in time: its owner is.
  OutgoingCancel(Poller& poller, const std::vector<Address>& to, std::vector<std::byte> packet,
                 std::function<void()> done);
  ~OutgoingCancel();
  OutgoingCancel(const OutgoingCancel&) = delete;
  OutgoingCancel& operator=(const OutgoingCancel&) = delete;

  bool finished() const { return open_ == 0; }

 private:
  struct Leg {
    OutgoingCancel* cancel = nullptr;
    Watch watch;
    bool sent = false;
  };
  void step(Leg& leg, std::uint32_t events);
  void close(Leg& leg);

  Poller& poller_;
  std::vector<std::byte> packet_;
  std::vector<std::unique_ptr<Leg>> legs_;
  std::size_t open_ = 0;
  std::function<void()> done_;
};

// pgsteer's own cancels, for the statements of sessions that were cut. Owned by a worker.
class StatementCancels {
 public:
  explicit StatementCancels(EventLoop& loop) : loop_(loop), sweep_(loop, this, &sweep) {}

  void send(const Address& to, std::vector<std::byte> packet);

 private:
  struct Running {
    std::unique_ptr<OutgoingCancel> cancel;
    std::chrono::steady_clock::time_point until;
  };
  static void sweep(void* owner);

  EventLoop& loop_;
  std::vector<Running> running_;
  Timer sweep_;  // drops what is finished or late
};

}  // namespace pgsteer
