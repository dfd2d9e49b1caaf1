// A CancelRequest on its way to one node or to several: connect, send, wait until the server
// closes. PostgreSQL answers nothing and ignores a wrong key, so asking a node too many does no
// harm. Used on a worker's thread; bounded in time by its owner.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/net/address.h"
#include "proxy/net/poller.h"

namespace pgsteer {

class OutgoingCancel {
 public:
  // Begins at once. `done` is called once, later, when every server has closed or failed.
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

}  // namespace pgsteer
