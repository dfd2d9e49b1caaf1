// One end of a connection inside a test: a blocking socket, with TLS on it or not. Every wait is
// bounded, so that a test whose peer stays silent fails instead of hanging. One thread at a time,
// except for cut() and reset_from_afar().
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
  // Exactly `size` bytes; nothing if the other side closes first or is silent too long.
  std::optional<std::string> receive(std::size_t size);
  // At least one byte, at most `most`; empty at the end.
  std::string some(std::size_t most = 65536);
  std::optional<Message> message();
  // Waits until the other side closes, or says something, or the bound has passed.
  Closed closed(std::chrono::milliseconds bound = kBound);
  // The first byte, left where it is; 0 at the end.
  char peek();

  // A handshake on what is there already. `alpn` empty: none is offered.
  bool become_tls_client(SSL_CTX* context, std::string_view alpn = {});
  bool become_tls_server(SSL_CTX* context);
  SSL* tls() const { return tls_.get(); }

  void half_close();
  void close();
  void reset();                  // closes with RST
  void cut() const;              // any thread: FIN, and the owner's waits end
  void reset_from_afar() const;  // any thread: the same with RST
  void slow_buffers() const;     // small socket buffers, for tests of backpressure

 private:
  bool handshake(SSL_CTX* context, bool server, std::string_view alpn);

  UniqueFd fd_;
  SslPtr tls_;
};

}  // namespace pgsteer
