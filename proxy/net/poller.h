// The worker's set of descriptors: one epoll instance. Owned by a worker and used on its thread
// alone. Level-triggered unless a watcher asks for EPOLLET.
//
// Why not asio's own reactor: a session's two sockets are watched for their whole life, and asio
// would want an operation object and, to wait again, an epoll_ctl for every message that passes.
// Here a message costs the kernel's receive and send, and one epoll_wait shared by all that is
// ready.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "proxy/net/fd.h"

namespace pgsteer {

// Edge-triggered: a level-triggered descriptor is polled once more by every epoll_wait that follows
// an event, which costs each message a look at both sockets. So wait only after a read that left
// nothing: a short one, or none. A FIN that came with the bytes shows as EPOLLRDHUP.
inline constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLET;

// A watched descriptor. Lives in its owner, at a fixed address while it is watched.
struct Watch {
  // Called with the ready events; `owner` is what the owner stored. Null: events are dropped.
  using Ready = void (*)(void* owner, Watch& watch, std::uint32_t events);

  UniqueFd fd;
  std::uint32_t interest = 0;  // EPOLLIN, EPOLLOUT, EPOLLRDHUP; errors and hang-ups always come
  std::uint32_t missed = 0;    // kept by the owner: edges that nobody has read up to yet
  bool added = false;
  Ready ready = nullptr;
  void* owner = nullptr;
};

class Poller {
 public:
  Poller();

  // Watches `watch.fd` for `events` from now on. False if the kernel refuses (out of memory).
  bool want(Watch& watch, std::uint32_t events);

  // Asks for the same once more: what is ready now is reported again, also edge-triggered.
  bool want_again(Watch& watch);

  // Stops watching and closes the descriptor. Events already fetched for it are dropped.
  void close(Watch& watch);

  // Waits up to `timeout_ms` (-1: without limit) and calls what is ready, each descriptor once.
  // False if that was all: there may be more only when a whole batch was ready.
  bool wait(int timeout_ms);

 private:
  static constexpr int kBatch = 128;

  UniqueFd epoll_;
  std::array<epoll_event, kBatch> events_{};
  int fetched_ = 0;
};

}  // namespace pgsteer
