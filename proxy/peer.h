// Who is at the other end of a client's connection.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "health/topology.h"

namespace pgsteer {

struct Peer {
  std::array<std::uint8_t, 16> address{};  // IPv6, or IPv4 mapped; zero for a Unix socket
  std::uint16_t port = 0;
  bool unix_socket = false;

  std::string host() const;    // "10.0.0.5", "2001:db8::1", "local"
  std::string text() const;    // with port
  std::uint64_t hash() const;  // of the address alone
};

// From what accept() gave. IPv4 arrives as such or mapped; both become mapped.
Peer peer_of(const Address& address);

}  // namespace pgsteer
