// The address of a client.
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
  std::uint64_t hash() const;  // of the address, without the port
};

// Converts the address that accept() returned. Plain and mapped IPv4 both become mapped.
ClientAddress client_address_of(const Address& address);

}  // namespace pgsteer
