#include "proxy/net/listen_socket.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "proxy/net/address.h"

namespace pgsteer {

namespace {

[[noreturn]] void fail(const BindAddress& bind) {
  throw std::runtime_error(bind.text + ": " + std::strerror(errno));
}

void set_flag(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

// Removes a socket file whose process is dead. One that accepts a connection is in use and stays.
// Connecting to a file that is no socket is refused as well, so what it is comes first.
void remove_stale(const Address& address, const BindAddress& bind) {
  const std::string& path = bind.unix_path;
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0) return;
  if (!S_ISSOCK(file.st_mode)) {
    throw std::runtime_error(bind.text + ": a file that is not a socket is in the way; it stays");
  }
  // A live process whose queue is full would let a blocking connect() wait.
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int connected = ::connect(probe.get(), address.raw(), address.size);
  if (connected != 0 && errno == ECONNREFUSED) ::unlink(path.c_str());
}

Address unix_address(const BindAddress& bind) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (bind.unix_path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(bind);
  }
  std::memcpy(address.sun_path, bind.unix_path.data(), bind.unix_path.size());
  Address result;
  std::memcpy(&result.storage, &address, sizeof address);
  result.size = sizeof address;
  return result;
}

// Empty if the kernel does not support the address family.
UniqueFd open_at(const Address& address, const BindAddress& bind, int backlog, bool both_families) {
  const int family = address.storage.ss_family;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  if (family == AF_INET6) set_flag(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
  if (family != AF_UNIX) set_flag(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd.get(), address.raw(), address.size) != 0 || ::listen(fd.get(), backlog) != 0) {
    fail(bind);
  }
  return fd;
}

UniqueFd open_unix(const BindAddress& bind, int backlog) {
  const Address address = unix_address(bind);
  remove_stale(address, bind);
  UniqueFd fd = open_at(address, bind, backlog, false);
  // Like PostgreSQL's default unix_socket_permissions: access to the directory decides.
  if (fd) ::chmod(bind.unix_path.c_str(), 0777);
  return fd;
}

UniqueFd open_tcp(const BindAddress& bind, int backlog) {
  const auto at = [&](const std::string& host) {
    const auto address = numeric_address(host);
    if (!address) throw std::runtime_error(bind.text + ": not a numeric IPv4 or IPv6 address");
    return with_port(*address, bind.port);
  };
  if (bind.host != "*") return open_at(at(bind.host), bind, backlog, false);
  UniqueFd fd = open_at(at("::"), bind, backlog, true);
  return fd ? std::move(fd) : open_at(at("0.0.0.0"), bind, backlog, false);  // no IPv6
}

}  // namespace

UniqueFd open_listen_socket(const BindAddress& bind, int backlog) {
  UniqueFd fd = bind.unix_path.empty() ? open_tcp(bind, backlog) : open_unix(bind, backlog);
  if (!fd) fail(bind);
  return fd;
}

void check_address(const BindAddress& bind) {
  BindAddress elsewhere = bind;
  elsewhere.port = 0;
  open_listen_socket(elsewhere, 1);
}

SocketFile socket_file(const std::string& path) {
  struct stat file {};
  if (path.empty() || ::lstat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino};
}

void remove_socket_file(const std::string& path, const SocketFile& file) {
  const SocketFile now = socket_file(path);
  if (now.inode == 0 || now.inode != file.inode || now.device != file.device) return;
  ::unlink(path.c_str());
}

std::uint16_t bound_port(int fd) {
  const auto address = local_address(fd);
  return address ? address->port() : std::uint16_t{0};
}

}  // namespace pgsteer
