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

  std::string host() const;  // "10.0.0.5", "2001:db8::1", "local"
  std::string text() const;  // with port
  // Of the address, without the port. The same in every pgsteer and after a restart, for
  // balance = "client_address"; tables use table_key().
  std::uint64_t hash() const;
  // What limits count as one client: an IPv4 address, or the /64 of an IPv6 address, since one host
  // has all of that.
  IpAddress limited_as() const;
  // A seeded hash of limited_as(): strangers cannot choose addresses that share it.
  std::uint64_t table_key() const;
};

// Converts the address that accept() returned. Plain and mapped IPv4 both become mapped.
ClientAddress client_address_of(const Address& address);

}  // namespace pgsteer
