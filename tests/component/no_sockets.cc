#include "tests/component/no_sockets.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<bool> none{false};

}  // namespace

// Takes the place of the C library's function.
extern "C" int socket(int domain, int type, int protocol) noexcept {
  if (none) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}

namespace pgsteer {

NoSockets::NoSockets() { none = true; }
NoSockets::~NoSockets() { none = false; }

}  // namespace pgsteer
