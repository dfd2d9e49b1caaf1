// A login slot is held while the server works, not while a client keeps it waiting.
#include <gtest/gtest.h>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/component/test_certificates.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

constexpr unsigned kLogins = 4;

class ProxyLoginSlots : public testing::Test {
 protected:
  ProxyLoginSlots() {
    proxy.rw().logins_in_flight = kLogins;
    proxy.rw().hold = 1s;  // a client without a slot is refused within the test's patience
  }
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // Clients that have been asked for a password and say nothing.
  std::vector<ProxyClient> silent(unsigned count, const char* from = "127.0.0.1") {
    std::vector<ProxyClient> clients;
    for (unsigned i = 0; i < count; ++i) {
      clients.push_back(proxy.connect(kRw, from));
      clients.back().send_startup();
      const auto asked = clients.back().message();
      EXPECT_TRUE(asked && asked->type == 'R') << i;
    }
    return clients;
  }
  // Bytes of clients that have been passed on after their startup packets.
  std::uint64_t relayed() {
    std::uint64_t in = 0;
    for (const NodeTrafficView& node : proxy.traffic().nodes) in += node.bytes_in;
    return in;
  }
  static bool answer(ProxyClient& client) {
    client.send(wire::message('p', std::string("secret\0", 7)));
    return client.wait_until_ready();
  }

  ProxyFixture proxy;
};

TEST_F(ProxyLoginSlots, ClientsThatNeverAnswerThePasswordRequestStopNobody) {
  proxy.node(0).set({.login = FakePostgres::Login::kPassword});
  begin();
  std::vector<ProxyClient> crowd = silent(kLogins);
  std::vector<ProxyClient> another = silent(1, "127.0.0.2");
  EXPECT_TRUE(answer(another[0]));
  for (ProxyClient& client : crowd) EXPECT_TRUE(answer(client));  // late, but not lost
}

// Each of them holds one of the server's connections.
TEST_F(ProxyLoginSlots, ClientsThatNeverAnswerGiveWayToTheNextOfTheirAddress) {
  proxy.node(0).set({.login = FakePostgres::Login::kPassword});
  proxy.rw().hold = 10s;
  begin();
  std::vector<ProxyClient> crowd = silent(4 * kLogins);
  std::vector<ProxyClient> another = silent(1);
  EXPECT_TRUE(answer(another[0]));
  EXPECT_EQ(proxy.ended("crowded_out"), 1U);
  unsigned told = 0;
  for (ProxyClient& client : crowd) told += answer(client) ? 0U : 1U;
  EXPECT_EQ(told, 1U);
}

TEST_F(ProxyLoginSlots, AnAnswerTakesItsSlotAgainUntilTheServerIsDone) {
  FakePostgres::Behaviour slow;
  slow.script = [](WireEnd& end) {
    end.receive(ProxyClient::startup_packet().size());
    if (!end.send(wire::message('R', wire::u32(3)))) return;
    end.message();   // the password, which it goes on checking
    end.receive(1);  // until the client leaves
  };
  proxy.node(0).set(slow);
  begin();
  std::vector<ProxyClient> clients = silent(kLogins);
  const std::string password = wire::message('p', std::string("x\0", 2));
  for (ProxyClient& client : clients) client.send(password);
  ASSERT_TRUE(eventually([&] { return relayed() == clients.size() * password.size(); }));
  ProxyClient late = proxy.connect();
  late.send_startup();
  ASSERT_TRUE(late.ended_with("57P03"));
  EXPECT_EQ(late.last_error.detail,
            "pgsteer: too many logins in flight (logins_in_flight of \"rw\")");
}

// One byte of an answer gives the server nothing to work on.
TEST_F(ProxyLoginSlots, HalfAnAnswerTakesNoSlot) {
  proxy.node(0).set({.login = FakePostgres::Login::kPassword});
  begin();
  std::vector<ProxyClient> crowd = silent(kLogins);
  for (ProxyClient& client : crowd) client.send("p");
  ASSERT_TRUE(eventually([&] { return relayed() == crowd.size(); }));
  std::vector<ProxyClient> another = silent(1, "127.0.0.2");
  EXPECT_TRUE(answer(another[0]));
}

// A server forks for each connection: 600 of these a second kept its processors busy.
TEST_F(ProxyLoginSlots, ClientsThatOnlySendAnSslRequestReachNoNode) {
  FakePostgres::Behaviour takes_tls;
  takes_tls.script = [](WireEnd& end) {
    if (end.receive(kSslRequestPacket.size()) && end.send("S")) end.receive(1);
  };
  proxy.node(0).set(takes_tls);
  proxy.draft.nodes[0].tls = TlsAnswer::kYes;
  proxy.rw().logins_in_flight = 1;
  begin();
  std::vector<ProxyClient> crowd;
  for (int i = 0; i < 20; ++i) {
    crowd.push_back(proxy.connect());
    ASSERT_EQ(crowd.back().request_ssl(), 'S') << i;
  }
  // Half a hello would hold a login while the server waits for the rest.
  const std::string hello = client_hello();
  for (ProxyClient& client : crowd) client.send(hello.substr(0, hello.size() - 1));
  crowd.push_back(proxy.connect());
  crowd.back().send(hello.substr(0, hello.size() - 1));  // without asking first
  EXPECT_EQ(crowd.back().closed(100ms), WireEnd::Closed::kNotYet);
  EXPECT_EQ(proxy.node(0).connections(), 0U);
  crowd.front().send(hello.substr(hello.size() - 1));
  EXPECT_TRUE(eventually([&] { return proxy.node(0).connections() == 1; }));
}

}  // namespace
}  // namespace pgsteer
