// Bare relays to compare pgsteer's relay with: they accept, connect to one address and move bytes,
// nothing else. One thread each; a session ends when either side does. They exist only to be
// measured (bench/README.md, "What else was tried").
#pragma once

#include <cstddef>

#include "bench/load/net.h"

namespace pgsteer {

// The most that one receive can return, as in the product.
inline constexpr std::size_t kRelayBuffer = 64 << 10;

// A session's two sockets, both -1 if the connect failed. open_pair() connects with a blocking
// call: sessions are opened before a measured window begins.
struct Pair {
  Fd client;
  Fd server;
};
Pair open_pair(Fd client, const Address& target, bool non_blocking);

// Edge-triggered epoll, recv and send, one buffer for all sessions.
[[noreturn]] void relay_by_epoll(const Address& listen, const Address& target);

enum class Receive {
  kOnce,       // receives into the session's own buffer, linked behind the previous send
  kMultishot,  // one permanent receive, into buffers that all sessions share
};
// Throws std::system_error when the kernel refuses a ring.
[[noreturn]] void relay_by_uring(const Address& listen, const Address& target, Receive receive);

}  // namespace pgsteer
