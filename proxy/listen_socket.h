// Listening sockets from the configuration.
#pragma once

#include <vector>

#include "config/config.h"
#include "proxy/unique_fd.h"

namespace pgsteer {

// Opens what `bind` names; "*" gives one socket for IPv6 and IPv4 both. Throws std::runtime_error
// with one clear line.
UniqueFd open_listen_socket(const BindAddress& bind, const ServerConfig& server);

// The TCP port that the socket is bound to, host order; 0 for a Unix socket.
std::uint16_t bound_port(int fd);

}  // namespace pgsteer
