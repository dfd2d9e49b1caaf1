#include "proxy/net/client_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "config/address.h"
#include "proxy/net/seeded_hash.h"

namespace pgsteer {

std::uint64_t ClientAddress::hash() const {
  std::uint64_t h = 0xcbf29ce484222325U;  // FNV-1a
  for (const std::uint8_t byte : address) h = (h ^ byte) * 0x100000001b3U;
  return h;
}

IpAddress ClientAddress::limited_as() const {
  IpAddress network = address;
  if (!is_mapped_ipv4(network)) std::fill(network.begin() + 8, network.end(), std::uint8_t{0});
  return network;
}

std::uint64_t ClientAddress::table_key() const {
  const IpAddress network = limited_as();
  return seeded_hash(std::as_bytes(std::span(network)));
}

std::string ClientAddress::host() const {
  if (unix_socket) return "local";
  return ip_text(address);
}

std::string ClientAddress::text() const {
  if (unix_socket) return "local";
  return host_port(host(), port);
}

ClientAddress client_address_of(const Address& address) {
  ClientAddress peer;
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    peer.address = map_ipv4(&v4.sin_addr);
    peer.port = ntohs(v4.sin_port);
  } else if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address.storage, sizeof v6);
    std::memcpy(peer.address.data(), &v6.sin6_addr, 16);
    peer.port = ntohs(v6.sin6_port);
  } else {
    peer.unix_socket = true;
  }
  return peer;
}

}  // namespace pgsteer
