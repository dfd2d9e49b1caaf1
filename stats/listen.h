// Listening TCP sockets for the HTTP server. Owned by who holds the value.
#pragma once

#include <cstdint>
#include <vector>

#include "config/config.h"

namespace pgsteer {

// A descriptor that closes itself.
class ListenSocket {
 public:
  explicit ListenSocket(int fd) : fd_(fd) {}
  ListenSocket(ListenSocket&& other) noexcept : fd_(other.release()) {}
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  int fd() const { return fd_; }
  std::uint16_t port() const;
  // The caller closes it from now on.
  int release();

 private:
  int fd_;
};

// One socket, or two for "*" (IPv4 and, where the machine has it, IPv6). Throws std::runtime_error
// with one line that names the address and what is wrong with it.
std::vector<ListenSocket> open_listen_sockets(const BindAddress& bind);

}  // namespace pgsteer
