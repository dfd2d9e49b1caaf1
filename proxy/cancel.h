// A CancelRequest on its way to one node or to several: connect, send, wait until the server
// closes. PostgreSQL answers nothing and ignores a wrong key, so asking a node too many does no
// harm. Used on a worker's thread; bounded in time by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "health/topology.h"
#include "proxy/poller.h"

namespace pgsteer {

// The whole packet, for a backend's key.
std::vector<std::byte> encode_cancel_request(std::uint32_t pid, std::span<const std::byte> key);

class Cancel {
 public:
  // Begins at once. `done` is called once, later, when every server has closed or failed.
  Cancel(Poller& poller, const std::vector<Address>& to, std::vector<std::byte> packet,
         std::function<void()> done);
  ~Cancel();
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  bool finished() const { return open_ == 0; }

 private:
  struct Leg {
    Cancel* cancel = nullptr;
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
