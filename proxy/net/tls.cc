#include "proxy/net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace pgsteer {

namespace {

constexpr std::string_view kAlpn{"\x0apostgresql", 11};
constexpr long kMaxRecord = 8192;  // plaintext bytes

std::string openssl_error() {
  std::array<char, 200> text{};
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  ERR_error_string_n(code, text.data(), text.size());
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : text.data();
}

[[noreturn]] void fail(const std::string& what, const std::string& file) {
  throw std::runtime_error(what + " " + file + ": " + openssl_error());
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(kAlpn.data()),
                            static_cast<unsigned>(kAlpn.size()), in, in_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

SslContext new_context(const SSL_METHOD* method) {
  SslContext context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) throw std::runtime_error("cannot make a TLS context: " + openssl_error());
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  return context;
}

void load_pair(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    fail("cannot use certificate", certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail("cannot use key", key);
  }
  if (SSL_CTX_check_private_key(context) != 1) fail("the key does not belong to", certificate);
}

// As PostgreSQL's ssl_crl_file: with a list, each certificate of the chain is looked up in one.
void load_revoked(SSL_CTX* context, const std::string& file) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* const lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) < 1) {
    fail("cannot use CRL", file);
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

// A resumed session is not asked for its certificate again. It may have expired or been revoked
// since, so each connection begins anew.
void forbid_resumption(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
}

void verify_clients(SSL_CTX* context, const ListenConfig& listen) {
  if (SSL_CTX_load_verify_locations(context, listen.tls_client_ca.c_str(), nullptr) != 1) {
    fail("cannot use client CA", listen.tls_client_ca);
  }
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(listen.tls_client_ca.c_str()));
  if (!listen.tls_crl.empty()) load_revoked(context, listen.tls_crl);
  const bool required = listen.tls_client_certificate == ClientCertificate::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  forbid_resumption(context);
}

}  // namespace

SslContext make_listener_context(const ListenConfig& listen) {
  SslContext context = new_context(TLS_server_method());
  SSL_CTX* raw = context.get();
  load_pair(raw, listen.tls_certificate, listen.tls_key);
  if (listen.tls_min_version == TlsVersion::kTls13) {
    SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
  }
  // TLS 1.3 has nothing but forward secrecy and AEAD, and a list of its own.
  if (SSL_CTX_set_cipher_list(raw, listen.tls_ciphers.c_str()) != 1) {
    fail("cannot use tls_ciphers", listen.tls_ciphers);
  }
  // libpq makes room for 8 KiB before it reads (fe-misc.c, pqReadData()). OpenSSL keeps what does
  // not fit of a larger record, and an asynchronous client waits for a socket that stays silent.
  // PostgreSQL's own records are no larger (pqcomm.c, PQ_SEND_BUFFER_SIZE).
  SSL_CTX_set_max_send_fragment(raw, kMaxRecord);
  SSL_CTX_set_alpn_select_cb(raw, choose_alpn, nullptr);
  static constexpr std::array<unsigned char, 7> kSessionId{'p', 'g', 's', 't', 'e', 'e', 'r'};
  SSL_CTX_set_session_id_context(raw, kSessionId.data(), kSessionId.size());
  if (listen.tls_client_certificate != ClientCertificate::kNone) verify_clients(raw, listen);
  return context;
}

SslContext make_node_context(const NodeTlsConfig& config) {
  if (config.mode == NodeTls::kOff) return nullptr;
  SslContext context = new_context(TLS_client_method());
  SSL_CTX* raw = context.get();
  if (!config.certificate.empty()) load_pair(raw, config.certificate, config.key);
  if (config.mode != NodeTls::kRequire) {
    if (SSL_CTX_load_verify_locations(raw, config.ca.c_str(), nullptr) != 1) {
      fail("cannot use CA", config.ca);
    }
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

TlsContextsPtr make_tls_contexts(const Running& running) {
  auto contexts = std::make_shared<TlsContexts>();
  for (std::size_t i = 0; i < running.config.listen.size(); ++i) {
    const ListenConfig& listen = running.config.listen[i];
    if (listen.tls != ClientTls::kTerminate || listen.leaving) continue;
    contexts->listeners[running.slots.listeners[i]] = make_listener_context(listen);
  }
  contexts->node = make_node_context(running.config.node_tls);
  return contexts;
}

SslPtr accept_on(const SslContext& context, int fd) {
  SslPtr ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
  SSL_set_accept_state(ssl.get());
  return ssl;
}

SslPtr connect_on(const SslContext& context, int fd, const std::string& host, NodeTls mode) {
  SslPtr ssl(SSL_new(context.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
  SSL_set_connect_state(ssl.get());
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(kAlpn.data()),
                      static_cast<unsigned>(kAlpn.size()));
  std::array<unsigned char, 16> numeric{};
  const bool is_address = inet_pton(AF_INET, host.c_str(), numeric.data()) == 1 ||
                          inet_pton(AF_INET6, host.c_str(), numeric.data()) == 1;
  if (!is_address) SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  if (mode == NodeTls::kVerifyFull) {
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl.get());
    const int ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str())
                              : X509_VERIFY_PARAM_set1_host(verify, host.c_str(), host.size());
    if (ok != 1) return nullptr;
  }
  return ssl;
}

Handshake handshake_step(SSL* ssl) {
  ERR_clear_error();
  const int ok = SSL_do_handshake(ssl);
  if (ok == 1) return Handshake::kDone;
  switch (SSL_get_error(ssl, ok)) {
    case SSL_ERROR_WANT_READ:
      return Handshake::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Handshake::kWantWrite;
    default:
      return Handshake::kFailed;
  }
}

bool agreed_on_postgresql(const SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  return std::string_view(reinterpret_cast<const char*>(protocol), size) == kAlpn.substr(1);
}

std::string tls_failure(const SSL* ssl) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
  return openssl_error();
}

}  // namespace pgsteer
