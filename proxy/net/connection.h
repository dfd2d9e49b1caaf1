// One of the two connections of a session: a non-blocking socket, with or without TLS. Used on its
// worker's thread.
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
  // The same for data that finish_writing() follows: both may leave in one segment.
  IoResult write_last(std::span<const std::byte> from);
  // OpenSSL holds decrypted bytes, which epoll does not report.
  bool has_buffered() const { return tls && SSL_pending(tls.get()) > 0; }
  // The peer has closed or stopped writing, and we have not read that yet.
  bool ending() const { return (watch.missed & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0; }
  // Call after a read that did not fill its buffer: at most an end of stream is left to read.
  void drained() {
    if (!ending()) watch.missed = 0;
  }
  // Half-closes: we write no more; the peer may still write.
  void finish_writing();
  // Ends TLS, if there is any, with a close_notify: without it the peer takes the end of the
  // connection for an attack, and reports "unexpected eof while reading". For before a close.
  void end_tls();
};

}  // namespace pgsteer
