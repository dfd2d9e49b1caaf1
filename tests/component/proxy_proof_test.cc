// What logins show about a node, and what the checker is told of it.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"

namespace pgsteer {
namespace {

class ProxyProof : public testing::TestWithParam<unsigned> {
 protected:
  static unsigned workers() { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyProof, testing::Values(1U, 2U));

TEST_P(ProxyProof, AStandbyBehindThePrimaryListenerIsSuspected) {
  ProxyFixture proxy(2, workers());
  proxy.node(0).set({.in_hot_standby = "on"});
  proxy.node(1).set({.in_hot_standby = "on"});
  proxy.start();
  proxy.primary(0);
  ASSERT_TRUE(proxy.session(kRo).open());
  EXPECT_TRUE(proxy.suspicions().empty());
  ASSERT_TRUE(proxy.session(kRw).open());
  EXPECT_TRUE(eventually([&] { return proxy.suspected(SuspicionKind::kInHotStandby, 0); }));
}

// Where Patroni proves the primary, that is no news.
TEST_P(ProxyProof, AWritableNodeIsReportedWhileItIsNotProven) {
  ProxyFixture proxy(2, workers());
  proxy.start();
  proxy.primary(1);
  ASSERT_TRUE(proxy.session().open());
  ASSERT_TRUE(proxy.session(kRo).open());
  proxy.verdict(kRw, 1, Admission::kAdmit, "hangs", Reason::kSilent).publish();
  ASSERT_TRUE(proxy.session().open());
  ASSERT_TRUE(eventually([&] { return !proxy.found_writable().empty(); }));
  proxy.node(1).set({.in_hot_standby = "on"});
  ASSERT_TRUE(proxy.session().open());
  ASSERT_TRUE(eventually([&] { return proxy.suspected(SuspicionKind::kInHotStandby, 1); }));
  EXPECT_EQ(proxy.found_writable(), std::vector<std::size_t>{1});
}

TEST_P(ProxyProof, ANodeOnTrialGetsOneLoginAtATimeOfEachWorker) {
  ProxyFixture proxy(1, workers());
  proxy.rw().logins_in_flight = 0;  // no limit
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  proxy.start();
  proxy.no_primary();
  std::vector<ProxyClient> clients;
  for (unsigned i = 1; i <= 6; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send_startup();
    ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == i; }));
  }
  proxy.verdict(kRw, 0, Admission::kAdmit, "one member names it", Reason::kTrial).publish();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == workers(); }));
  EXPECT_EQ(proxy.traffic().held_clients, 6 - workers());
  proxy.node(0).let_in();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 5 - workers(); }));
  ASSERT_TRUE(eventually([&] { return !proxy.found_writable().empty(); }));
  proxy.verdict(kRw, 0, Admission::kAdmit, "two members name it", Reason::kWitnessed).publish();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 0; }));
  proxy.node(0).let_in(6);
  for (ProxyClient& client : clients) EXPECT_TRUE(client.wait_until_ready());
}

// The failover record counts them, and its time begins with the first.
TEST_P(ProxyProof, SessionsThatThePrimaryEndsAreReportedWithTheirTime) {
  ProxyFixture proxy(2, workers());
  proxy.start();
  proxy.primary(0);
  std::vector<ProxyClient> writers;
  for (int i = 0; i < 3; ++i) writers.push_back(proxy.session());
  ProxyClient reader = proxy.session(kRo);
  ASSERT_TRUE(reader.open());
  const auto before = std::chrono::steady_clock::now();
  proxy.node(1).close_all();
  EXPECT_TRUE(reader.ended_with("08006"));
  writers[0].send_query("fatal 57P01");
  EXPECT_TRUE(writers[0].ended_with("57P01"));
  proxy.node(0).close_all();
  for (std::size_t i = 1; i < writers.size(); ++i) EXPECT_TRUE(writers[i].ended_with("08006"));
  ASSERT_TRUE(eventually([&] { return proxy.report().server_ended == 3; }));
  EXPECT_GT(*proxy.report().first_server_ended, before);
  EXPECT_LT(*proxy.report().first_server_ended, std::chrono::steady_clock::now());
  EXPECT_EQ(proxy.report().cut, 0U);
}

TEST_P(ProxyProof, SessionsThatTheirClientEndsAreNotReported) {
  ProxyFixture proxy(1, workers());
  proxy.start();
  proxy.primary(0);
  ASSERT_TRUE(proxy.session().open());  // and closed
  ProxyClient refused = proxy.session();
  refused.send_query("fatal 57P05");  // idle_session_timeout
  EXPECT_TRUE(refused.ended_with("57P05"));
  ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  proxy.primary(0, 2);
  EXPECT_EQ(proxy.report().server_ended, 0U);
}

}  // namespace
}  // namespace pgsteer
