// TLS with clients and to the nodes: contexts from the configuration, one handshake step.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <string>

#include "config/running.h"
#include "proxy/net/connection.h"

namespace pgsteer {

using SslContext = std::shared_ptr<SSL_CTX>;

// For a listener that terminates TLS. Throws std::runtime_error with a one-line message, for
// example if a file cannot be read or the key does not match the certificate.
SslContext make_listener_context(const ListenConfig& listen);

// For TLS from pgsteer to PostgreSQL. Null if it is off. Throws likewise.
SslContext make_node_context(const NodeTlsConfig& config);

// The contexts in use, replaced as a whole when the certificate files are read again.
struct TlsContexts {
  std::array<SslContext, kMaxListeners> listeners;  // by slot; null: TLS is passed through
  SslContext node;                                  // null: off
};
using TlsContextsPtr = std::shared_ptr<const TlsContexts>;
// Throws like the two above.
TlsContextsPtr make_tls_contexts(const Running& running);

// TLS state for one connection. `host` is sent as SNI and, with verify-full, checked against the
// certificate.
SslPtr accept_on(const SslContext& context, int fd);
SslPtr connect_on(const SslContext& context, int fd, const std::string& host, NodeTls mode);

enum class Handshake : std::uint8_t { kDone, kWantRead, kWantWrite, kFailed };
Handshake handshake_step(SSL* ssl);

// The peer agreed on ALPN "postgresql": required for direct TLS (protocol.sgml 55.2.10).
bool agreed_on_postgresql(const SSL* ssl);

// Why the last handshake failed, for the log.
std::string tls_failure(const SSL* ssl);

}  // namespace pgsteer
