// Clients behind a balancer that sends their address in a PROXY header, v1 or v2.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyHeaderAcceptor : public testing::TestWithParam<unsigned> {
 protected:
  ProxyHeaderAcceptor() : proxy(1, GetParam()) {
    proxy.rw().proxy_protocol_from = {network("127.0.0.50")};
  }
  ProxyClient from_balancer(std::string_view header) {
    ProxyClient client = proxy.connect(kRw, "127.0.0.50");
    client.send(header);
    return client;
  }

  ProxyFixture proxy;
  const std::string v1 = "PROXY TCP4 203.0.113.7 198.51.100.1 40001 5432\r\n";
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyHeaderAcceptor, testing::Values(1U, 2U));

std::string v2_header() {
  using namespace std::string_literals;
  return "\r\n\r\n\0\r\nQUIT\n"s + "\x21\x11"s + wire::u16(12) + "\xcb\x00\x71\x08"s +
         "\xc6\x33\x64\x01"s + wire::u16(40002) + wire::u16(5432);
}

TEST_P(ProxyHeaderAcceptor, SetsTheClientsAddress) {
  proxy.start();
  proxy.primary(0);
  for (const auto& [header, address] :
       {std::pair{v1, "203.0.113.7:40001"}, {v2_header(), "203.0.113.8:40002"}}) {
    ProxyClient client = from_balancer(header);
    ASSERT_TRUE(client.log_in()) << address;
    const auto views = proxy.sessions();
    ASSERT_EQ(views.size(), 1U);
    EXPECT_EQ(views[0].client, address);
    client.close();
    ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  }
}

TEST_P(ProxyHeaderAcceptor, MayArriveByteByByteOrWithTheStartupPacket) {
  proxy.start();
  proxy.primary(0);
  for (const std::string& header : {v1, v2_header()}) {
    ProxyClient slow = from_balancer("");
    for (const char c : header + ProxyClient::startup_packet()) slow.send(std::string(1, c));
    EXPECT_TRUE(slow.wait_until_ready());
    ProxyClient fast = from_balancer(header + ProxyClient::startup_packet());
    EXPECT_TRUE(fast.wait_until_ready());
  }
}

TEST_P(ProxyHeaderAcceptor, FromAnotherNetworkIsRejectedAsABadPacket) {
  proxy.start();
  proxy.primary(0);
  for (const std::string& header : {v1, v2_header()}) {
    ProxyClient client = proxy.connect();
    client.send(header + ProxyClient::startup_packet());
    EXPECT_TRUE(client.ended_silently());
  }
  EXPECT_TRUE(eventually([&] { return proxy.ended("bad_packet") == 2; }));
}

TEST_P(ProxyHeaderAcceptor, IsRequiredFromAListedNetwork) {
  proxy.start();
  proxy.primary(0);
  ProxyClient client = from_balancer(ProxyClient::startup_packet());
  EXPECT_TRUE(client.ended_silently());
  EXPECT_TRUE(eventually([&] { return proxy.ended("proxy_header") == 1; }));
}

TEST_P(ProxyHeaderAcceptor, LimitsApplyToTheClientNotToTheBalancer) {
  proxy.rw().max_connections_per_client = 1;
  proxy.rw().deny = {network("203.0.113.9")};
  proxy.start();
  proxy.primary(0);
  ProxyClient first = from_balancer(v1);
  ASSERT_TRUE(first.log_in());
  ProxyClient same = from_balancer(v1);
  same.send_startup();
  EXPECT_TRUE(same.ended_with("53300"));
  ProxyClient other = from_balancer(v2_header());
  EXPECT_TRUE(other.log_in());
  ProxyClient denied = from_balancer("PROXY TCP4 203.0.113.9 198.51.100.1 1 5432\r\n");
  EXPECT_TRUE(denied.ended_silently());
  EXPECT_EQ(proxy.ended("denied"), 1U);
  first.close();
  EXPECT_TRUE(eventually([&] {
    ProxyClient again = from_balancer(v1);
    return again.log_in();
  }));
}

TEST_P(ProxyHeaderAcceptor, AnIncompleteHeaderAndAFinIsClosedAtOnce) {
  proxy.start();
  proxy.primary(0);
  for (const std::string& header : {v1, v2_header()}) {
    ProxyClient client = from_balancer(header.substr(0, 14));
    client.half_close();
    const auto start = steady_clock::now();
    EXPECT_TRUE(client.ended_silently());
    EXPECT_LT(steady_clock::now() - start, 2s);
  }
}

// The acceptor's answer may arrive after the client has gone. Its connection slot must then be
// freed.
TEST_P(ProxyHeaderAcceptor, AClientThatResetsAfterItsHeaderFreesItsSlot) {
  proxy.rw().max_connections = 4;
  proxy.start();
  proxy.primary(0);
  for (int i = 0; i < 100; ++i) {
    ProxyClient client = from_balancer("");
    ASSERT_TRUE(
        eventually([&] { return proxy.traffic().clients_total >= static_cast<unsigned>(i) + 1; }));
    client.send(v1);
    client.reset();
  }
  ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  std::vector<ProxyClient> kept;
  EXPECT_TRUE(eventually([&] {
    ProxyClient client = from_balancer(v1);
    if (client.log_in()) kept.push_back(std::move(client));
    return kept.size() == 4;
  }));
}

}  // namespace
}  // namespace pgsteer
