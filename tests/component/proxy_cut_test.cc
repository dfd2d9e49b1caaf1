// Sessions that their client did not end: cut when the node loses its role, or ended by the server.
// Tests which error the client gets, how soon, and whether the node gets a cancel.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

constexpr const char* kTerminating = "terminating connection due to administrator command";

class ProxyCut : public testing::TestWithParam<unsigned> {
 protected:
  ProxyCut() : proxy(2, GetParam()) {}

  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // Takes the role from node 0. Returns how long it takes until `gone` is true.
  template <class Gone>
  steady_clock::duration cut_until(Gone&& gone) {
    const auto start = steady_clock::now();
    proxy.no_primary("pg-1 says that it is a replica");
    EXPECT_TRUE(gone());
    return steady_clock::now() - start;
  }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyCut, testing::Values(1U, 2U));

TEST_P(ProxyCut, AnIdleSessionGetsTheReasonAndIsClosed) {
  begin();
  ProxyClient client = proxy.session();
  ASSERT_EQ(client.query("name"), "pg-1");
  EXPECT_LT(cut_until([&] { return client.ended_with("57P01"); }), kCutBound);
  EXPECT_EQ(client.last_error.severity, "FATAL");
  EXPECT_EQ(client.last_error.message, kTerminating);
  EXPECT_EQ(client.last_error.detail, "pgsteer: pg-1: pg-1 says that it is a replica");
  EXPECT_EQ(proxy.ended("role_lost"), 1U);
  EXPECT_TRUE(eventually([&] { return proxy.report().cut_told == 1; }));
  EXPECT_EQ(proxy.report().cut, 1U);
  EXPECT_TRUE(eventually([&] { return proxy.node(0).open() == 0; }));
  EXPECT_TRUE(proxy.node(0).cancels().empty());
}

TEST_P(ProxyCut, AHundredSessionsEndWithinTheBound) {
  begin();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(proxy.session());
  EXPECT_LT(cut_until([&] {
              bool all = true;
              for (ProxyClient& client : clients) all = client.ended_with("57P01") && all;
              return all;
            }),
            kCutBound);
  EXPECT_TRUE(eventually([&] { return proxy.report().cut_told == 100; }));
}

TEST_P(ProxyCut, ABusySessionIsCutAndItsStatementCancelled) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("hang");
  ASSERT_TRUE(eventually([&] {
    const auto views = proxy.sessions();
    return views.size() == 1 && views[0].busy;
  }));
  EXPECT_LT(cut_until([&] { return client.ended_with("57P01"); }), kCutBound);
  ASSERT_TRUE(eventually([&] { return proxy.node(0).cancels().size() == 1; }));
  const auto cancel = proxy.node(0).cancels().front();
  EXPECT_EQ(cancel.pid, client.key.pid);
  EXPECT_EQ(cancel.key, client.key.key);
  EXPECT_TRUE(proxy.node(1).cancels().empty());
}

// The client would read an ErrorResponse as part of that message.
TEST_P(ProxyCut, InTheMiddleOfAMessageTheSessionIsClosedWithoutAnError) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("half");
  ASSERT_EQ(client.receive(12)->size(), 12U);
  EXPECT_LT(cut_until([&] { return client.closed() == WireEnd::Closed::kEof; }), kCutBound);
  EXPECT_TRUE(eventually([&] { return proxy.node(0).cancels().size() == 1; }));
}

// Nothing of a server has reached the client: it need not know that there was another one.
TEST_P(ProxyCut, ASessionWhoseConnectIsInFlightGoesToTheNewPrimary) {
  const StuckPort stuck;
  proxy.draft.nodes[0].addresses = {stuck.address()};
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().nodes[0].sessions == 1; }));
  proxy.primary(1, 2);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-2");
  EXPECT_EQ(proxy.traffic().nodes[0].sessions, 0U);
  EXPECT_EQ(proxy.report().cut, 0U);
}

TEST_P(ProxyCut, ASessionWhoseStartupPacketIsUnansweredGoesToTheNewPrimary) {
  proxy.node(0).set({.login = FakePostgres::Login::kSilent});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == 1; }));
  EXPECT_LT(
      cut_until([&] { return eventually([&] { return proxy.traffic().nodes[0].sessions == 0; }); }),
      kCutBound);
  EXPECT_TRUE(eventually([&] { return proxy.node(0).open() == 0; }));
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.primary(1, 2);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-2");
  EXPECT_EQ(proxy.report().cut, 0U);
  EXPECT_EQ(proxy.ended("role_lost"), 0U);
}

TEST_P(ProxyCut, ASessionWhoseStartupPacketStaysUnansweredIsToldToGoElsewhere) {
  proxy.rw().hold = 0ms;
  proxy.node(0).set({.login = FakePostgres::Login::kSilent});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == 1; }));
  EXPECT_LT(cut_until([&] { return client.ended_with("57P03"); }), kCutBound);
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
}

TEST_P(ProxyCut, ASessionWhoseLoginHangsIsCut) {
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_EQ(client.message()->type, 'R');
  ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == 1; }));
  EXPECT_LT(cut_until([&] { return client.ended_with("57P01"); }), kCutBound);
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
  EXPECT_EQ(proxy.report().cut, 1U);
}

TEST_P(ProxyCut, ASessionWithPassedThroughTlsIsClosedWithoutAnError) {
  const TestCertificates certificates;
  proxy.node(0).use_tls(certificates.server());
  begin();
  ProxyClient client;
  proxy.draft.nodes[0].tls = proxy.draft.nodes[1].tls = TlsAnswer::kYes;
  proxy.primary(0);
  ASSERT_TRUE(eventually([&] {
    client = proxy.connect();
    return client.request_ssl() == 'S';
  }));
  ASSERT_TRUE(client.become_tls_client(certificates.client().get()));
  ASSERT_TRUE(client.log_in());
  EXPECT_LT(cut_until([&] { return client.closed() != WireEnd::Closed::kNotYet; }), kCutBound);
  EXPECT_FALSE(client.message());
  EXPECT_EQ(proxy.ended("role_lost"), 1U);
}

TEST_P(ProxyCut, AnotherTimelineOfTheSameNodeCuts) {
  begin();
  ProxyClient client = proxy.session();
  proxy.primary(0, 2);
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
}

TEST_P(ProxyCut, ANewPrimaryCutsTheSessionsOfTheOldOne) {
  begin();
  ProxyClient client = proxy.session();
  proxy.primary(1, 2);
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_EQ(proxy.session().query("name"), "pg-2");
}

TEST_P(ProxyCut, ANewGenerationAloneCutsNoSession) {
  begin();
  ProxyClient client = proxy.session();
  for (int i = 0; i < 20; ++i) proxy.primary(0);
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyCut, ADrainingPrimaryKeepsItsSessionsAndGetsNoNewOnes) {
  begin();
  ProxyClient client = proxy.session();
  proxy.verdict(kRw, 0, Admission::kDrain).publish();
  ProxyClient waits = proxy.connect();
  waits.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  EXPECT_EQ(client.query("name"), "pg-1");
  proxy.primary(0);
  EXPECT_TRUE(waits.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyCut, ADrainingReplicaKeepsItsSessionsAndGetsNoNewOnes) {
  ProxyFixture own(3, GetParam());
  own.start();
  own.primary(0);
  std::vector<ProxyClient> old;
  for (int i = 0; i < 4; ++i) old.push_back(own.session(kRo));
  const unsigned before = own.node(1).connections();
  EXPECT_EQ(before, 2U);
  own.verdict(kRo, 1, Admission::kDrain, "replays 20MB behind").publish();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(own.session(kRo).query("name"), "pg-3");
  for (ProxyClient& client : old) EXPECT_TRUE(client.query("name"));
  EXPECT_EQ(own.node(1).connections(), before);
}

// -------------------------------------------------------------------------------------------------
// Ended by the server

TEST_P(ProxyCut, AServerThatClosesBetweenMessagesIsReportedWith08006) {
  for (const bool reset : {false, true}) {
    ProxyFixture own(1, GetParam());
    own.start();
    own.primary(0);
    ProxyClient client = own.session();
    reset ? own.node(0).reset_all() : own.node(0).close_all();
    ASSERT_TRUE(client.ended_with("08006")) << reset;
    EXPECT_NE(client.last_error.message.find("closed the connection"), std::string::npos);
    EXPECT_EQ(own.ended("server_aborted"), 1U);
    EXPECT_TRUE(own.suspected(SuspicionKind::kServerEnded, 0));
  }
}

TEST_P(ProxyCut, AServerThatClosesInsideAMessageClosesTheClient) {
  for (const bool reset : {false, true}) {
    ProxyFixture own(1, GetParam());
    own.start();
    own.primary(0);
    ProxyClient client = own.session();
    client.send_query("half");
    ASSERT_EQ(client.receive(12)->size(), 12U);
    reset ? own.node(0).reset_all() : own.node(0).close_all();
    EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
    EXPECT_EQ(own.ended("server_aborted"), 1U);
  }
}

TEST_P(ProxyCut, TheServersOwnFatalErrorIsTheOnlyOne) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("fatal 57P05");
  EXPECT_TRUE(client.ended_with("57P05"));
  EXPECT_EQ(proxy.ended("server_closed"), 1U);
  EXPECT_FALSE(proxy.suspected(SuspicionKind::kServerEnded, 0));
}

TEST_P(ProxyCut, AServerThatShutsDownIsSuspected) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("fatal 57P01");
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kServerEnded, 0));
}

TEST_P(ProxyCut, AnEndByTheClientRaisesNoSuspicion) {
  begin();
  ProxyClient client = proxy.session();
  client.send(wire::message('X'));
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  client.close();
  ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  ProxyClient abrupt = proxy.session();
  abrupt.reset();
  ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  EXPECT_EQ(proxy.ended("client_closed"), 1U);
  EXPECT_EQ(proxy.ended("client_aborted"), 1U);
  EXPECT_TRUE(proxy.suspicions().empty());
}

TEST_P(ProxyCut, AClientThatHalfClosesStillGetsItsAnswer) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("the last question");
  client.half_close();
  const auto answer = client.message();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.substr(6), "the last question");
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_TRUE(eventually([&] { return proxy.ended("client_closed") == 1; }));
}

}  // namespace
}  // namespace pgsteer
