// A client with sslmode=prefer goes on in clear after an N. One test for each way in which pgsteer
// could say N for a node that takes TLS, or let a session go on after an N that no node has said.
#include <gtest/gtest.h>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

class ProxyInClear : public testing::TestWithParam<unsigned> {
 protected:
  ProxyInClear() : proxy(2, GetParam()) {}

  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  void known_to_take_tls(TlsAnswer first, TlsAnswer second) {
    proxy.draft.nodes[0].tls = first;
    proxy.draft.nodes[1].tls = second;
  }
  // It was told N by pgsteer: its startup packet reaches nobody, whatever nodes there are now.
  void expect_refused(ProxyClient& client, const char* sqlstate = "57P03") {
    proxy.primary(0);
    client.send_startup();
    EXPECT_TRUE(client.ended_with(sqlstate));
    EXPECT_TRUE(proxy.node(0).startups().empty());
    EXPECT_TRUE(proxy.node(1).startups().empty());
  }

  TestCertificates certificates;
  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyInClear, testing::Values(1U, 2U));

TEST_P(ProxyInClear, StaleKnowledgeOfANodeDoesNotDeclineTls) {
  known_to_take_tls(TlsAnswer::kNo, TlsAnswer::kNo);
  proxy.node(0).use_tls(certificates.server());
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  ASSERT_TRUE(client.become_tls_client(certificates.client().get()));
  EXPECT_TRUE(client.log_in());
}

TEST_P(ProxyInClear, TheAnswersOfOtherNodesDoNotDeclineTls) {
  known_to_take_tls(TlsAnswer::kUnknown, TlsAnswer::kNo);
  proxy.node(0).use_tls(certificates.server());
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_ssl(), 'S');
}

TEST_P(ProxyInClear, WithoutHoldAClientThatWasDeclinedIsRefusedThoughANodeAppears) {
  proxy.rw().hold = 0ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_refused(client);
}

TEST_P(ProxyInClear, AfterTheHoldAClientThatWasDeclinedIsRefusedThoughANodeAppears) {
  proxy.rw().hold = 30ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_refused(client);
}

TEST_P(ProxyInClear, AGssencRequestThatNoNodeHasAnsweredIsThePreludeToARefusalToo) {
  proxy.rw().hold = 0ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_gss(), 'N');
  expect_refused(client);
}

TEST_P(ProxyInClear, AGssencRequestWaitsForANode) {
  proxy.start();
  proxy.no_primary();
  proxy.node(0).set({.gss = 'G'});
  ProxyClient client = proxy.connect();
  client.send(wire::packet(kGssRequestCode));
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.primary(0);
  EXPECT_EQ(client.receive(1), "G");
}

TEST_P(ProxyInClear, AnOverLimitClientIsRefusedThoughAPlaceBecomesFree) {
  proxy.rw().max_connections = 1;
  begin();
  ProxyClient one = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  ProxyClient two = proxy.connect();
  ASSERT_EQ(two.request_ssl(), 'N');
  one.close();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  expect_refused(two, "53300");
}

// -------------------------------------------------------------------------------------------------
// After an N of the node

TEST_P(ProxyInClear, TheConnectionThatDeclinedIsTheOneThatServes) {
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_gss(), 'N');
  ASSERT_EQ(client.request_ssl(), 'N');
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-1");
  EXPECT_EQ(proxy.node(0).connections(), 1U);
}

TEST_P(ProxyInClear, ANodeThatTakesTlsDoesNotStandInForOneThatDeclined) {
  proxy.node(1).use_tls(certificates.server());
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  proxy.primary(1, 2);
  client.send_startup();
  ASSERT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(client.last_error.detail,
            "pgsteer: pg-2 takes encryption, which another node has just declined");
  EXPECT_TRUE(proxy.node(0).startups().empty());
  EXPECT_TRUE(proxy.node(1).startups().empty());
}

TEST_P(ProxyInClear, ANodeThatDeclinesItselfStandsInForOneThatDeclined) {
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  proxy.primary(1, 2);
  ASSERT_TRUE(eventually([&] { return proxy.node(0).open() == 0; }));
  ASSERT_TRUE(client.log_in());
  EXPECT_EQ(client.query("name"), "pg-2");
  EXPECT_EQ(proxy.node(1).ssl_requests(), 1U);
}

TEST_P(ProxyInClear, ANodeThatRefusesTheLoginIsAskedAgainOnItsNextConnection) {
  proxy.node(0).set({.login = FakePostgres::Login::kRefuse, .sqlstate = "57P03"});
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).ssl_requests() >= 2; }));
  proxy.node(0).use_tls(certificates.server());
  EXPECT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(client.last_error.message, "the database system is not accepting connections");
}

TEST_P(ProxyInClear, AConnectionThatTheNodeHasClosedMeanwhileIsReplaced) {
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  proxy.node(0).close_all();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).open() == 0; }));
  EXPECT_TRUE(client.log_in());
  EXPECT_EQ(proxy.node(0).ssl_requests(), 2U);
}

TEST_P(ProxyInClear, ACancelMayFollowInsteadOfAStartupPacket) {
  begin();
  ProxyClient session = proxy.session();
  session.send_query("hang");
  ProxyClient second = proxy.connect();
  ASSERT_EQ(second.request_ssl(), 'N');
  second.send(cancel_packet(session.key));
  EXPECT_TRUE(second.ended_silently());
  ASSERT_TRUE(session.wait_until_ready());
  EXPECT_EQ(session.last_error.sqlstate, "57014");
}

}  // namespace
}  // namespace pgsteer
