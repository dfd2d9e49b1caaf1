// Listening sockets from the configuration.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "config/config.h"
#include "proxy/net/fd.h"

namespace pgsteer {

// Opens a non-blocking listening socket on `bind`, without TCP options; "*" gives one socket for
// both IPv6 and IPv4. The socket file of a dead process is replaced; any other file stays, and is
// an error. Throws std::runtime_error with "ADDRESS: what is wrong".
UniqueFd open_listen_socket(const BindAddress& bind, int backlog = SOMAXCONN);

// Whether this host has the address of `bind`, for one whose port is taken by a socket that is
// about to close. Throws like open_listen_socket().
void check_address(const BindAddress& bind);

// Which file a Unix socket was bound to: after it another process may put its own at the same path.
struct SocketFile {
  dev_t device = 0;
  ino_t inode = 0;  // 0: none
};

// The file at `path`, to be asked for when the socket has just been opened; empty for "".
SocketFile socket_file(const std::string& path);

// Removes the file at `path` if it is this one. To be called while the socket is open: until then
// its inode cannot belong to another file.
void remove_socket_file(const std::string& path, const SocketFile& file);

// The TCP port that the socket is bound to, host order; 0 for a Unix socket.
std::uint16_t bound_port(int fd);

}  // namespace pgsteer
