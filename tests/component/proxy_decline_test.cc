// Clients that ask for encryption while no node can be asked whether it takes TLS. Silence would
// end in a bare close, and libpq throws an ErrorResponse away at this point: they get an N, and the
// reason as the answer to their startup packet.
#include <gtest/gtest.h>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyDecline : public testing::TestWithParam<unsigned> {
 protected:
  ProxyDecline() : proxy(1, GetParam()) {
    proxy.draft.nodes[0].tls = TlsAnswer::kUnknown;
    proxy.rw().hold = 50ms;
  }

  void begin_without_node() {
    proxy.start();
    proxy.no_primary("Patroni's certificate is not trusted");
  }
  // After its N: the reason, in clear.
  void expect_told(ProxyClient& client, const char* sqlstate = "57P03") {
    client.send_startup();
    ASSERT_TRUE(client.ended_with(sqlstate));
    EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
  }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyDecline, testing::Values(1U, 2U));

TEST_P(ProxyDecline, AfterTheHoldAnSslRequestIsDeclinedAndTheReasonTold) {
  begin_without_node();
  ProxyClient client = proxy.connect();
  const auto start = steady_clock::now();
  ASSERT_EQ(client.request_ssl(), 'N');
  EXPECT_GE(steady_clock::now() - start, 50ms);
  expect_told(client);
  EXPECT_EQ(client.last_error.detail, "pgsteer: Patroni's certificate is not trusted");
  EXPECT_EQ(proxy.ended("no_node"), 1U);
  EXPECT_EQ(proxy.traffic().held_clients_total, 1U);
}

TEST_P(ProxyDecline, BeforeTheFirstTopologyToo) {
  proxy.start();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
}

// libpq asks for GSSAPI first where there is a ticket.
TEST_P(ProxyDecline, AGssencRequestBeforeTheSslRequestChangesNothing) {
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_gss(), 'N');
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
}

TEST_P(ProxyDecline, WithoutHoldAtOnce) {
  proxy.rw().hold = 0ms;
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_gss(), 'N');
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
}

TEST_P(ProxyDecline, WithoutHoldWhenTheNodeRefusesToo) {
  proxy.rw().hold = 0ms;
  proxy.node(0).refuse();
  proxy.start();
  proxy.primary(0);
  for (const bool gss : {false, true}) {
    ProxyClient client = proxy.connect();
    if (gss) {
      ASSERT_EQ(client.request_gss(), 'N');
    }
    ASSERT_EQ(client.request_ssl(), 'N');
    expect_told(client);
  }
  EXPECT_EQ(proxy.ended("connect_failed"), 2U);
}

TEST_P(ProxyDecline, WhenTooManyWaitAlready) {
  proxy.rw().hold_sessions = 0;
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
  EXPECT_EQ(proxy.ended("hold_full"), 1U);
}

TEST_P(ProxyDecline, ANodeThatClosesInsteadOfAnsweringIsSuspectedAndNotTheEnd) {
  proxy.node(0).set({.script = [](WireEnd& end) { end.receive(8); }});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kServerEnded, 0));
}

TEST_P(ProxyDecline, ANodeThatClosesInsteadOfAnsweringIsAskedAgainWhileTheClientMayWait) {
  proxy.rw().hold = 10s;
  proxy.node(0).set({.script = [](WireEnd& end) { end.receive(8); }});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  client.send(wire::packet(kSslRequestCode));
  ASSERT_TRUE(eventually([&] { return proxy.suspected(SuspicionKind::kServerEnded, 0); }));
  proxy.node(0).set({});
  ASSERT_EQ(client.receive(1), "N");
  EXPECT_TRUE(client.log_in());
}

TEST_P(ProxyDecline, ANodeThatAnswersNonsenseIsGivenUp) {
  proxy.node(0).set({.ssl = 'E', .gss = 'E'});
  proxy.start();
  proxy.primary(0);
  for (const bool gss : {false, true}) {
    ProxyClient client = proxy.connect();
    ASSERT_EQ(gss ? client.request_gss() : client.request_ssl(), 'N');
    expect_told(client);
  }
}

TEST_P(ProxyDecline, ANodeThatIsSilentIsNotWaitedForForever) {
  proxy.rw().connect_timeout = 50ms;
  proxy.node(0).set({.ssl = 0});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  expect_told(client);
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kConnectTimedOut, 0));
}

// connect_timeout bounds one node; hold and first_packet_timeout together bound them all.
TEST_P(ProxyDecline, TheQuestionAsAWholeIsBounded) {
  proxy.rw().connect_timeout = 10min;
  proxy.rw().first_packet_timeout = 50ms;
  proxy.node(0).set({.ssl = 0});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
}

TEST_P(ProxyDecline, TheSearchForANodeIsBoundedToo) {
  const StuckPort stuck;
  proxy.draft.nodes[0].addresses = {stuck.address()};
  proxy.rw().connect_timeout = 10min;
  proxy.rw().first_packet_timeout = 50ms;
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
}

// The user's name stays secret, and the client gets no word.
TEST_P(ProxyDecline, AListenerMayCloseInstead) {
  proxy.rw().refuse_in_clear = false;
  begin_without_node();
  for (const bool gss : {false, true}) {
    ProxyClient client = proxy.connect();
    client.send(wire::packet(gss ? kGssRequestCode : kSslRequestCode));
    EXPECT_TRUE(client.ended_silently());
  }
  EXPECT_TRUE(eventually([&] { return proxy.ended("no_node") == 2; }));
}

TEST_P(ProxyDecline, AClientThatSaysNothingAfterTheNIsClosed) {
  proxy.rw().first_packet_timeout = 50ms;
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  EXPECT_TRUE(client.ended_silently());
  EXPECT_EQ(proxy.ended("no_node"), 1U);
}

// sslmode=require: what turned the client away is that there was no node.
TEST_P(ProxyDecline, AClientThatLeavesAfterTheNCountsAsTurnedAway) {
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  client.close();
  EXPECT_TRUE(eventually([&] { return proxy.ended("no_node") == 1; }));
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
}

TEST_P(ProxyDecline, ANodeThatComesInTimeAnswers) {
  proxy.rw().hold = 10s;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send(wire::packet(kSslRequestCode));
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.primary(0);
  ASSERT_EQ(client.receive(1), "N");
  EXPECT_TRUE(client.log_in());
}

TEST_P(ProxyDecline, ACancelAfterTheNIsPassedOn) {
  begin_without_node();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'N');
  client.send(cancel_packet({.pid = 7, .key = "abcd"}));
  EXPECT_TRUE(client.ended_silently());
  EXPECT_TRUE(eventually([&] { return proxy.node(0).cancels().size() == 1; }));
}

}  // namespace
}  // namespace pgsteer
