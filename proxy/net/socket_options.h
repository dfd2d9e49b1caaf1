// TCP options for sessions. Accepted sockets inherit them from the listening socket. A failure is
// not returned, because the session works without them.
#pragma once

#include "config/config.h"

namespace pgsteer {

void set_no_delay(int fd);

// Keepalive and TCP_USER_TIMEOUT detect a vanished peer, so sessions need no idle timeout.
void set_keepalive(int fd, const ServerConfig& server);

}  // namespace pgsteer
