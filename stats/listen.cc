#include "stats/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace pgsteer {
namespace {

constexpr int kBacklog = 128;

// IPv4 or IPv6 socket address; family AF_UNSPEC: not numeric.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress socket_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
      inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  } else if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
             inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  }
  return address;
}

[[noreturn]] void fail(const BindAddress& bind, const std::string& what) {
  throw std::runtime_error("stats.bind " + bind.text + ": " + what);
}

ListenSocket open_one(const BindAddress& bind, const SocketAddress& address) {
  const int family = address.storage.ss_family;
  ListenSocket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  const int fd = socket.fd();
  if (fd < 0) fail(bind, std::strerror(errno));
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // Browsers open connections ahead of need and say nothing on them; the kernel keeps those.
  ::setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd, kBacklog) != 0) {
    fail(bind, std::strerror(errno));
  }
  return socket;
}

bool has_ipv6() {
  const ListenSocket probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress loopback = socket_address("::1", 0);
  return probe.fd() >= 0 && ::bind(probe.fd(), reinterpret_cast<const sockaddr*>(&loopback.storage),
                                   loopback.size) == 0;
}

}  // namespace

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) ::close(fd_);
}

int ListenSocket::release() { return std::exchange(fd_, -1); }

std::uint16_t ListenSocket::port() const {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<sockaddr_in*>(&name)->sin_port);
}

std::vector<ListenSocket> open_listen_sockets(const BindAddress& bind) {
  if (!bind.unix_path.empty())
    fail(bind, "the page is not served on a Unix socket; give HOST:PORT");
  std::vector<ListenSocket> sockets;
  if (bind.host != "*") {
    const SocketAddress address = socket_address(bind.host, bind.port);
    if (address.size == 0) fail(bind, "not a numeric IPv4 or IPv6 address");
    sockets.push_back(open_one(bind, address));
    return sockets;
  }
  sockets.push_back(open_one(bind, socket_address("0.0.0.0", bind.port)));
  if (has_ipv6()) {
    sockets.push_back(open_one(bind, socket_address("::", sockets.front().port())));
  }
  return sockets;
}

}  // namespace pgsteer
