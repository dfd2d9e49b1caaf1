// CancelRequests go to the node whose session has the key, or to all nodes if the key is unknown,
// regardless of limits.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

class ProxyCancel : public testing::TestWithParam<unsigned> {
 protected:
  ProxyCancel() : proxy(3, GetParam()) {}

  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // Sends a cancel and waits until the proxy closes.
  void cancel(const ProxyClient::BackendKey& key, std::size_t listener = kRo) {
    ProxyClient client = proxy.connect(listener);
    client.send(cancel_packet(key));
    EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  }
  std::size_t cancels_seen() {
    std::size_t n = 0;
    for (const auto& node : proxy.nodes) n += node->cancels().size();
    return n;
  }
  // A session that runs "hang".
  ProxyClient busy(std::size_t listener) {
    ProxyClient client = proxy.session(listener);
    client.send_query("hang");
    return client;
  }
  static void expect_cancelled(ProxyClient& client) {
    ASSERT_TRUE(client.wait_until_ready());
    EXPECT_EQ(client.last_error.sqlstate, "57014");
  }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyCancel, testing::Values(1U, 2U));

TEST_P(ProxyCancel, ReachesTheRightOneOfTwoReplicas) {
  begin();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(busy(kRo));
  ASSERT_EQ(proxy.node(1).logged_in(), 4U);
  for (ProxyClient& client : clients) {
    cancel(client.key);
    expect_cancelled(client);
  }
  EXPECT_EQ(cancels_seen(), clients.size());  // each went to one node only
  EXPECT_EQ(proxy.traffic(kRo).cancels_total, clients.size());
  EXPECT_EQ(proxy.ended("cancel_done", kRo), clients.size());
}

TEST_P(ProxyCancel, WithAnUnknownKeyGoesToEveryNode) {
  begin();
  cancel({4711, "abcd"});
  for (const auto& node : proxy.nodes) {
    ASSERT_EQ(node->cancels().size(), 1U) << node->name();
    EXPECT_EQ(node->cancels()[0].pid, 4711U);
    EXPECT_EQ(node->cancels()[0].key, "abcd");
  }
}

TEST_P(ProxyCancel, WorksWithKeysOf256Bytes) {
  FakePostgres::Behaviour long_key;
  long_key.key_size = 256;
  for (const auto& node : proxy.nodes) node->set(long_key);
  begin();
  ProxyClient client = busy(kRo);
  ASSERT_EQ(client.key.key.size(), 256U);
  cancel(client.key);
  expect_cancelled(client);
  EXPECT_EQ(cancels_seen(), 1U);
  cancel({client.key.pid, std::string(256, 'x')});  // the same process id, another key
  EXPECT_EQ(cancels_seen(), 4U);
}

TEST_P(ProxyCancel, WorksWhenTheListenerIsFull) {
  proxy.rw().max_connections = 1;
  begin();
  ProxyClient client = busy(kRw);
  cancel(client.key, kRw);
  expect_cancelled(client);
}

TEST_P(ProxyCancel, WorksWhileNoNodeIsAdmitted) {
  begin();
  ProxyClient client = busy(kRw);
  proxy.draft.no_primary_why = "in doubt";
  proxy.verdict(kRw, 0, Admission::kDrain).publish();
  cancel(client.key, kRw);
  expect_cancelled(client);
  EXPECT_EQ(proxy.traffic().held_clients_total, 0U);
}

TEST_P(ProxyCancel, WorksBeforeTheFirstTopology) {
  proxy.start();
  cancel({1, "abcd"});
  EXPECT_EQ(cancels_seen(), 0U);
}

TEST_P(ProxyCancel, WorksAfterAnSslRequestWasDeclined) {
  begin();
  ProxyClient client = busy(kRo);
  ProxyClient second = proxy.connect(kRo);
  ASSERT_EQ(second.request_ssl(), 'N');
  second.send(cancel_packet(client.key));
  EXPECT_EQ(second.closed(), WireEnd::Closed::kEof);
  expect_cancelled(client);
}

// Otherwise the cancel could hit the client's next statement.
TEST_P(ProxyCancel, ClosesTheClientOnlyAfterTheServer) {
  struct Steps {  // shared with the script, which may outlive the test's body
    std::atomic<bool> seen = false;
    std::atomic<bool> finish = false;
  };
  const auto steps = std::make_shared<Steps>();
  FakePostgres::Behaviour slow;
  slow.script = [steps](WireEnd& end) {
    steps->seen = end.receive(16).has_value();
    eventually([&] { return steps->finish.load(); });
  };
  begin();
  proxy.node(2).set(slow);
  ProxyClient client = proxy.connect(kRo);
  client.send(cancel_packet({1, "abcd"}));
  ASSERT_TRUE(eventually([&] { return steps->seen.load(); }));
  EXPECT_EQ(client.closed(20ms), WireEnd::Closed::kNotYet);
  steps->finish = true;
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
}

TEST_P(ProxyCancel, IsSentEvenIfTheClientClosesAtOnce) {
  begin();
  for (unsigned i = 1; i <= 20; ++i) {
    ProxyClient session = busy(kRo);
    ProxyClient client = proxy.connect(kRo);
    ASSERT_TRUE(eventually([&] {  // the proxy waits for its packet, so it sees the close at once
      return proxy.traffic(kRo).clients_total == 2 * i;
    }));
    client.send(cancel_packet(session.key));
    client.close();
    ASSERT_NO_FATAL_FAILURE(expect_cancelled(session));
  }
}

TEST_P(ProxyCancel, ADeadNodeDoesNotDelayTheOthers) {
  begin();
  proxy.node(1).refuse();
  cancel({1, "abcd"});
  EXPECT_EQ(proxy.node(0).cancels().size(), 1U);
  EXPECT_EQ(proxy.node(2).cancels().size(), 1U);
}

TEST_P(ProxyCancel, AllOfAHundredReachTheirSession) {
  begin();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(busy(kRo));
  std::vector<ProxyClient> cancels;
  for (ProxyClient& client : clients) {
    cancels.push_back(proxy.connect(kRo));
    cancels.back().send(cancel_packet(client.key));
  }
  for (ProxyClient& client : clients) expect_cancelled(client);
  for (ProxyClient& client : cancels) EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_EQ(cancels_seen(), 100U);
}

// Two proxies behind one address: the cancel arrives at the one without the session.
TEST_P(ProxyCancel, ThroughAnotherProxyReachesTheSession) {
  begin();
  ProxyFixture other(0, GetParam());
  other.config.nodes = proxy.config.nodes;
  other.draft = proxy.draft;
  other.start();
  other.server->adopt(std::make_shared<const Topology>(proxy.draft));
  ProxyClient client = busy(kRo);
  ASSERT_TRUE(eventually([&] {
    ProxyClient second = other.connect(kRo);
    second.send(cancel_packet(client.key));
    return second.closed() == WireEnd::Closed::kEof && cancels_seen() > 0;
  }));
  expect_cancelled(client);
}

}  // namespace
}  // namespace pgsteer
