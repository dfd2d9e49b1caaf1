// On what terms a listener that terminates TLS lets clients in: TLS or not, ciphers, certificates
// that are looked at each time, and how many handshakes an address may begin. And what becomes of
// SCRAM where pgsteer itself speaks TLS with the node.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyTlsTerms : public testing::Test {
 protected:
  ProxyTlsTerms() {
    proxy.rw().tls = ClientTls::kTerminate;
    proxy.rw().tls_certificate = certificates.certificate("server");
    proxy.rw().tls_key = certificates.key("server");
  }
  void ask_for_certificates() {
    proxy.rw().tls_client_ca = certificates.ca();
    proxy.rw().tls_client_certificate = ClientCertificate::kOptional;
  }
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  ProxyClient encrypted(SSL_CTX* context) {
    ProxyClient client = proxy.connect();
    if (client.request_ssl() != 'S' || !client.become_tls_client(context)) client.close();
    return client;
  }
  bool logs_in(SSL_CTX* context) {
    ProxyClient client = encrypted(context);
    return client.open() && client.log_in();
  }

  TestCertificates certificates;
  ProxyFixture proxy{1};
};

TEST_F(ProxyTlsTerms, AClientInClearIsRefused) {
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(client.ended_with("28000"));
  EXPECT_EQ(client.last_error.message, "this listener accepts TLS connections only");
  EXPECT_EQ(proxy.ended("tls_required"), 1U);
  EXPECT_EQ(proxy.node(0).connections(), 0U);
}

// libpq before 17 knows no other way.
TEST_F(ProxyTlsTerms, ACancelInClearIsTaken) {
  begin();
  ProxyClient client = encrypted(certificates.client().get());
  ASSERT_TRUE(client.log_in());
  client.send_query("hang");
  ProxyClient second = proxy.connect();
  second.send(cancel_packet(client.key));
  EXPECT_TRUE(second.ended_silently());
  EXPECT_TRUE(client.wait_until_ready());
}

// libpq never encrypts there.
TEST_F(ProxyTlsTerms, AUnixSocketNeedsNoTls) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("pgsteer-terms-" + std::to_string(::getpid()) + ".sock");
  proxy.rw().bind.push_back(bind_to(path));
  begin();
  ProxyClient client = ProxyClient::unix_socket(path);
  EXPECT_TRUE(client.log_in());
}

TEST_F(ProxyTlsTerms, Tls12HasForwardSecrecyAndAeadOnly) {
  begin();
  const auto context = certificates.client();
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), "ECDHE-ECDSA-AES128-SHA256");  // CBC
  EXPECT_FALSE(encrypted(context.get()).open());
  SSL_CTX_set_cipher_list(context.get(), "ECDHE-ECDSA-AES128-GCM-SHA256");
  EXPECT_TRUE(logs_in(context.get()));
}

TEST_F(ProxyTlsTerms, TheCiphersOfTls12AreASetting) {
  proxy.rw().tls_ciphers = "ECDHE-ECDSA-AES128-SHA256";
  begin();
  const auto context = certificates.client();
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), "ECDHE-ECDSA-AES128-SHA256");
  EXPECT_TRUE(logs_in(context.get()));
}

TEST_F(ProxyTlsTerms, ACipherThatDoesNotExistIsOneErrorLineAtStartup) {
  proxy.rw().tls_ciphers = "ROT13";
  try {
    proxy.start();
    FAIL() << "it started";
  } catch (const std::runtime_error& problem) {
    EXPECT_NE(std::string(problem.what()).find("cannot use tls_ciphers ROT13"), std::string::npos);
  }
}

// A resumed session would not show its certificate again.
TEST_F(ProxyTlsTerms, WhereCertificatesAreAskedForNoSessionIsResumed) {
  ask_for_certificates();
  begin();
  for (const long version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = certificates.client("client");
    SSL_CTX_set_max_proto_version(context.get(), static_cast<int>(version));
    ProxyClient client = encrypted(context.get());
    ASSERT_TRUE(client.log_in());
    const SSL_SESSION* const session = SSL_get0_session(client.tls());
    EXPECT_EQ(SSL_SESSION_has_ticket(session), 0) << version;
    EXPECT_EQ(SSL_SESSION_is_resumable(session), 0) << version;
  }
}

TEST_F(ProxyTlsTerms, ARevokedCertificateIsRefusedOnceTheListIsReadAgain) {
  ask_for_certificates();
  certificates.revoke("");
  proxy.rw().tls_crl = certificates.crl();
  begin();
  const auto context = certificates.client("client");
  ASSERT_TRUE(logs_in(context.get()));
  certificates.revoke("client");
  proxy.reload();
  EXPECT_TRUE(eventually([&] { return !logs_in(context.get()); }));
  EXPECT_TRUE(logs_in(certificates.client().get()));  // it shows no certificate
}

TEST_F(ProxyTlsTerms, WhoHasBegunTlsIsServedWithItWhateverAReloadSays) {
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  proxy.rw().tls = ClientTls::kPass;
  proxy.reload();
  ASSERT_TRUE(client.become_tls_client(certificates.client().get()));
  EXPECT_TRUE(client.log_in());
}

TEST_F(ProxyTlsTerms, AnUnreadableListIsOneErrorLineAtStartup) {
  ask_for_certificates();
  proxy.rw().tls_crl = "/nonexistent/crl.pem";
  try {
    proxy.start();
    FAIL() << "it started";
  } catch (const std::runtime_error& problem) {
    EXPECT_NE(std::string(problem.what()).find("/nonexistent/crl.pem"), std::string::npos);
  }
}

// Each falls into a second of its own, so the third is at least one whole second behind the first.
TEST_F(ProxyTlsTerms, TooManyHandshakesOfOneAddressWaitForTheNextSecond) {
  proxy.rw().tls_handshakes_per_client = 1;
  begin();
  const auto context = certificates.client();
  const auto start = steady_clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(logs_in(context.get())) << i;
  EXPECT_GT(steady_clock::now() - start, 1s);
}

TEST_F(ProxyTlsTerms, AClientThatLeavesWhileItsHandshakeWaitsIsNoticed) {
  proxy.rw().tls_handshakes_per_client = 1;
  proxy.rw().first_packet_timeout = 10min;
  begin();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(proxy.connect());
    ASSERT_EQ(clients.back().request_ssl(), 'S');
    clients.back().send("\x16\x03\x01");
  }
  clients.clear();
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
}

// -------------------------------------------------------------------------------------------------
// TLS to the node as well

// Offers SCRAM with and without channel binding inside TLS, in two pieces.
std::function<void(WireEnd&)> scram_offer(const TestCertificates::Context& tls) {
  return [tls](WireEnd& end) {
    if (!end.receive(8) || !end.send("S") || !end.become_tls_server(tls.get())) return;
    const auto length = end.receive(4);
    if (!length || !end.receive(load_u32(wire::bytes(*length).data()) - 4)) return;
    const std::string offer = wire::message(
        'R', wire::u32(10) + std::string("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34));
    end.send(offer.substr(0, 9));
    end.send(offer.substr(9));
    end.message();
  };
}

TEST_F(ProxyTlsTerms, AClientInClearIsNotOfferedChannelBinding) {
  proxy.rw().tls_required = false;
  proxy.config.node_tls.mode = NodeTls::kRequire;
  proxy.node(0).set({.script = scram_offer(certificates.server())});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  const auto offer = client.message();
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->type, 'R');
  EXPECT_EQ(offer->body, wire::u32(10) + std::string("SCRAM-SHA-256\0\0", 15));
}

// With the nodes' own certificate at the listener it works.
TEST_F(ProxyTlsTerms, AClientWithTlsIsOfferedChannelBinding) {
  proxy.config.node_tls.mode = NodeTls::kRequire;
  proxy.node(0).set({.script = scram_offer(certificates.server())});
  begin();
  ProxyClient client = encrypted(certificates.client().get());
  client.send_startup();
  const auto offer = client.message();
  ASSERT_TRUE(offer);
  EXPECT_NE(offer->body.find("SCRAM-SHA-256-PLUS"), std::string::npos);
}

// -------------------------------------------------------------------------------------------------
// Cancel requests inside TLS that is passed through

TEST(ProxyTlsCancel, AnEncryptedCancelDoesNotMakeTheNodeSuspect) {
  const TestCertificates certificates;
  ProxyFixture proxy(1);
  proxy.node(0).use_tls(certificates.server());
  proxy.draft.nodes[0].tls = TlsAnswer::kYes;
  proxy.start();
  proxy.primary(0);
  const auto context = certificates.client();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(client.request_ssl() == 'S' && client.become_tls_client(context.get()));
  ASSERT_TRUE(client.log_in());
  client.send_query("hang");
  ProxyClient second = proxy.connect();
  ASSERT_TRUE(second.request_ssl() == 'S' && second.become_tls_client(context.get()));
  second.send(cancel_packet(client.key));
  EXPECT_TRUE(second.ended_silently());
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.last_error.sqlstate, "57014");
  ASSERT_TRUE(eventually([&] { return proxy.ended("server_closed") == 1; }));
  EXPECT_TRUE(proxy.suspicions().empty());
}

}  // namespace
}  // namespace pgsteer
