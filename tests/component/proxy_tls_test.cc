// TLS: passed through with known and unknown TLS support of the node, terminated, and from pgsteer
// to the nodes.
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <future>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

class ProxyTls : public testing::TestWithParam<unsigned> {
 protected:
  ProxyTls() : proxy(2, GetParam()), trusts(certificates.client()) {}

  void terminate() {
    proxy.rw().tls = ClientTls::kTerminate;
    proxy.rw().tls_certificate = certificates.certificate("server");
    proxy.rw().tls_key = certificates.key("server");
  }
  void nodes_take_tls(TlsAnswer known) {
    for (std::size_t i = 0; i < proxy.nodes.size(); ++i) {
      if (known != TlsAnswer::kNo) proxy.node(i).use_tls(certificates.server());
      proxy.draft.nodes[i].tls = known;
    }
  }
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // A client after SSLRequest and handshake; not open() if that failed.
  ProxyClient encrypted(SSL_CTX* context) {
    ProxyClient client = proxy.connect();
    if (client.request_ssl() != 'S' || !client.become_tls_client(context)) client.close();
    return client;
  }
  ProxyClient encrypted() { return encrypted(trusts.get()); }

  TestCertificates certificates;
  ProxyFixture proxy;
  TestCertificates::Context trusts;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyTls, testing::Values(1U, 2U));

// -------------------------------------------------------------------------------------------------
// Passed through

TEST_P(ProxyTls, IsPassedThroughToANodeWithTls) {
  nodes_take_tls(TlsAnswer::kYes);
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-1");
  const auto views = proxy.sessions();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].tls, TlsUse::kPassed);
  EXPECT_EQ(views[0].user, "");
  EXPECT_EQ(proxy.node(0).startups(), std::vector{ProxyClient::startup_packet()});
}

// pgjdbc waits at most five seconds for the answer to its SSLRequest.
TEST_P(ProxyTls, IfKnownToBeSupportedIsAnsweredWhileThereIsNoNode) {
  nodes_take_tls(TlsAnswer::kYes);
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.server->traffic().listeners[kRw].clients == 1; }));
  ASSERT_EQ(client.request_ssl(), 'S');
  proxy.primary(1);
  ASSERT_TRUE(client.become_tls_client(trusts.get()));
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-2");
}

TEST_P(ProxyTls, IfUnknownTheNodeAnswers) {
  nodes_take_tls(TlsAnswer::kUnknown);
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(proxy.node(0).connections(), 1U);  // the connection that answered is the one used
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyTls, IfUnknownAndDeclinedByTheNodeTheSessionIsUnencrypted) {
  proxy.draft.nodes[0].tls = proxy.draft.nodes[1].tls = TlsAnswer::kUnknown;
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_ssl(), 'N');
  EXPECT_TRUE(client.log_in());
  EXPECT_EQ(proxy.traffic().nodes[0].sessions, 1U);
}

TEST_P(ProxyTls, AfterAnAcceptedSslRequestANodeThatClosesIsTriedAgain) {
  nodes_take_tls(TlsAnswer::kYes);
  FakePostgres::Behaviour closes;
  closes.script = [](WireEnd& end) { end.receive(8); };
  proxy.node(0).set(closes);
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  const auto mended = std::async(std::launch::async, [&] {
    eventually([&] { return proxy.node(0).connections() >= 1; });
    proxy.node(0).set({.ssl = 'S'});
  });
  ASSERT_TRUE(client.become_tls_client(trusts.get()));
  EXPECT_TRUE(client.log_in());
}

TEST_P(ProxyTls, DirectTlsIsPassedThroughUnchanged) {
  nodes_take_tls(TlsAnswer::kYes);
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(client.become_tls_client(trusts.get(), "postgresql"));
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-1");
  EXPECT_EQ(proxy.node(0).ssl_requests(), 0U);
}

TEST_P(ProxyTls, AClientThatWillBeRejectedGetsTheErrorUnencrypted) {
  nodes_take_tls(TlsAnswer::kYes);
  proxy.rw().hold = 0ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_ssl(), 'N');
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
}

TEST_P(ProxyTls, WhenPassedThroughACancelGoesToEveryNode) {
  nodes_take_tls(TlsAnswer::kYes);
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  client.send_query("hang");
  ProxyClient second = proxy.connect();  // unencrypted, as PQcancel sends it
  second.send(cancel_packet(client.key));
  EXPECT_EQ(second.closed(), WireEnd::Closed::kEof);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.last_error.sqlstate, "57014");
  EXPECT_EQ(proxy.node(1).cancels().size(), 1U);
}

// -------------------------------------------------------------------------------------------------
// Terminated

TEST_P(ProxyTls, IsTerminated) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-1");
  EXPECT_EQ(client.query(std::string(300'000, 'x'))->size(), 300'000U);
  const auto views = proxy.sessions();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].tls, TlsUse::kTerminated);
  EXPECT_EQ(views[0].user, "alice");
  EXPECT_EQ(proxy.node(0).ssl_requests(), 0U);  // node_tls is off
}

// An asynchronous client of libpq hangs if the end of an answer comes in a larger one: libpq reads
// what fits into its buffer, and then waits for the socket while OpenSSL holds the rest.
TEST_P(ProxyTls, RecordsToClientsAreNoLargerThanPostgresqlsOwn) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  ASSERT_TRUE(client.send_query(std::string(300'000, 'x')));
  std::size_t largest = 0;
  for (std::size_t total = 0; total < 300'000;) {
    const std::size_t size = client.some().size();  // SSL_read() returns one record at most
    ASSERT_GT(size, 0U);
    largest = std::max(largest, size);
    total += size;
  }
  EXPECT_LE(largest, 8192U);
}

TEST_P(ProxyTls, TerminatedSessionsGetTheReasonOfACut) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  proxy.no_primary();
  EXPECT_TRUE(client.ended_with("57P01"));
}

TEST_P(ProxyTls, TerminatedAndHeldGets57P03AfterTheHoldTime) {
  terminate();
  proxy.rw().hold = 30ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.open());
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
}

// OpenSSL holds them decrypted, and epoll does not report them.
TEST_P(ProxyTls, BytesAfterTheStartupPacketInTheSameRecordAreNotLost) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.open());
  client.send(ProxyClient::startup_packet() + wire::query("at once"));
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyTls, AHalfCloseIsHonouredWhenTerminated) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  client.send_query("the last question");
  client.half_close();
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyTls, ATerminatingListenerAlsoServesUnencryptedClients) {
  terminate();
  proxy.rw().tls_required = false;
  begin();
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_gss(), 'N');
  EXPECT_EQ(client.request_ssl(), 'S');
  ASSERT_TRUE(client.become_tls_client(trusts.get()));
  EXPECT_TRUE(client.log_in());
}

TEST_P(ProxyTls, DirectTlsWithAlpnPostgresqlIsTerminated) {
  terminate();
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(client.become_tls_client(trusts.get(), "postgresql"));
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyTls, DirectTlsWithoutAlpnPostgresqlIsRefused) {
  terminate();
  begin();
  for (const char* alpn : {"", "http/1.1"}) {
    ProxyClient client = proxy.connect();
    // Without ALPN the handshake itself succeeds, but the session is refused.
    EXPECT_FALSE(client.become_tls_client(trusts.get(), alpn) && client.log_in()) << alpn;
  }
  EXPECT_TRUE(eventually([&] { return proxy.ended("tls_failed") == 2; }));
  EXPECT_EQ(proxy.node(0).connections(), 0U);
}

TEST_P(ProxyTls, GarbageInsteadOfAHandshakeIsClosed) {
  terminate();
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  client.send("not a handshake at all");
  client.some();  // possibly an alert
  EXPECT_TRUE(client.ended_silently());
  EXPECT_TRUE(eventually([&] { return proxy.ended("tls_failed") == 1; }));
}

TEST_P(ProxyTls, ASilentHandshakeTimesOut) {
  terminate();
  proxy.rw().first_packet_timeout = 50ms;
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_TRUE(eventually([&] { return proxy.ended("first_packet_timeout") == 1; }));
}

// Handshakes take turns; whoever has gone meanwhile takes nobody's.
TEST_P(ProxyTls, ClientsThatLeaveDuringTheirHandshakesKeepNobodyWaiting) {
  terminate();
  begin();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(proxy.connect());
    ASSERT_EQ(clients.back().request_ssl(), 'S') << i;
  }
  const std::string hello = client_hello();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].send(hello);
    if (i % 2 == 0) clients[i].close();
  }
  for (std::size_t i = 1; i < clients.size(); i += 2) EXPECT_EQ(clients[i].peek(), '\x16') << i;
  EXPECT_TRUE(eventually([&] { return proxy.traffic().clients == clients.size() / 2; }));
  clients.clear();
  EXPECT_TRUE(encrypted().log_in());
}

TEST_P(ProxyTls, ACancelInsideTlsReachesTheSession) {
  terminate();
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  client.send_query("hang");
  ProxyClient second = encrypted();
  ASSERT_TRUE(second.open());
  second.send(cancel_packet(client.key));
  EXPECT_TRUE(second.ended_silently());
  // Without it, libpq reports the cancel as failed: "unexpected eof while reading".
  EXPECT_NE(SSL_get_shutdown(second.tls()) & SSL_RECEIVED_SHUTDOWN, 0);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.last_error.sqlstate, "57014");
  EXPECT_EQ(proxy.node(0).cancels().size(), 1U);
  EXPECT_TRUE(proxy.node(1).cancels().empty());
}

TEST_P(ProxyTls, ARequiredClientCertificateIsRequired) {
  terminate();
  proxy.rw().tls_client_ca = certificates.ca();
  proxy.rw().tls_client_certificate = ClientCertificate::kRequired;
  begin();
  ProxyClient without = encrypted();
  EXPECT_FALSE(without.open() && without.log_in());
  const auto with_certificate = certificates.client("client");
  ProxyClient with = encrypted(with_certificate.get());
  ASSERT_TRUE(with.open());
  EXPECT_TRUE(with.log_in());
  ProxyClient unencrypted = proxy.connect();
  unencrypted.send_startup();
  EXPECT_TRUE(unencrypted.ended_with("28000"));
}

TEST_P(ProxyTls, ACertificateOfAnotherAuthorityIsRefused) {
  terminate();
  proxy.rw().tls_client_ca = certificates.ca();
  proxy.rw().tls_client_certificate = ClientCertificate::kOptional;
  begin();
  const TestCertificates foreign;
  const auto context = foreign.client("client");
  SSL_CTX_load_verify_locations(context.get(), certificates.ca().c_str(), nullptr);
  ProxyClient client = encrypted(context.get());
  EXPECT_FALSE(client.open() && client.log_in());
  ProxyClient without = encrypted();
  ASSERT_TRUE(without.open());
  EXPECT_TRUE(without.log_in());
}

TEST_P(ProxyTls, CertificatesAreReloaded) {
  terminate();
  begin();
  ProxyClient before = encrypted();
  ASSERT_TRUE(before.log_in());
  EXPECT_EQ(peer_name(before.tls()), "server");
  certificates.issue("renewed");
  std::rename(certificates.certificate("renewed").c_str(), proxy.rw().tls_certificate.c_str());
  EXPECT_THROW(proxy.reload(), std::runtime_error);  // the key still belongs to the old certificate
  EXPECT_EQ(peer_name(encrypted().tls()), "server");
  std::rename(certificates.key("renewed").c_str(), proxy.rw().tls_key.c_str());
  proxy.reload();
  EXPECT_TRUE(eventually([&] { return peer_name(encrypted().tls()) == "renewed"; }));
  EXPECT_EQ(before.query("name"), "pg-1");  // live sessions keep what they have
}

TEST_P(ProxyTls, AnUnreadableCertificateIsOneErrorLineAtStartup) {
  terminate();
  proxy.rw().tls_certificate = "/nonexistent/server.pem";
  try {
    proxy.start();
    FAIL() << "it started";
  } catch (const std::runtime_error& problem) {
    EXPECT_NE(std::string(problem.what()).find("/nonexistent/server.pem"), std::string::npos);
  }
}

// -------------------------------------------------------------------------------------------------
// To the nodes

TEST_P(ProxyTls, NodeTlsIsUsedWhenConfigured) {
  for (const auto mode : {NodeTls::kRequire, NodeTls::kVerifyCa, NodeTls::kVerifyFull}) {
    ProxyFixture own(1, GetParam());
    own.config.node_tls.mode = mode;
    own.config.node_tls.ca = certificates.ca();
    own.node(0).use_tls(certificates.server(), true);
    own.start();
    own.primary(0);
    ProxyClient client = own.session();
    ASSERT_TRUE(client.open()) << to_string(mode);
    EXPECT_EQ(client.query("name"), "pg-1");
    EXPECT_EQ(client.query(std::string(300'000, 'x'))->size(), 300'000U);
    own.no_primary();
    EXPECT_TRUE(client.ended_with("57P01"));
  }
}

TEST_P(ProxyTls, ANodeWithoutTlsIsRefusedIfTlsIsRequired) {
  proxy.config.node_tls.mode = NodeTls::kRequire;
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("08006"));
  EXPECT_TRUE(proxy.node(0).startups().empty());
}

TEST_P(ProxyTls, ANodeWithAForeignCertificateIsRefused) {
  const TestCertificates foreign;
  proxy.config.node_tls.mode = NodeTls::kVerifyCa;
  proxy.config.node_tls.ca = certificates.ca();
  proxy.node(0).use_tls(foreign.server());
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("08006"));
  EXPECT_TRUE(proxy.node(0).startups().empty());
}

TEST_P(ProxyTls, VerifyFullChecksTheName) {
  proxy.config.node_tls.mode = NodeTls::kVerifyFull;
  proxy.config.node_tls.ca = certificates.ca();
  proxy.config.nodes[0].host = "127.0.0.9";  // the certificate is for localhost and 127.0.0.1
  proxy.node(0).use_tls(certificates.server());
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("08006"));
}

TEST_P(ProxyTls, CanBeTerminatedAndUsedToTheNodeToo) {
  terminate();
  proxy.config.node_tls.mode = NodeTls::kRequire;
  proxy.node(0).use_tls(certificates.server(), true);
  begin();
  ProxyClient client = encrypted();
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query(std::string(1'000'000, 'x'))->size(), 1'000'000U);
}

}  // namespace
}  // namespace pgsteer
