#include "proxy/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace pgsteer {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const std::array<std::uint8_t, 16>& address) {
  return std::equal(kMapped.begin(), kMapped.end(), address.begin());
}

}  // namespace

std::uint64_t Peer::hash() const {
  std::uint64_t h = 0xcbf29ce484222325U;  // FNV-1a
  for (const std::uint8_t byte : address) h = (h ^ byte) * 0x100000001b3U;
  return h;
}

std::string Peer::host() const {
  if (unix_socket) return "local";
  char text[INET6_ADDRSTRLEN] = "";
  if (is_mapped(address)) {
    inet_ntop(AF_INET, address.data() + kMapped.size(), text, sizeof text);
  } else {
    inet_ntop(AF_INET6, address.data(), text, sizeof text);
  }
  return text;
}

std::string Peer::text() const {
  if (unix_socket) return "local";
  const std::string name = host();
  const bool brackets = name.find(':') != std::string::npos;
  return (brackets ? "[" + name + "]" : name) + ":" + std::to_string(port);
}

Peer peer_of(const Address& address) {
  Peer peer;
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    std::copy(kMapped.begin(), kMapped.end(), peer.address.begin());
    std::memcpy(peer.address.data() + kMapped.size(), &v4.sin_addr, 4);
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
