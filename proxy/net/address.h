// A resolved socket address, as connect() and bind() take it. A value; any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace pgsteer {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::uint16_t port() const;  // host order; 0 for a Unix socket
  std::string text() const;    // "127.0.0.1:5432", "[::1]:5432", the path of a Unix socket
  friend bool operator==(const Address& a, const Address& b);
};

// Parses "10.0.0.1" or "::1", with port 0; empty if `host` is a name.
std::optional<Address> numeric_address(const std::string& host);
Address with_port(Address address, std::uint16_t port);

// The local address of a socket, and the remote address of a connected one. Empty if the kernel has
// none (any more).
std::optional<Address> local_address(int fd);
std::optional<Address> peer_address(int fd);

}  // namespace pgsteer
