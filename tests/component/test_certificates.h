// Certificates created when the test starts, in a temporary directory that the destructor removes:
// a CA, a server and a client certificate signed by it, and TLS contexts that use them.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>

namespace pgsteer {

class TestCertificates {
 public:
  using Context = std::shared_ptr<SSL_CTX>;

  explicit TestCertificates(const std::string& authority = "test authority");
  ~TestCertificates();
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  std::string ca() const { return directory_ + "/ca.pem"; }
  std::string certificate(const std::string& name) const {
    return directory_ + "/" + name + ".pem";
  }
  std::string key(const std::string& name) const { return directory_ + "/" + name + ".key"; }
  struct Terms {
    std::string names = "DNS:localhost,IP:127.0.0.1";
    std::chrono::hours from{-1}, until{24};  // counted from now
  };
  // Writes or replaces NAME.pem and NAME.key.
  void issue(const std::string& name, const Terms& terms);
  void issue(const std::string& name) { issue(name, Terms()); }

  // Writes or replaces the list of revoked certificates: the one that was issued last as NAME.pem,
  // or none for an empty name.
  void revoke(const std::string& name);
  std::string crl() const { return directory_ + "/crl.pem"; }

  Context server(const std::string& name = "server") const;
  // Trusts only the CA. `name` empty: presents no certificate.
  Context client(const std::string& name = {}) const;

 private:
  struct Authority;

  std::string directory_;
  std::unique_ptr<Authority> authority_;
  long serial_ = 1;
};

// What a client sends first in a TLS handshake.
std::string client_hello();

// The common name in the peer's certificate.
std::string peer_name(const SSL* ssl);

}  // namespace pgsteer
