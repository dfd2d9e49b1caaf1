#include "proxy/listen_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "proxy/socket_options.h"

namespace pgsteer {

namespace {

[[noreturn]] void fail(const BindAddress& bind) {
  throw std::runtime_error("cannot listen on " + bind.text + ": " + std::strerror(errno));
}

void set_flag(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

void finish(int fd, const sockaddr* address, socklen_t size, const BindAddress& bind) {
  if (::bind(fd, address, size) != 0 || ::listen(fd, SOMAXCONN) != 0) fail(bind);
}

constexpr int kKind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// A socket file that a dead process left behind is in the way; one that answers is somebody's.
void remove_stale(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int connected =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected != 0 && errno == ECONNREFUSED) ::unlink(address.sun_path);
}

UniqueFd open_unix(const BindAddress& bind) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (bind.unix_path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(bind);
  }
  std::memcpy(address.sun_path, bind.unix_path.data(), bind.unix_path.size());
  UniqueFd fd(::socket(AF_UNIX, kKind, 0));
  if (!fd) fail(bind);
  remove_stale(address);
  finish(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, bind);
  // Like PostgreSQL's unix_socket_permissions: who may reach the directory may connect.
  ::chmod(bind.unix_path.c_str(), 0777);
  return fd;
}

UniqueFd open_v6(const BindAddress& bind, const in6_addr& host, bool both) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(bind.port);
  address.sin6_addr = host;
  UniqueFd fd(::socket(AF_INET6, kKind, 0));
  if (!fd) return fd;
  set_flag(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both ? 0 : 1);
  set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  finish(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, bind);
  return fd;
}

UniqueFd open_v4(const BindAddress& bind, const in_addr& host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(bind.port);
  address.sin_addr = host;
  UniqueFd fd(::socket(AF_INET, kKind, 0));
  if (!fd) fail(bind);
  set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  finish(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address, bind);
  return fd;
}

UniqueFd open_tcp(const BindAddress& bind) {
  in_addr v4{};
  in6_addr v6{};
  if (bind.host == "*") {
    if (UniqueFd fd = open_v6(bind, in6addr_any, true)) return fd;
    return open_v4(bind, v4);  // a kernel without IPv6
  }
  if (::inet_pton(AF_INET, bind.host.c_str(), &v4) == 1) return open_v4(bind, v4);
  if (::inet_pton(AF_INET6, bind.host.c_str(), &v6) != 1) errno = EINVAL;
  UniqueFd fd = open_v6(bind, v6, false);
  if (!fd) fail(bind);
  return fd;
}

}  // namespace

UniqueFd open_listen_socket(const BindAddress& bind, const ServerConfig& server) {
  if (!bind.unix_path.empty()) return open_unix(bind);
  UniqueFd fd = open_tcp(bind);
  set_no_delay(fd.get());
  set_keepalive(fd.get(), server);
  return fd;
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  if (storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  }
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  }
  return 0;
}

}  // namespace pgsteer
