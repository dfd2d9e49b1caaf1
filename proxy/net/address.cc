#include "proxy/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace pgsteer {

namespace {

template <class Sockaddr>
Sockaddr as(const sockaddr_storage& storage) {
  Sockaddr address{};
  std::memcpy(&address, &storage, sizeof address);
  return address;
}

template <class Name>
std::optional<Address> ask_kernel(Name name, int fd) {
  Address address;
  address.size = sizeof address.storage;
  if (name(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return std::nullopt;
  }
  return address;
}

}  // namespace

std::uint16_t Address::port() const {
  if (storage.ss_family == AF_INET) return ntohs(as<sockaddr_in>(storage).sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(as<sockaddr_in6>(storage).sin6_port);
  return 0;
}

std::string Address::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto v4 = as<sockaddr_in>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(port());
  }
  if (storage.ss_family == AF_INET6) {
    const auto v6 = as<sockaddr_in6>(storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(port());
  }
  if (storage.ss_family == AF_UNIX) return as<sockaddr_un>(storage).sun_path;
  return "";
}

bool operator==(const Address& a, const Address& b) {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

std::optional<Address> numeric_address(const std::string& host) {
  Address address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
    return address;
  }
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
    return address;
  }
  return std::nullopt;
}

Address with_port(Address address, std::uint16_t port) {
  // sin_port and sin6_port have the same offset.
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_port = htons(port);
  return address;
}

std::optional<Address> local_address(int fd) { return ask_kernel(::getsockname, fd); }
std::optional<Address> peer_address(int fd) { return ask_kernel(::getpeername, fd); }

}  // namespace pgsteer
