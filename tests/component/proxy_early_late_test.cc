// Data that arrives before it is read, in several reads, or together with a FIN: edge-triggered
// epoll reports it only once. And the normal end of a session.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

constexpr std::size_t kLong = 300 << 10;  // more than any single read of a session

class ProxyEarlyLate : public testing::Test {
 protected:
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // A node that runs `script` after the login and sends `first` before it.
  void after_login(std::function<void(WireEnd&)> script, std::string first = {}) {
    proxy.node(0).set(
        {.script = [script = std::move(script), first = std::move(first)](WireEnd& client) {
          const auto length = client.receive(4);
          if (!length) return;  // a probe of the port, not a client
          client.receive(load_u32(wire::bytes(*length).data()) - 4);
          client.send(first + wire::message('R', wire::u32(0)) +
                      wire::message('K', wire::u32(7) + "key!") + wire::ready());
          script(client);
        }});
  }
  static std::string terminate() { return wire::message('X'); }

  ProxyFixture proxy;
};

TEST_F(ProxyEarlyLate, ALongQueryAfterTheStartupPacketArrives) {
  begin();
  ProxyClient client = proxy.connect();
  const std::string text(kLong, 'q');
  client.send(ProxyClient::startup_packet() + wire::query(text));
  ASSERT_TRUE(client.wait_until_ready());
  const auto row = client.message();
  ASSERT_TRUE(row);
  EXPECT_EQ(row->body.substr(6), text);
}

TEST_F(ProxyEarlyLate, DataThatAHeldClientSendsArrives) {
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  const std::string text(kLong, 'q');
  client.send(wire::query(text));
  EXPECT_EQ(client.closed(50ms), WireEnd::Closed::kNotYet);
  proxy.primary(0);
  ASSERT_TRUE(client.wait_until_ready());
  const auto row = client.message();
  ASSERT_TRUE(row);
  EXPECT_EQ(row->body.substr(6), text);
}

TEST_F(ProxyEarlyLate, AClientThatClosesWithItsStartupPacketIsNotHeld) {
  proxy.start();
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.sessions().size() == 1; }));
  const std::string packet = ProxyClient::startup_packet();
  ::send(client.fd(), packet.data(), packet.size(), MSG_MORE);  // in one segment with the FIN
  client.close();
  EXPECT_TRUE(eventually([&] { return proxy.ended("client_left") == 1; }));
}

TEST_F(ProxyEarlyLate, ALongFirstAnswerArrivesComplete) {
  const std::string notice = wire::report('N', "NOTICE", "00000", std::string(kLong, 'n'));
  after_login([](WireEnd& client) { client.receive(1); }, notice);
  begin();
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(client.send_startup());
  EXPECT_EQ(client.receive(notice.size()), notice);
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_F(ProxyEarlyLate, AnAnswerTogetherWithTheEndArrives) {
  after_login([](WireEnd&) {});  // closes at once
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_TRUE(client.log_in());
  EXPECT_TRUE(client.ended_with("08006"));  // the server sent no error
}

TEST_F(ProxyEarlyLate, DataSentInsideTlsWhileTheNodeIsSilentArrives) {
  const TestCertificates certificates;
  proxy.rw().tls = ClientTls::kTerminate;
  proxy.rw().tls_certificate = certificates.certificate("server");
  proxy.rw().tls_key = certificates.key("server");
  std::atomic<bool> go = false;
  proxy.node(0).set({.script = [&go](WireEnd& client) {
    const auto length = client.receive(4);
    if (!length) return;
    client.receive(load_u32(wire::bytes(*length).data()) - 4);
    eventually([&go] { return go.load(); });
    client.send(wire::message('R', wire::u32(0)) + wire::ready());
    const auto query = client.message();
    if (query) client.send(wire::complete() + wire::ready());
    client.receive(1);
  }});
  begin();
  const auto context = certificates.client();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  ASSERT_TRUE(client.become_tls_client(context.get()));
  ASSERT_TRUE(client.send_startup());
  ASSERT_TRUE(eventually([&] { return proxy.sessions().at(0).phase == SessionPhase::kLogin; }));
  client.send(wire::query("a separate record"));
  // The worker answers this after all earlier events, so the record has arrived and is unread.
  EXPECT_EQ(proxy.sessions().at(0).phase, SessionPhase::kLogin);
  go = true;
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_TRUE(client.wait_until_ready());
}

// The side that closes first keeps its port in TIME_WAIT for a minute. pgsteer has a limited number
// of local ports, the server uses one port for all.
TEST_F(ProxyEarlyLate, OnTerminateTheServerClosesFirst) {
  std::atomic<int> how = -1;
  after_login([&how](WireEnd& client) {
    EXPECT_EQ(client.message()->type, 'X');
    how = static_cast<int>(client.closed(100ms));
  });
  begin();
  ProxyClient client = proxy.session();
  client.send(terminate());
  client.half_close();
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_EQ(how, static_cast<int>(WireEnd::Closed::kNotYet));
  EXPECT_TRUE(eventually([&] { return proxy.ended("client_closed") == 1; }));
  EXPECT_TRUE(proxy.suspicions().empty());
}

// A busy server notices the end only by the FIN (client_connection_check_interval).
TEST_F(ProxyEarlyLate, TerminateDuringAStatementIsFollowedByTheEnd) {
  std::atomic<int> how = -1;
  after_login([&how](WireEnd& client) {
    EXPECT_EQ(client.message()->type, 'Q');
    EXPECT_EQ(client.message()->type, 'X');
    how = static_cast<int>(client.closed());
  });
  begin();
  ProxyClient client = proxy.session();
  client.send(wire::query() + terminate());
  client.close();
  EXPECT_TRUE(eventually([&] { return how == static_cast<int>(WireEnd::Closed::kEof); }));
  EXPECT_TRUE(eventually([&] { return proxy.ended("client_closed") == 1; }));
}

}  // namespace
}  // namespace pgsteer
