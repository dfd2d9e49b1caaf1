// What the REST client makes of TLS that fails: each cause against a real TLS server that ends the
// connection as Python's does, which is what Patroni uses. The words were read off Patroni's
// handler under Python 3.11 and OpenSSL 3.0.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <csignal>
#include <thread>

#include "health/patroni/rest_client.h"
#include "proxy/net/listen_socket.h"
#include "tests/component/test_certificates.h"
#include "tests/component/wire_end.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After a handshake that failed.
enum class Then {
  kWait,   // until the client has read the alert and closes
  kClose,  // at once, as Python does: what is unread makes it a reset, which may overtake the alert
};

// Serves one connection at a time, with or without TLS.
class FakeRest {
 public:
  FakeRest(TestCertificates::Context tls, Then then) : tls_(std::move(tls)), then_(then) {
    if (tls_) SSL_CTX_set_alpn_select_cb(tls_.get(), nullptr, nullptr);  // of PostgreSQL
    BindAddress bind;
    bind.text = bind.host = "127.0.0.1";
    listener_ = open_listen_socket(bind);
    port_ = bound_port(listener_.get());
    ::fcntl(listener_.get(), F_SETFL, 0);  // blocking
    thread_ = std::thread([this] { run(); });
  }
  ~FakeRest() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port() const { return port_; }

 private:
  void run() {
    for (;;) {
      WireEnd end(UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
      if (!end.open()) return;
      if (tls_ && !end.become_tls_server(tls_.get())) {
        char unread[4096];
        while (then_ == Then::kWait && ::recv(end.fd(), unread, sizeof unread, 0) > 0) {
        }
        continue;
      }
      if (end.some().empty()) continue;
      end.send(tls_ ? "HTTP/1.0 200 OK\r\n\r\n{}" : "HTTP/1.0 400 Bad request\r\n\r\n");
    }
  }

  const TestCertificates::Context tls_;
  const Then then_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class RestTls : public testing::Test {
 protected:
  RestTls() {
    ::signal(SIGPIPE, SIG_IGN);  // as main() does
    config.ca = certificates.ca();
  }

  TestCertificates::Context asking_for_client_certificate(int version) const {
    TestCertificates::Context context = certificates.server();
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_load_verify_locations(context.get(), certificates.ca().c_str(), nullptr);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return context;
  }
  RestReply ask(const TestCertificates::Context& server, Then then = Then::kWait,
                const std::string& scheme = "https") {
    const FakeRest rest(server, then);
    NodeConfig node;
    node.rest = scheme + "://127.0.0.1:" + std::to_string(rest.port());
    RestClient client(config);
    client.begin(0, ProbeKind::kLeader, rest_endpoint(node), {*numeric_address("127.0.0.1")});
    const auto until = steady_clock::now() + std::chrono::seconds(5);
    std::vector<RestReply> replies;
    while (replies.empty() && steady_clock::now() < until) {
      client.wait({}, milliseconds(100));
      replies = client.collect();
    }
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? RestReply() : replies.front();
  }
  void expect_failure(const TestCertificates::Context& server, const std::string& detail) {
    const RestReply reply = ask(server);
    EXPECT_EQ(reply.outcome, Outcome::kTlsFailed) << reply.detail;
    EXPECT_EQ(reply.detail, detail);
  }

  TestCertificates certificates;
  TestCertificates others{"another authority"};
  HealthConfig config;
};

TEST_F(RestTls, ATrustedCertificateIsAnswered) {
  EXPECT_EQ(ask(certificates.server()).detail, "200");
  config.certificate = certificates.certificate("client");
  config.key = certificates.key("client");
  EXPECT_EQ(ask(asking_for_client_certificate(TLS1_3_VERSION)).detail, "200");
}

TEST_F(RestTls, AnUnknownCa) {
  expect_failure(others.server(),
                 "its certificate does not come from the CA in health.ca (" + config.ca + ")");
  config.ca.clear();
  expect_failure(others.server(), "its certificate comes from an unknown CA: set health.ca");
}

// Somebody has made the CA anew.
TEST_F(RestTls, AnUnknownCaOfTheSameName) {
  const TestCertificates made_anew;
  expect_failure(made_anew.server(),
                 "the signature of its certificate is not of the CA that health.ca has");
}

TEST_F(RestTls, AnExpiredCertificate) {
  using std::chrono::hours;
  certificates.issue("server", {.from = hours(-48), .until = hours(-24)});
  expect_failure(certificates.server(), "its certificate has expired: renew it");
  certificates.issue("server", {.from = hours(24), .until = hours(48)});
  expect_failure(certificates.server(), "its certificate is not valid yet: compare the clocks");
}

TEST_F(RestTls, ACertificateForAnotherName) {
  certificates.issue("server", {.names = "DNS:pg-9.example"});
  expect_failure(certificates.server(),
                 "its certificate has another name: rest must use one that is in the certificate");
}

// With TLS 1.3 the alert comes after the client's handshake is done: libcurl calls it a receive
// error. It was taken for a reset by a dead Patroni.
TEST_F(RestTls, AMissingClientCertificate) {
  expect_failure(asking_for_client_certificate(TLS1_3_VERSION),
                 "it asks for a client certificate: set health.certificate and health.key");
  expect_failure(asking_for_client_certificate(TLS1_2_VERSION),
                 "it refuses the TLS handshake; if it asks for a client certificate, set "
                 "health.certificate and health.key");
}

TEST_F(RestTls, AnAlertThatIsOvertakenByAResetIsNotADeadPatroni) {
  const RestReply reply = ask(asking_for_client_certificate(TLS1_3_VERSION), Then::kClose);
  EXPECT_EQ(reply.outcome, Outcome::kTlsFailed);
  EXPECT_TRUE(reply.detail.ends_with("set health.certificate and health.key")) << reply.detail;
}

TEST_F(RestTls, AClientCertificateThatTheNodeDoesNotTrust) {
  config.certificate = others.certificate("client");
  config.key = others.key("client");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    expect_failure(
        asking_for_client_certificate(version),
        "it does not know the CA of health.certificate: Patroni's restapi.cafile must have it");
  }
}

TEST_F(RestTls, AClientCertificateThatHasExpired) {
  certificates.issue("client", {.until = std::chrono::hours(0)});
  config.certificate = certificates.certificate("client");
  config.key = certificates.key("client");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    expect_failure(asking_for_client_certificate(version),
                   "it rejects health.certificate (certificate expired)");
  }
}

TEST_F(RestTls, FilesThatCannotBeUsed) {
  config.certificate = certificates.certificate("client");
  config.key = others.key("client");
  EXPECT_TRUE(ask(certificates.server())
                  .detail.starts_with("health.certificate or health.key cannot be used: "));
  config.certificate.clear();
  config.key.clear();
  config.ca = "/nowhere/ca.pem";
  EXPECT_TRUE(ask(certificates.server()).detail.starts_with("health.ca cannot be used: "));
}

TEST_F(RestTls, HttpsToAPortThatSpeaksHttp) {
  expect_failure(nullptr, "it does not speak https: set rest = \"http://...\"");
}

// The server closes with the request unread, which resets the connection. Nothing says that TLS was
// expected: it is the end of a Patroni that has died, too.
TEST_F(RestTls, HttpToAPortThatSpeaksHttps) {
  const RestReply reply = ask(certificates.server(), Then::kClose, "http");
  EXPECT_EQ(reply.outcome, Outcome::kEmpty);
  EXPECT_EQ(reply.detail, "reset without a reply; if it expects https, set rest = \"https://...\"");
}

}  // namespace
}  // namespace pgsteer
