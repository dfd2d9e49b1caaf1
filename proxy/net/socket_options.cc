#include "proxy/net/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace pgsteer {

namespace {

void set(int fd, int level, int option, std::int64_t value) {
  const int number = static_cast<int>(value);
  ::setsockopt(fd, level, option, &number, sizeof number);
}

std::int64_t whole_seconds(Duration d) { return std::max<std::int64_t>(1, d.count() / 1000); }

}  // namespace

void set_no_delay(int fd) { set(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void set_keepalive(int fd, const ServerConfig& server) {
  if (server.keepalive_idle.count() > 0) {
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, whole_seconds(server.keepalive_idle));
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, whole_seconds(server.keepalive_interval));
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, server.keepalive_probes);
  }
}

}  // namespace pgsteer
