// A topology that nobody renews: the worker holds itself to its deadline. And one that is renewed:
// nobody notices, but the sentences are new.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyExpiry : public testing::TestWithParam<unsigned> {
 protected:
  ProxyExpiry() : proxy(2, GetParam()) {}

  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  void renew(std::chrono::milliseconds valid_for) {
    proxy.draft.valid_until = steady_clock::now() + valid_for;
    proxy.renew();
  }
  bool stopped() const { return proxy.server->traffic().checks_stopped; }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyExpiry, testing::Values(1U, 2U));

TEST_P(ProxyExpiry, AtTheDeadlineSessionsAreCutAndNewOnesHeldUntilARenewal) {
  begin();
  ProxyClient client = proxy.session();
  ProxyClient reader = proxy.session(kRo);
  ASSERT_TRUE(client.open());
  ASSERT_TRUE(reader.open());
  EXPECT_FALSE(stopped());
  renew(50ms);
  ASSERT_TRUE(client.ended_with("57P01"));
  EXPECT_GE(steady_clock::now(), *proxy.draft.valid_until);
  EXPECT_EQ(client.last_error.detail, "pgsteer: pg-1: the checks of the nodes stopped 0 s ago");
  EXPECT_TRUE(stopped());
  EXPECT_EQ(proxy.ended("role_lost"), 1U);
  EXPECT_EQ(reader.query("name"), "pg-2");
  EXPECT_TRUE(proxy.session(kRo).open());
  ProxyClient waiting = proxy.connect();
  waiting.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  renew(1h);
  EXPECT_TRUE(waiting.wait_until_ready());
  EXPECT_EQ(waiting.query("name"), "pg-1");
  EXPECT_FALSE(stopped());
  EXPECT_EQ(reader.query("name"), "pg-2");
}

TEST_P(ProxyExpiry, ASessionWhoseLoginIsInFlightIsCutAtTheDeadline) {
  begin();
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_EQ(client.message()->type, 'R');
  renew(20ms);
  EXPECT_TRUE(client.ended_with("57P01"));
}

TEST_P(ProxyExpiry, ARenewalInTimeIsNoticedByNobody) {
  begin();
  ProxyClient client = proxy.session();
  ASSERT_TRUE(client.open());
  renew(1s);
  const auto deadline = *proxy.draft.valid_until;
  renew(1h);
  ASSERT_TRUE(eventually([&] { return steady_clock::now() > deadline + EventLoop::kTick; }));
  EXPECT_EQ(client.query("name"), "pg-1");
  EXPECT_EQ(proxy.report().cut, 0U);
  EXPECT_FALSE(stopped());
}

// Published by a checker that stood still between its decision and the publication.
TEST_P(ProxyExpiry, ATopologyThatHasExpiredAlreadyAdmitsNobody) {
  proxy.draft.valid_until = steady_clock::now() - 1ms;
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  EXPECT_EQ(proxy.node(0).connections(), 0U);
  renew(1h);
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_P(ProxyExpiry, AnOlderGenerationIsIgnored) {
  begin();
  ProxyClient client = proxy.session();
  ASSERT_TRUE(client.open());
  Topology older = proxy.draft;
  --older.generation;
  older.primary.reset();
  for (Verdict& verdict : older.pools[kRw].by_node) verdict.admission = Admission::kCut;
  proxy.server->adopt(std::make_shared<const Topology>(older));
  proxy.server->sessions();
  EXPECT_EQ(client.query("name"), "pg-1");
}

// It stays true while the checks stand still.
TEST_P(ProxyExpiry, TheSentenceOfAnExpiredTopologyIsRenewed) {
  proxy.rw().hold = 1200ms;
  proxy.draft.valid_until = steady_clock::now() - 1ms;
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(client.ended_with("57P03"));
  EXPECT_TRUE(client.last_error.detail.starts_with("pgsteer: the checks of the nodes stopped "));
  EXPECT_NE(client.last_error.detail, "pgsteer: the checks of the nodes stopped 0 s ago");
}

// A session asks for the sentence when it is refused, not when it begins to wait.
TEST_P(ProxyExpiry, ARefusedClientGetsTheSentenceOfTheLastRenewal) {
  proxy.rw().hold = 1s;
  proxy.start();
  proxy.no_primary("pg-1 has been silent for 0.0 s");
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  proxy.draft.no_primary_why = "pg-1 has been silent for 0.4 s";
  proxy.renew();
  ASSERT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(client.last_error.detail, "pgsteer: pg-1 has been silent for 0.4 s");
}

TEST(ProxyExpiryPort, AListenerThatClosesWithoutANodeClosesThenToo) {
  FakePostgres reserved;  // keeps the port from others, but does not listen
  reserved.refuse();
  ProxyFixture proxy(1);
  proxy.rw().hold = 20ms;
  proxy.rw().when_no_node = WhenNoNode::kClose;
  proxy.rw().bind[0].port = reserved.port();
  proxy.start();
  proxy.draft.valid_until = steady_clock::now() + 50ms;
  proxy.primary(0);
  ASSERT_TRUE(eventually([&] { return !proxy.traffic().open; }));
  proxy.draft.valid_until = steady_clock::now() + 1h;
  proxy.renew();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().open; }));
  EXPECT_TRUE(proxy.session().open());
}

}  // namespace
}  // namespace pgsteer
