// One end of a connection inside a test: a blocking socket, with or without TLS. Every wait has a
// timeout, so that a test fails instead of hanging if its peer stays silent. For one thread at a
// time, except cut() and cut_with_reset().
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/net/connection.h"
#include "proxy/net/fd.h"

namespace pgsteer {

class WireEnd {
 public:
  static constexpr std::chrono::seconds kBound{5};

  struct Message {
    char type = 0;
    std::string body;
  };
  enum class Closed { kEof, kReset, kData, kNotYet };

  WireEnd() = default;
  explicit WireEnd(UniqueFd fd);
  WireEnd(WireEnd&&) = default;
  WireEnd& operator=(WireEnd&&) = default;

  int fd() const { return fd_.get(); }
  bool open() const { return static_cast<bool>(fd_); }

  bool send(std::string_view bytes);
  // Reads exactly `size` bytes; empty if the other side closes first or the wait times out.
  std::optional<std::string> receive(std::size_t size);
  // Reads between 1 and `most` bytes; empty at the end.
  std::string some(std::size_t most = 65536);
  std::optional<Message> message();
  // Waits until the other side closes or sends something, or until the timeout.
  Closed closed(std::chrono::milliseconds bound = kBound);
  // The next byte, without consuming it; 0 at the end.
  char peek();

  // A TLS handshake on the open connection. `alpn` empty: none is offered.
  bool become_tls_client(SSL_CTX* context, std::string_view alpn = {});
  bool become_tls_server(SSL_CTX* context);
  SSL* tls() const { return tls_.get(); }

  void half_close();
  void close();
  void reset();                 // closes with RST
  void cut() const;             // any thread: sends FIN and ends the owner's waits
  void cut_with_reset() const;  // any thread: the same with RST
  void slow_buffers() const;    // small socket buffers, to test backpressure

 private:
  bool handshake(SSL_CTX* context, bool server, std::string_view alpn);

  UniqueFd fd_;
  SslPtr tls_;
};

}  // namespace pgsteer
