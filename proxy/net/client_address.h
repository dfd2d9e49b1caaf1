// Who is at the other end of a client's connection.
#pragma once

#include <cstdint>
#include <string>

#include "config/ip_address.h"
#include "proxy/net/address.h"

namespace pgsteer {

struct ClientAddress {
  IpAddress address{};  // zero for a Unix socket
  std::uint16_t port = 0;
  bool unix_socket = false;

  std::string host() const;    // "10.0.0.5", "2001:db8::1", "local"
  std::string text() const;    // with port
  std::uint64_t hash() const;  // of the address alone
};

// From what accept() gave. IPv4 arrives as such or mapped; both become mapped.
ClientAddress client_address_of(const Address& address);

}  // namespace pgsteer
