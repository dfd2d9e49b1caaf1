// Cancels need no password and cost the server a fork each: they are bounded, and paced per node.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

class ProxyCancelFlood : public testing::Test {
 protected:
  // Node 0 keeps every cancel until let_go().
  void begin() {
    keep(0);
    proxy.start();
    proxy.primary(1);
  }
  void keep(std::size_t node) {
    const auto let_go = let_go_;
    FakePostgres::Behaviour slow;
    slow.script = [let_go](WireEnd& end) {
      end.receive(16);
      eventually([&] { return let_go->load(); });
    };
    proxy.node(node).set(slow);
  }
  void let_go() { *let_go_ = true; }
  ~ProxyCancelFlood() override { let_go(); }

  ProxyClient cancel(std::uint32_t pid) {
    ProxyClient client = proxy.connect(kRo);
    client.send(cancel_packet({pid, "abcd"}));
    return client;
  }

  ProxyFixture proxy{2};

 private:
  const std::shared_ptr<std::atomic<bool>> let_go_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(ProxyCancelFlood, UnknownOnesReachANodeOneAtATime) {
  begin();
  constexpr unsigned kFlood = 20;
  std::vector<ProxyClient> clients;
  for (unsigned i = 0; i < kFlood; ++i) clients.push_back(cancel(i + 1));
  // The other node has seen them all, so all of them are under way.
  ASSERT_TRUE(eventually([&] { return proxy.node(1).cancels().size() == kFlood; }));
  EXPECT_LE(proxy.node(0).open(), 1U);
  let_go();
  for (ProxyClient& client : clients) EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_EQ(proxy.traffic(kRo).cancels_total, kFlood);
}

TEST_F(ProxyCancelFlood, EqualOnesThatWaitBecomeOne) {
  keep(1);
  begin();
  std::vector<ProxyClient> clients;
  clients.push_back(cancel(1));  // the others begin nowhere before it is done
  ASSERT_TRUE(eventually(
      [&] { return proxy.node(0).connections() == 1 && proxy.node(1).connections() == 1; }));
  const auto waits = [&](unsigned count) {
    return eventually([&] { return proxy.server->sessions().size() == count; });
  };
  for (unsigned i = 0; i < 10; ++i) clients.push_back(cancel(2));
  ASSERT_TRUE(waits(11));
  ASSERT_TRUE(eventually([&] {
    for (const SessionView& view : proxy.sessions()) {
      if (view.phase != SessionPhase::kConnecting) return false;
    }
    return true;
  }));
  let_go();
  for (ProxyClient& client : clients) EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_EQ(proxy.node(0).connections(), 2U);
}

TEST_F(ProxyCancelFlood, TakesNoPlaceOfASession) {
  proxy.ro().max_connections = 1;
  begin();
  proxy.verdict(kRo, 1, Admission::kAdmit).verdict(kRo, 0, Admission::kDrain).publish();
  ProxyClient held = cancel(1);
  ASSERT_TRUE(eventually([&] { return proxy.node(0).connections() == 1; }));
  EXPECT_TRUE(proxy.session(kRo).open());
}

// A server that never answers kept the client for five seconds.
TEST_F(ProxyCancelFlood, ASilentNodeKeepsItForASecond) {
  begin();
  ProxyClient client = cancel(1);
  EXPECT_EQ(client.closed(3s), WireEnd::Closed::kEof);
}

TEST_F(ProxyCancelFlood, TriesEveryAddressOfANode) {
  ProxyFixture gone(1);
  const Address refuses = gone.node(0).address();
  gone.node(0).refuse();
  begin();
  proxy.draft.nodes[1].addresses.insert(proxy.draft.nodes[1].addresses.begin(), refuses);
  proxy.publish();
  let_go();
  ProxyClient client = cancel(4711);
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  ASSERT_EQ(proxy.node(1).cancels().size(), 1U);
  EXPECT_EQ(proxy.node(1).cancels()[0].pid, 4711U);
}

TEST_F(ProxyCancelFlood, TooManyOfOneAddressAreClosedAndCounted) {
  begin();
  const auto most = OutgoingCancels::kMostOfAddress;
  std::vector<ProxyClient> clients;
  for (std::uint32_t i = 0; i < most + 20; ++i) clients.push_back(cancel(i + 1));
  EXPECT_TRUE(eventually([&] { return proxy.traffic(kRo).cancels_dropped_total >= 10; }));
  let_go();
  for (ProxyClient& client : clients) EXPECT_EQ(client.closed(10s), WireEnd::Closed::kEof);
  const ListenerView view = proxy.traffic(kRo);
  EXPECT_EQ(view.cancels_total + view.cancels_dropped_total, clients.size());
}

// All sessions of a demoted node are cut at once: their statements are cancelled, but not with a
// thousand connections at once.
TEST_F(ProxyCancelFlood, TheStatementsOfManyCutSessionsAreCancelledAFewAtATime) {
  begin();
  let_go();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 60; ++i) {
    clients.push_back(proxy.session(kRw));
    ASSERT_TRUE(clients.back().open());
    clients.back().send_query("hang");
  }
  const unsigned before = proxy.node(1).open();
  proxy.no_primary();
  unsigned most = 0;
  ASSERT_TRUE(eventually([&] {
    most = std::max(most, proxy.node(1).open());
    return proxy.node(1).cancels().size() == clients.size();
  }));
  for (const FakePostgres::CancelSeen& seen : proxy.node(1).cancels()) EXPECT_TRUE(seen.hit);
  EXPECT_LE(most, before + OutgoingCancels::kKnownAtOnce);
}

}  // namespace
}  // namespace pgsteer
