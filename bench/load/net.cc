#include "bench/load/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

namespace pgsteer {
namespace {

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

void set_option(int fd, int level, int name, int value) {
  check(setsockopt(fd, level, name, &value, sizeof value), "setsockopt");
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

std::optional<Address> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  Address address{};
  address.sin_family = AF_INET;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data() + colon + 1, end, port);
  if (number.ec != std::errc{} || number.ptr != end) return std::nullopt;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1)
    return std::nullopt;
  return address;
}

Fd listen_on(const Address& address) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  check(fd.get(), "socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  check(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(listen(fd.get(), 4096), "listen");
  return fd;
}

Fd begin_connect(const Address& address) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return Fd();
  set_no_delay(fd.get());
  const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result < 0 && errno != EINPROGRESS) {
    const int why = errno;
    fd = Fd();
    errno = why;
  }
  return fd;
}

void make_blocking(int fd) {
  check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), "fcntl");
  const timeval bound{.tv_sec = 10, .tv_usec = 0};
  check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound), "setsockopt");
  check(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound), "setsockopt");
}

void set_no_delay(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void yield_to_others() {
  check(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19), "setpriority");
}

Epoll::Epoll() : fd_(epoll_create1(EPOLL_CLOEXEC)) { check(fd_.get(), "epoll_create1"); }

void Epoll::add(int fd, std::uint32_t events, void* data) {
  epoll_event event{.events = events, .data = {.ptr = data}};
  check(epoll_ctl(get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl add");
}

void Epoll::modify(int fd, std::uint32_t events, void* data) {
  epoll_event event{.events = events, .data = {.ptr = data}};
  check(epoll_ctl(get(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl mod");
}

void Epoll::remove(int fd) { check(epoll_ctl(get(), EPOLL_CTL_DEL, fd, nullptr), "epoll_ctl del"); }

}  // namespace pgsteer
