// The bare relays that pgsteer's own is held against: they accept, connect to one address and move
// bytes, and do nothing else. One thread each; a session is over when either end is. They exist to
// be measured (bench/README.md, "What else was tried"), not to be used.
#pragma once

#include <cstddef>

#include "bench/load/net.h"

namespace pgsteer {

// What one receive may bring, as in the product.
inline constexpr std::size_t kRelayBuffer = 64 << 10;

// A session's two sockets. `more` are flags for both, such as SOCK_NONBLOCK. Connects with a
// blocking call: sessions are opened before a measured window begins. Two Fds of -1: it failed.
struct Pair {
  Fd client;
  Fd server;
};
Pair open_pair(Fd client, const Address& target, bool non_blocking);

// Edge-triggered epoll, recv and send, one buffer for all.
[[noreturn]] void relay_by_epoll(const Address& listen, const Address& target);

enum class Receive {
  kOnce,       // a receive into the session's own buffer, linked behind the send of the last one
  kMultishot,  // one receive for good, into buffers that all sessions share
};
// Throws std::system_error when the kernel refuses a ring.
[[noreturn]] void relay_by_uring(const Address& listen, const Address& target, Receive receive);

}  // namespace pgsteer
