// Which node a client gets, and what happens to it while there is none.
#include <gtest/gtest.h>

#include <map>

#include "proxy/net/listen_socket.h"
#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

constexpr const char* kNotAccepting = "the database system is not accepting connections";

// Runs every test with one worker and with two.
class ProxyHold : public testing::TestWithParam<unsigned> {
 protected:
  static unsigned workers() { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyHold, testing::Values(1U, 2U));

// Opens sessions one after another and returns how many each node got.
std::map<std::string, int> spread(ProxyFixture& proxy, int sessions,
                                  std::vector<ProxyClient>& kept) {
  std::map<std::string, int> count;
  for (int i = 0; i < sessions; ++i) {
    kept.push_back(proxy.session(kRo));
    ++count[kept.back().query("name").value_or("none")];
  }
  return count;
}

TEST_P(ProxyHold, AClientGetsTheAdmittedNode) {
  ProxyFixture proxy(3, workers());
  proxy.start();
  proxy.primary(1);
  ProxyClient client = proxy.session();
  ASSERT_TRUE(client.open());
  EXPECT_EQ(client.query("name"), "pg-2");
  EXPECT_EQ(client.query("something"), "something");
  EXPECT_EQ(proxy.traffic().nodes[1].sessions, 1U);
  EXPECT_EQ(proxy.node(0).connections() + proxy.node(2).connections(), 0U);
  client.send(wire::message('X'));
  client.close();
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
  EXPECT_EQ(proxy.ended("client_closed"), 1U);
}

TEST_P(ProxyHold, TheStartupPacketArrivesAsItWasSent) {
  ProxyFixture proxy(1, workers());
  proxy.start();
  proxy.primary(0);
  const std::string packet = wire::startup(
      protocol_version(3, 9999), {{"user", "u"}, {"_pq_.unknown", "x"}, {"options", "-c a=b"}});
  ProxyClient client = proxy.connect();
  client.send(packet);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(proxy.node(0).startups(), std::vector{packet});
}

TEST_P(ProxyHold, BeforeTheFirstTopologyAClientWaits) {
  ProxyFixture proxy(1, workers());
  proxy.start();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.primary(0);
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyHold, AHeldClientIsServedOnceANodeIsAdmitted) {
  ProxyFixture proxy(2, workers());
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  EXPECT_EQ(client.closed(0ms), WireEnd::Closed::kNotYet);
  proxy.primary(1);
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-2");
  EXPECT_EQ(proxy.traffic().held_clients, 0U);
  EXPECT_EQ(proxy.traffic().held_clients_total, 1U);
  EXPECT_TRUE(eventually([&] { return proxy.report().held == 1; }));
  EXPECT_TRUE(proxy.report().first_primary_session);
}

TEST_P(ProxyHold, AfterTheHoldTimeTheClientGetsTheReason) {
  ProxyFixture proxy(1, workers());
  proxy.rw().hold = 50ms;
  proxy.start();
  proxy.no_primary("pg-1 has been demoted");
  ProxyClient client = proxy.connect();
  const auto start = std::chrono::steady_clock::now();
  client.send_startup();
  ASSERT_TRUE(client.ended_with("57P03"));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
  EXPECT_EQ(client.last_error.severity, "FATAL");
  EXPECT_EQ(client.last_error.message, kNotAccepting);
  EXPECT_EQ(client.last_error.detail, "pgsteer: pg-1 has been demoted");
  EXPECT_EQ(proxy.ended("no_node"), 1U);
  EXPECT_EQ(proxy.traffic().held_clients, 0U);
}

TEST_P(ProxyHold, WithoutHoldTheClientIsRefusedAtOnce) {
  ProxyFixture proxy(1, workers());
  proxy.rw().hold = 0ms;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(proxy.traffic().held_clients_total, 0U);
}

TEST_P(ProxyHold, WhenTheHoldQueueIsFullTheNextClientIsRefused) {
  ProxyFixture proxy(1, workers());
  proxy.rw().hold_sessions = 2;
  proxy.start();
  proxy.no_primary();
  std::vector<ProxyClient> waiting;
  for (unsigned i = 1; i <= 2; ++i) {
    waiting.push_back(proxy.connect());
    waiting.back().send_startup();
    ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == i; }));
  }
  ProxyClient third = proxy.connect();
  third.send_startup();
  EXPECT_TRUE(third.ended_with("57P03"));
  EXPECT_EQ(proxy.ended("hold_full"), 1U);
  proxy.primary(0);
  for (ProxyClient& client : waiting) EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyHold, AClientThatLeavesWhileHeldIsNoticedAtOnce) {
  ProxyFixture proxy(1, workers());
  proxy.start();
  proxy.no_primary();
  ProxyClient leaves = proxy.connect();
  ProxyClient resets = proxy.connect();
  leaves.send_startup();
  resets.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 2; }));
  leaves.close();
  resets.reset();
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }, 5s));  // hold is 9 s
  EXPECT_EQ(proxy.ended("client_left"), 2U);
  proxy.primary(0);
  EXPECT_TRUE(proxy.session().open());
  EXPECT_EQ(proxy.node(0).connections(), 1U);
}

// Its ClientHello stays unread while it is held.
TEST_P(ProxyHold, AClientThatLeavesAfterItsClientHelloIsNoticedAtOnce) {
  ProxyFixture proxy(1, workers());
  proxy.draft.nodes[0].tls = TlsAnswer::kYes;
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  client.send("\x16\x03\x01 and so on");
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  client.close();
  EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }, 5s));  // hold is 9 s
}

TEST(ProxyRelease, HeldClientsAreReleasedInOrderAFewAtATime) {
  ProxyFixture proxy(1);
  proxy.rw().logins_in_flight = 3;
  proxy.start();
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  proxy.no_primary();
  constexpr unsigned kClients = 10;
  std::vector<ProxyClient> clients;
  for (unsigned i = 0; i < kClients; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send(ProxyClient::startup_packet("client " + std::to_string(i)));
    ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == i + 1; }));
  }
  proxy.primary(0);
  unsigned most = 0;
  for (unsigned served = 0; served < kClients; ++served) {
    const unsigned expected = std::min(3U, kClients - served);
    ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == expected; }));
    most = std::max(most, proxy.node(0).in_login());
    proxy.node(0).let_in();
    ASSERT_TRUE(eventually([&] { return proxy.node(0).logged_in() == served + 1; }));
  }
  EXPECT_LE(most, 3U);
  for (ProxyClient& client : clients) EXPECT_TRUE(client.wait_until_ready());
  // Up to three logins are in flight, and only those can overtake each other.
  const auto startups = proxy.node(0).startups();
  ASSERT_EQ(startups.size(), kClients);
  for (unsigned i = 0; i < kClients; ++i) {
    bool near = false;
    for (unsigned j = i < 3 ? 0 : i - 2; j < std::min(i + 3, kClients); ++j) {
      near = near || startups[j].find("client " + std::to_string(i)) != std::string::npos;
    }
    EXPECT_TRUE(near) << i;
  }
}

TEST(ProxyRelease, TheLimitOfLoginsInFlightIsSharedByAllWorkers) {
  ProxyFixture proxy(1, 2);
  proxy.rw().logins_in_flight = 2;
  proxy.start();
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  proxy.primary(0);
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send_startup();
  }
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 6; }));
  for (unsigned served = 0; served < 8; ++served) {
    EXPECT_LE(proxy.node(0).in_login(), 2U);
    proxy.node(0).let_in();
    ASSERT_TRUE(eventually([&] { return proxy.node(0).logged_in() == served + 1; }));
  }
  for (ProxyClient& client : clients) EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyHold, LeastSessionsSpreadsEvenly) {
  ProxyFixture proxy(4, workers());
  proxy.start();
  proxy.primary(0);
  std::vector<ProxyClient> kept;
  const auto count = spread(proxy, 12, kept);
  EXPECT_EQ(count, (std::map<std::string, int>{{"pg-2", 4}, {"pg-3", 4}, {"pg-4", 4}}));
}

TEST_P(ProxyHold, LeastSessionsFillsAReturningReplica) {
  ProxyFixture proxy(3, workers());
  proxy.start();
  proxy.primary(0);
  proxy.verdict(kRo, 2, Admission::kDrain).publish();
  std::vector<ProxyClient> kept;
  EXPECT_EQ(spread(proxy, 4, kept), (std::map<std::string, int>{{"pg-2", 4}}));
  proxy.verdict(kRo, 2, Admission::kAdmit).publish();
  EXPECT_EQ(spread(proxy, 4, kept), (std::map<std::string, int>{{"pg-3", 4}}));
}

TEST_P(ProxyHold, WeightsAreRespected) {
  ProxyFixture proxy(3, workers());
  proxy.config.nodes[1].weight = 3;
  proxy.start();
  proxy.primary(0);
  std::vector<ProxyClient> kept;
  EXPECT_EQ(spread(proxy, 12, kept), (std::map<std::string, int>{{"pg-2", 9}, {"pg-3", 3}}));
}

TEST_P(ProxyHold, RoundRobinAlternates) {
  ProxyFixture proxy(3, workers());
  proxy.ro().balance = Balance::kRoundRobin;
  proxy.start();
  proxy.primary(0);
  std::map<std::string, int> count;
  for (int i = 0; i < 6; ++i) {  // each session ends at once, so the load does not matter
    ProxyClient client = proxy.session(kRo);
    ++count[client.query("name").value_or("none")];
    client.send(wire::message('X'));
    client.close();
    ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  }
  EXPECT_EQ(count, (std::map<std::string, int>{{"pg-2", 3}, {"pg-3", 3}}));
}

TEST_P(ProxyHold, OneClientAddressGoesToOneNode) {
  ProxyFixture proxy(4, workers());
  proxy.ro().balance = Balance::kClientAddress;
  proxy.start();
  proxy.primary(0);
  std::vector<ProxyClient> kept;
  EXPECT_EQ(spread(proxy, 6, kept).size(), 1U);
}

TEST_P(ProxyHold, ARefusedConnectTriesTheNextReplica) {
  ProxyFixture proxy(3, workers());
  proxy.start();
  proxy.primary(0);
  proxy.node(1).refuse();
  for (int i = 0; i < 4; ++i) {
    ProxyClient client = proxy.session(kRo);
    ASSERT_TRUE(client.open());
    EXPECT_EQ(client.query("name"), "pg-3");
  }
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kConnectRefused, 1));
  EXPECT_GT(proxy.traffic(kRo).nodes[1].connect_errors_total, 0U);
}

TEST_P(ProxyHold, TheSecondAddressOfANodeIsTriedToo) {
  ProxyFixture proxy(2, workers());
  proxy.node(0).refuse();
  proxy.draft.nodes[0].addresses.push_back(proxy.node(1).address());
  proxy.start();
  proxy.primary(0);
  EXPECT_EQ(proxy.session().query("name"), "pg-2");
  EXPECT_TRUE(proxy.suspicions().empty());
}

TEST_P(ProxyHold, AConnectThatTimesOutTriesTheNextReplica) {
  ProxyFixture proxy(3, workers());
  proxy.ro().connect_timeout = 200ms;  // enough for the other replica on a busy machine
  const StuckPort stuck;
  proxy.draft.nodes[1].addresses = {stuck.address()};
  proxy.start();
  proxy.primary(0);
  for (int i = 0; i < 3; ++i) {
    ProxyClient client = proxy.session(kRo);
    ASSERT_TRUE(client.open());
    EXPECT_EQ(client.query("name"), "pg-3");
  }
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kConnectTimedOut, 1));
}

TEST_P(ProxyHold, ARefusingPrimaryIsSuspectedAndTriedAgain) {
  ProxyFixture proxy(1, workers());
  proxy.start();
  proxy.node(0).refuse();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.suspected(SuspicionKind::kConnectRefused, 0); }));
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.node(0).accept();
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyHold, ARefusingPrimaryWithoutHoldIsConnectFailed) {
  ProxyFixture proxy(1, workers());
  proxy.rw().hold = 0ms;
  proxy.start();
  proxy.node(0).refuse();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(client.last_error.message, kNotAccepting);
  EXPECT_EQ(proxy.ended("connect_failed"), 1U);
}

// The 57P03 of a node that starts, recovers or stops never reaches a client that can be held.
TEST_P(ProxyHold, A57P03OfTheServerIsRetried) {
  ProxyFixture proxy(1, workers());
  proxy.node(0).set({.login = FakePostgres::Login::kRefuse, .sqlstate = "57P03"});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).connections() >= 2; }));  // tried again
  EXPECT_TRUE(proxy.suspected(SuspicionKind::kShuttingDown, 0));
  proxy.node(0).set({});
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_TRUE(client.last_error.sqlstate.empty());
}

TEST_P(ProxyHold, A57P03OfTheServerIsPassedOnAfterTheHoldTime) {
  ProxyFixture proxy(1, workers());
  proxy.rw().hold = 30ms;
  proxy.node(0).set({.login = FakePostgres::Login::kRefuse, .sqlstate = "57P03"});
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.connect();
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
}

TEST_P(ProxyHold, OtherLoginErrorsOfTheServerArePassedOnAtOnce) {
  for (const char* sqlstate : {"53300", "28P01", "3D000"}) {
    ProxyFixture proxy(1, workers());
    proxy.node(0).set({.login = FakePostgres::Login::kRefuse, .sqlstate = sqlstate});
    proxy.start();
    proxy.primary(0);
    ProxyClient client = proxy.connect();
    client.send_startup();
    ASSERT_TRUE(client.ended_with(sqlstate)) << sqlstate;
    EXPECT_EQ(client.last_error.message, "refused by pg-1");
    EXPECT_TRUE(eventually([&] { return proxy.ended("server_refused") == 1; }));
    EXPECT_EQ(proxy.node(0).connections(), 1U);
  }
}

TEST_P(ProxyHold, AServerThatClosesBeforeItsFirstAnswerIsTriedAgain) {
  for (const auto login : {FakePostgres::Login::kClose, FakePostgres::Login::kReset}) {
    ProxyFixture proxy(1, workers());
    proxy.node(0).set({.login = login});
    proxy.start();
    proxy.primary(0);
    ProxyClient client = proxy.connect();
    client.send_startup();
    ASSERT_TRUE(eventually([&] { return proxy.suspected(SuspicionKind::kServerEnded, 0); }));
    proxy.node(0).set({});
    EXPECT_TRUE(client.wait_until_ready());
  }
}

// A balancer, or a client with several hosts, skips a closed port.
TEST(ProxyClosedPort, ClosesWhileThereIsNoNodeAndOpensAgain) {
  FakePostgres reserved;  // keeps the port from others, but does not listen
  reserved.refuse();
  ProxyFixture proxy(1);
  proxy.rw().hold = 20ms;
  proxy.rw().when_no_node = WhenNoNode::kClose;
  proxy.rw().bind[0].port = reserved.port();
  proxy.start();
  proxy.primary(0);
  ASSERT_TRUE(proxy.session().open());
  proxy.no_primary();
  ASSERT_TRUE(eventually([&] { return !proxy.traffic().open; }));
  EXPECT_FALSE(proxy.connect().open());
  EXPECT_TRUE(proxy.connect(kRo).open());
  proxy.primary(0);
  ASSERT_TRUE(eventually([&] { return proxy.traffic().open; }));
  EXPECT_TRUE(proxy.session().open());
}

// Nothing but time makes the port free again: no topology that follows may be needed for it.
TEST(ProxyClosedPort, TriesAgainUntilAPortThatWasTakenIsFree) {
  auto other = std::make_unique<FakePostgres>();
  const std::uint16_t port = other->port();
  other.reset();
  ProxyFixture proxy(1);
  proxy.rw().hold = 20ms;
  proxy.rw().when_no_node = WhenNoNode::kClose;
  proxy.rw().bind[0].port = port;
  proxy.start();
  proxy.no_primary();
  ASSERT_TRUE(eventually([&] { return !proxy.traffic().open; }));
  UniqueFd taker = open_listen_socket(proxy.rw().bind[0]);
  proxy.primary(0);
  EXPECT_FALSE(proxy.traffic().open);
  taker.reset();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().open; }));
  EXPECT_TRUE(proxy.session().open());
}

}  // namespace
}  // namespace pgsteer
