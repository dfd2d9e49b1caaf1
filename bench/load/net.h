// Thin wrappers of sockets and epoll: they close themselves and throw std::system_error on set-up
// errors. Measured loops call recv, send and epoll_wait directly.
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace pgsteer {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

using Address = sockaddr_in;

// Parses "127.0.0.1:5000"; empty unless it is an IPv4 address and port.
std::optional<Address> parse_address(const std::string& text);

Fd listen_on(const Address& address);

// Starts a connect, which may still be in progress on return. An immediate error (refused, no free
// port) returns an Fd of -1 and sets errno.
Fd begin_connect(const Address& address);

// Makes a descriptor blocking, with a timeout of ten seconds per call.
void make_blocking(int fd);

void set_no_delay(int fd);

// Gives the calling thread the lowest ordinary priority.
void yield_to_others();

class Epoll {
 public:
  Epoll();
  int get() const { return fd_.get(); }
  void add(int fd, std::uint32_t events, void* data);
  void modify(int fd, std::uint32_t events, void* data);
  void remove(int fd);

 private:
  Fd fd_;
};

}  // namespace pgsteer
