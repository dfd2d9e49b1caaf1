// Options of a TCP socket that carries a session. Set on a listening socket they are inherited by
// what it accepts. Failure is no reason to turn anybody away, so nothing is returned.
#pragma once

#include "config/config.h"

namespace pgsteer {

void set_no_delay(int fd);

// Keepalive and TCP_USER_TIMEOUT find a peer that vanished, so that no session needs an idle
// timeout.
void set_keepalive(int fd, const ServerConfig& server);

}  // namespace pgsteer
