// TLS at the door and towards the nodes: contexts from the configuration, one handshake step.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "proxy/net/connection.h"

namespace pgsteer {

using SslContext = std::shared_ptr<SSL_CTX>;

// For a listener that terminates. Throws std::runtime_error with one clear line: a file that cannot
// be read, a key that does not belong to the certificate.
SslContext make_listener_context(const ListenConfig& listen);

// For pgsteer's own TLS towards PostgreSQL. Null if it is off. Throws likewise.
SslContext make_node_context(const NodeTlsConfig& config);

// The contexts in use, replaced as a whole when the certificate files are read again.
struct TlsContexts {
  std::vector<SslContext> listeners;  // null where the listener passes TLS through
  SslContext node;                    // null: off
};
using TlsContextsPtr = std::shared_ptr<const TlsContexts>;
// Throws like the two above.
TlsContextsPtr make_tls_contexts(const Config& config);

// A session's half. `host` is sent as SNI and, with verify-full, compared with the certificate.
SslPtr accept_on(const SslContext& context, int fd);
SslPtr connect_on(const SslContext& context, int fd, const std::string& host, NodeTls mode);

enum class Handshake : std::uint8_t { kDone, kWantRead, kWantWrite, kFailed };
Handshake handshake_step(SSL* ssl);

// The peer agreed on ALPN "postgresql": required for direct TLS (protocol.sgml 55.2.10).
bool agreed_on_postgresql(const SSL* ssl);

// Why the last handshake failed, for the log.
std::string tls_failure(const SSL* ssl);

}  // namespace pgsteer
