// Options of a TCP socket that carries a session. Set on a listening socket they are inherited by
// what it accepts.
#pragma once

#include "config/config.h"

namespace pgsteer {

// No-delay; keepalive and TCP_USER_TIMEOUT find a peer that vanished, so that no session needs an
// idle timeout. Failure is no reason to turn anybody away, so nothing is returned.
void set_tcp_options(int fd, const ServerConfig& server);

}  // namespace pgsteer
