#include "proxy/net/connection.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

namespace pgsteer {

namespace {

IoResult plain_result(ssize_t n) {
  if (n > 0) return {Io::kSome, static_cast<std::size_t>(n)};
  if (n == 0) return {Io::kEof, 0};
  if (errno == EAGAIN || errno == EINTR) return {Io::kAgain, 0};
  return {Io::kError, 0};
}

IoResult tls_result(SSL* ssl, int ok, std::size_t n) {
  if (ok > 0) return {Io::kSome, n};
  switch (SSL_get_error(ssl, ok)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return {Io::kAgain, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Io::kEof, 0};
    default:
      return {Io::kError, 0};
  }
}

}  // namespace

IoResult Connection::read(std::span<std::byte> into) {
  if (!tls) return plain_result(::recv(fd(), into.data(), into.size(), MSG_DONTWAIT));
  ERR_clear_error();
  std::size_t n = 0;
  const int ok = SSL_read_ex(tls.get(), into.data(), into.size(), &n);
  return tls_result(tls.get(), ok, n);
}

IoResult Connection::write(std::span<const std::byte> from) {
  if (!tls) {
    return plain_result(::send(fd(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }
  ERR_clear_error();
  std::size_t n = 0;
  const int ok = SSL_write_ex(tls.get(), from.data(), from.size(), &n);
  return tls_result(tls.get(), ok, n);
}

IoResult Connection::write_last(std::span<const std::byte> from) {
  if (tls) return write(from);
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
  return plain_result(::send(fd(), from.data(), from.size(), flags));
}

void Connection::finish_writing() {
  end_tls();
  ::shutdown(fd(), SHUT_WR);
}

void Connection::end_tls() {
  if (!tls || SSL_in_init(tls.get()) || (SSL_get_shutdown(tls.get()) & SSL_SENT_SHUTDOWN) != 0) {
    return;
  }
  ERR_clear_error();
  SSL_shutdown(tls.get());
}

}  // namespace pgsteer
