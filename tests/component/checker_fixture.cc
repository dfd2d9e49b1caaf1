#include "tests/component/checker_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pgsteer {

FakePort::FakePort(char tls) : tls_(tls) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(fd_, 64);
  socklen_t size = sizeof address;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

FakePort::~FakePort() {
  stopping_ = true;
  ::shutdown(fd_, SHUT_RDWR);
  thread_.join();
  thaw();
  ::close(fd_);
}

void FakePort::thaw() {
  frozen_ = false;
  const std::lock_guard lock(mutex_);
  for (int fd : kept_) ::close(fd);
  kept_.clear();
}

void FakePort::run() {
  for (;;) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 || stopping_) {
      if (fd >= 0) ::close(fd);
      break;
    }
    if (frozen_) {
      const std::lock_guard lock(mutex_);
      kept_.push_back(fd);
      ++connections_;
      continue;
    }
    ++connections_;
    char packet[8];
    if (::recv(fd, packet, sizeof packet, MSG_WAITALL) == 8) {
      ++ssl_requests_;
      ::send(fd, &tls_, 1, MSG_NOSIGNAL);
      ::recv(fd, packet, 1, 0);
    }
    ::close(fd);
  }
}

}  // namespace pgsteer
