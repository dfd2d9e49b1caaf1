// One end of a session: a non-blocking socket, with TLS on it or not. Used on its worker's thread.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>

#include "proxy/net/poller.h"

namespace pgsteer {

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

enum class Io : std::uint8_t {
  kSome,   // `size` bytes moved
  kAgain,  // wait for the socket
  kEof,
  kError,  // reset, timed out, or broken TLS
};

struct IoResult {
  Io io = Io::kAgain;
  std::size_t size = 0;
};

struct Connection {
  Watch watch;
  SslPtr tls;

  int fd() const { return watch.fd.get(); }
  IoResult read(std::span<std::byte> into);
  IoResult write(std::span<const std::byte> from);
  // The same for what is followed by the end: they may leave together, when that is said.
  IoResult write_last(std::span<const std::byte> from);
  // Decrypted bytes that no readiness will announce.
  bool has_buffered() const { return tls && SSL_pending(tls.get()) > 0; }
  // The other end has gone, or has finished writing, and that is still to be read.
  bool ending() const { return (watch.missed & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0; }
  // To be said after a read that did not fill its buffer: nothing is left but perhaps an end.
  void drained() {
    if (!ending()) watch.missed = 0;
  }
  // Says that nothing more will be written; the peer may still write.
  void finish_writing();
};

}  // namespace pgsteer
