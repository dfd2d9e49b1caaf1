// TCP options for sessions. Accepted sockets inherit them from the listening socket. A failure is
// not returned, because the session works without them.
#pragma once

#include "config/config.h"

namespace pgsteer {

void set_no_delay(int fd);

// Keepalive detects a peer that has vanished while the connection is idle, so sessions need no idle
// timeout. For the rest see peer_silence.h.
void set_keepalive(int fd, const ServerConfig& server);

}  // namespace pgsteer
