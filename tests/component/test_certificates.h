// Certificates made when the test starts, in a directory of their own that goes with the object: a
// CA, a server's and a client's certificate signed by it, and TLS contexts that use them.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace pgsteer {

class TestCertificates {
 public:
  using Context = std::shared_ptr<SSL_CTX>;

  TestCertificates();
  ~TestCertificates();
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  std::string ca() const { return directory_ + "/ca.pem"; }
  std::string certificate(const std::string& name) const {
    return directory_ + "/" + name + ".pem";
  }
  std::string key(const std::string& name) const { return directory_ + "/" + name + ".key"; }
  // Writes NAME.pem and NAME.key, over what was there: for localhost and 127.0.0.1.
  void issue(const std::string& name);

  Context server(const std::string& name = "server") const;
  // Trusts the CA alone. `name` empty: shows no certificate.
  Context client(const std::string& name = {}) const;

 private:
  struct Authority;

  std::string directory_;
  std::unique_ptr<Authority> authority_;
  long serial_ = 1;
};

// The common name in the certificate that the peer has shown.
std::string peer_name(const SSL* ssl);

}  // namespace pgsteer
