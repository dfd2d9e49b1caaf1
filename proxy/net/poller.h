// The worker's set of descriptors: one epoll instance. Owned by a worker and used only on its
// thread. Level-triggered unless a watcher requests EPOLLET.
//
// Why not asio's own reactor: a session's two sockets are watched for their whole life, and asio
// would need an operation object and, to wait again, an epoll_ctl for every message. Here a message
// costs one receive and one send, plus a share of one epoll_wait for all ready descriptors.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>

#include "proxy/net/fd.h"

namespace pgsteer {

// Edge-triggered: after an event, the next epoll_wait polls a level-triggered descriptor once more,
// which would cost two such polls per message. So wait only after a read that emptied the socket: a
// short read, or EAGAIN. A FIN that arrived with the bytes is reported as EPOLLRDHUP.
inline constexpr std::uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLET;

// A watched descriptor. Part of its owner; must not move while it is watched.
struct Watch {
  // Called with the ready events; `owner` is what the owner stored. Null: events are dropped.
  using Ready = void (*)(void* owner, Watch& watch, std::uint32_t events);

  UniqueFd fd;
  std::uint32_t interest = 0;  // EPOLLIN, EPOLLOUT, EPOLLRDHUP; errors always come
  std::uint32_t missed = 0;    // set by the owner: events that have not been handled yet
  bool added = false;
  Ready ready = nullptr;
  void* owner = nullptr;
};

class Poller {
 public:
  Poller();

  // Watches `watch.fd` for `events` from now on. False if the kernel refuses (out of memory).
  bool want(Watch& watch, std::uint32_t events);

  // Registers the same events again: what is ready now is reported again, also if edge-triggered.
  bool want_again(Watch& watch);

  // Stops watching and closes the descriptor. Events already fetched for it are dropped.
  void close(Watch& watch);

  // Waits up to `timeout_ms` (-1: forever) for descriptors to be ready.
  void wait(int timeout_ms);
  // Calls each of those once. True if a whole batch was ready, so that there may be more.
  bool dispatch();

 private:
  static constexpr int kBatch = 128;

  UniqueFd epoll_;
  std::array<epoll_event, kBatch> events_{};
  int fetched_ = 0;
};

}  // namespace pgsteer
