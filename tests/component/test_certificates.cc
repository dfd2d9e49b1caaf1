#include "tests/component/test_certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "proxy/net/connection.h"

namespace pgsteer {

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

Key new_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

void add_extension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate blank(const std::string& name, long serial, EVP_PKEY* key) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

File create(const std::string& path) {
  File file(std::fopen(path.c_str(), "w"), std::fclose);
  if (!file) throw std::runtime_error("cannot write " + path);
  return file;
}

std::shared_ptr<SSL_CTX> context_with(const SSL_METHOD* method, const std::string& certificate,
                                      const std::string& key) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  if (!certificate.empty() &&
      (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1)) {
    throw std::runtime_error("cannot use " + certificate);
  }
  return context;
}

int accept_postgresql(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
                      unsigned in_size, void*) {
  static constexpr std::string_view kName = "\x0apostgresql";
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(kName.data()),
                            kName.size(), in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

struct TestCertificates::Authority {
  Key key{nullptr, EVP_PKEY_free};
  Certificate certificate{nullptr, X509_free};
};

TestCertificates::TestCertificates(const std::string& authority)
    : authority_(std::make_unique<Authority>()) {
  std::string pattern = std::filesystem::temp_directory_path() / "pgsteer-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  directory_ = pattern;
  authority_->key = new_key();
  authority_->certificate = blank(authority, serial_++, authority_->key.get());
  X509* own = authority_->certificate.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  add_extension(own, NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(own, authority_->key.get(), EVP_sha256());
  PEM_write_X509(create(ca()).get(), own);
  issue("server");
  issue("client");
}

TestCertificates::~TestCertificates() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void TestCertificates::issue(const std::string& name, const Terms& terms) {
  const Key own_key = new_key();
  const Certificate own = blank(name, serial_++, own_key.get());
  X509_set_issuer_name(own.get(), X509_get_subject_name(authority_->certificate.get()));
  add_extension(own.get(), NID_subject_alt_name, terms.names.c_str());
  const auto seconds = [](std::chrono::seconds from_now) { return from_now.count(); };
  X509_gmtime_adj(X509_getm_notBefore(own.get()), seconds(terms.from));
  X509_gmtime_adj(X509_getm_notAfter(own.get()), seconds(terms.until));
  X509_sign(own.get(), authority_->key.get(), EVP_sha256());
  PEM_write_X509(create(certificate(name)).get(), own.get());
  PEM_write_PrivateKey(create(key(name)).get(), own_key.get(), nullptr, nullptr, 0, nullptr,
                       nullptr);
}

void TestCertificates::revoke(const std::string& name) {
  const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(authority_->certificate.get()));
  const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(ASN1_TIME_new(), ASN1_TIME_free);
  X509_gmtime_adj(time.get(), -3600);
  X509_CRL_set1_lastUpdate(list.get(), time.get());
  if (!name.empty()) {
    const File file(std::fopen(certificate(name).c_str(), "r"), std::fclose);
    const Certificate shown(PEM_read_X509(file.get(), nullptr, nullptr, nullptr), X509_free);
    X509_REVOKED* const entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(shown.get()));
    X509_REVOKED_set_revocationDate(entry, time.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  X509_gmtime_adj(time.get(), 24 * 3600);
  X509_CRL_set1_nextUpdate(list.get(), time.get());
  X509_CRL_sort(list.get());
  X509_CRL_sign(list.get(), authority_->key.get(), EVP_sha256());
  PEM_write_X509_CRL(create(crl()).get(), list.get());
}

TestCertificates::Context TestCertificates::server(const std::string& name) const {
  Context context = context_with(TLS_server_method(), certificate(name), key(name));
  SSL_CTX_set_alpn_select_cb(context.get(), accept_postgresql, nullptr);
  return context;
}

TestCertificates::Context TestCertificates::client(const std::string& name) const {
  Context context =
      context_with(TLS_client_method(), name.empty() ? name : certificate(name), key(name));
  SSL_CTX_load_verify_locations(context.get(), ca().c_str(), nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

std::string client_hello() {
  const TestCertificates::Context context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  const SslPtr client(SSL_new(context.get()));
  BIO* const sent = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), sent);
  SSL_set_connect_state(client.get());
  SSL_do_handshake(client.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(sent, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

std::string peer_name(const SSL* ssl) {
  const Certificate shown(SSL_get1_peer_certificate(ssl), X509_free);
  if (!shown) return {};
  std::array<char, 64> name{};
  X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name.data(),
                            name.size());
  return name.data();
}

}  // namespace pgsteer
