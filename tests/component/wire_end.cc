#include "tests/component/wire_end.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/wire/message_cursor.h"
#include "tests/unit/wire.h"

namespace pgsteer {

WireEnd::WireEnd(UniqueFd fd) : fd_(std::move(fd)) {
  const timeval bound{kBound.count(), 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool WireEnd::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (tls_) {
      std::size_t n = 0;
      ERR_clear_error();
      if (SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &n) != 1) return false;
      bytes.remove_prefix(n);
    } else {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  return true;
}

std::string WireEnd::some(std::size_t most) {
  std::string bytes(most, '\0');
  if (tls_) {
    std::size_t n = 0;
    ERR_clear_error();
    if (SSL_read_ex(tls_.get(), bytes.data(), most, &n) != 1) return {};
    bytes.resize(n);
  } else {
    const ssize_t n = ::recv(fd_.get(), bytes.data(), most, 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  }
  return bytes;
}

std::optional<std::string> WireEnd::receive(std::size_t size) {
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const std::string more = some(std::min<std::size_t>(size - bytes.size(), 1 << 18));
    if (more.empty()) return std::nullopt;
    bytes += more;
  }
  return bytes;
}

std::optional<WireEnd::Message> WireEnd::message() {
  const auto head = receive(kMessageHead);
  if (!head) return std::nullopt;
  const std::uint32_t length = load_u32(wire::bytes(*head).data() + 1);
  if (length < 4) return std::nullopt;
  auto body = receive(length - 4);
  if (!body) return std::nullopt;
  return Message{(*head)[0], std::move(*body)};
}

WireEnd::Closed WireEnd::closed(std::chrono::milliseconds bound) {
  if (tls_ && SSL_pending(tls_.get()) > 0) return Closed::kData;
  pollfd ready{fd_.get(), POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(bound.count())) == 0) return Closed::kNotYet;
  char one = 0;
  if (tls_) {
    std::size_t n = 0;
    ERR_clear_error();
    const int ok = SSL_read_ex(tls_.get(), &one, 1, &n);
    if (ok == 1) return Closed::kData;
    return SSL_get_error(tls_.get(), ok) == SSL_ERROR_ZERO_RETURN ? Closed::kEof : Closed::kReset;
  }
  const ssize_t n = ::recv(fd_.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Closed::kData;
  return n == 0 ? Closed::kEof : Closed::kReset;
}

char WireEnd::peek() {
  char first = 0;
  return ::recv(fd_.get(), &first, 1, MSG_PEEK) == 1 ? first : '\0';
}

bool WireEnd::handshake(SSL_CTX* context, bool server, std::string_view alpn) {
  tls_.reset(SSL_new(context));
  SSL_set_fd(tls_.get(), fd_.get());
  if (!alpn.empty()) {
    const std::string offer = static_cast<char>(alpn.size()) + std::string(alpn);
    SSL_set_alpn_protos(tls_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  }
  ERR_clear_error();
  return (server ? SSL_accept(tls_.get()) : SSL_connect(tls_.get())) == 1;
}

bool WireEnd::become_tls_client(SSL_CTX* context, std::string_view alpn) {
  return handshake(context, false, alpn);
}

bool WireEnd::become_tls_server(SSL_CTX* context) { return handshake(context, true, {}); }

void WireEnd::half_close() {
  if (tls_) SSL_shutdown(tls_.get());
  ::shutdown(fd_.get(), SHUT_WR);
}

void WireEnd::close() {
  tls_.reset();
  fd_.reset();
}

void WireEnd::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void WireEnd::cut() const { ::shutdown(fd_.get(), SHUT_RDWR); }

// On Linux, connecting to AF_UNSPEC resets the connection.
void WireEnd::cut_with_reset() const {
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  ::connect(fd_.get(), &nowhere, sizeof nowhere);
}

void WireEnd::slow_buffers() const {
  const int small = 64 << 10;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

}  // namespace pgsteer
