// Listening sockets from the configuration.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "config/config.h"
#include "proxy/net/fd.h"

namespace pgsteer {

// Opens a non-blocking listening socket on `bind`, without TCP options; "*" gives one socket for
// both IPv6 and IPv4. Throws std::runtime_error with "ADDRESS: what is wrong".
UniqueFd open_listen_socket(const BindAddress& bind, int backlog = SOMAXCONN);

// The TCP port that the socket is bound to, host order; 0 for a Unix socket.
std::uint16_t bound_port(int fd);

}  // namespace pgsteer
