// Sockets and epoll, as thin as they can be: values that close themselves, and errors at set-up as
// std::system_error. What runs in a measured loop calls recv, send and epoll_wait itself.
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

// "127.0.0.1:5000"; nothing when it is not an IPv4 address and port.
std::optional<Address> parse_address(const std::string& text);

Fd listen_on(const Address& address);

// A connect that may still be under way; not even begun (an error such as a refused connection or
// no free port) is an Fd of -1 and errno.
Fd begin_connect(const Address& address);

// Makes a descriptor block, with a bound of ten seconds on every call, for one stream's own thread.
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
