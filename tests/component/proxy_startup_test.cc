// The startup phase: valid, slow, invalid and hostile first packets; admission and limits.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "proxy/wire/first_packet.h"
#include "tests/component/descriptor_limit.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyStartup : public testing::Test {
 protected:
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  // Nothing is left of earlier connections, and others are served.
  // Tries again: a busy machine may need longer for a login than the short timeouts here.
  void expect_unharmed() {
    EXPECT_TRUE(eventually([&] { return proxy.all_gone(); }));
    EXPECT_TRUE(eventually([&] { return proxy.session().query("name") == "pg-1"; }));
  }

  ProxyFixture proxy{1};
};

TEST_F(ProxyStartup, PacketsThatAreNotPostgreSqlAreClosedAtOnce) {
  begin();
  const std::string length = wire::u32(100'000) + wire::u32(protocol_version(3, 0));
  const std::vector<std::string> packets{"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                         std::string(200, '\xff'), std::string(8, '\0'), length};
  for (const std::string& packet : packets) {
    ProxyClient client = proxy.connect();
    client.send(packet);
    const auto start = steady_clock::now();
    EXPECT_TRUE(client.ended_silently()) << packet;
    EXPECT_LT(steady_clock::now() - start, 2s);
  }
  EXPECT_TRUE(eventually([&] { return proxy.ended("bad_packet") == packets.size(); }));
  EXPECT_EQ(proxy.node(0).connections(), 0U);
  expect_unharmed();
}

// As PostgreSQL does, which closes without a word only where the length is wrong already.
TEST_F(ProxyStartup, AMalformedStartupPacketGets08P01) {
  begin();
  for (const auto& [packet, why] :
       {std::pair(wire::packet(protocol_version(1234, 9999)), "protocol_version"),
        std::pair(wire::packet(protocol_version(3, 0), "user"), "unterminated")}) {
    ProxyClient client = proxy.connect();
    client.send(packet);
    ASSERT_TRUE(client.ended_with("08P01")) << why;
    EXPECT_EQ(client.last_error.message, "invalid startup packet");
    EXPECT_EQ(client.last_error.detail, why);
  }
  EXPECT_EQ(proxy.ended("bad_packet"), 2U);
  EXPECT_EQ(proxy.node(0).connections(), 0U);
  expect_unharmed();
}

TEST_F(ProxyStartup, ASilentConnectionIsClosedAfterTheFirstPacketTimeout) {
  proxy.rw().first_packet_timeout = 50ms;
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.closed(), WireEnd::Closed::kEof);
  EXPECT_TRUE(eventually([&] { return proxy.ended("first_packet_timeout") == 1; }));
  expect_unharmed();
}

// The timeout starts at accept; single bytes do not extend it.
TEST_F(ProxyStartup, ASlowFirstPacketIsClosedAfterTheFirstPacketTimeout) {
  proxy.rw().first_packet_timeout = 60ms;
  begin();
  ProxyClient client = proxy.connect();
  const auto start = steady_clock::now();
  for (const char c : std::string(20, 'x')) {
    if (!client.send(wire::u32(1000).substr(0, 1)) || c == 0) break;
    if (client.closed(20ms) != WireEnd::Closed::kNotYet) break;
  }
  EXPECT_EQ(client.closed() == WireEnd::Closed::kNotYet, false);
  EXPECT_LT(steady_clock::now() - start, 2s);
  expect_unharmed();
}

TEST_F(ProxyStartup, AStartupPacketMayArriveByteByByte) {
  begin();
  ProxyClient client = proxy.connect();
  for (const char c : ProxyClient::startup_packet()) ASSERT_TRUE(client.send(std::string(1, c)));
  EXPECT_TRUE(client.wait_until_ready());
}

TEST_F(ProxyStartup, TheLargestStartupPacketPasses) {
  begin();
  const std::string fields = std::string("user\0u\0x\0", 9);
  const std::string rest =
      fields + std::string(kMaxStartupPacket - 8 - fields.size() - 2, 'y') + std::string(2, '\0');
  ProxyClient client = proxy.connect();
  client.send(wire::packet(protocol_version(3, 0), rest));
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(proxy.node(0).startups().front().size(), kMaxStartupPacket);
}

// A client need not wait for the answer to its startup packet.
TEST_F(ProxyStartup, AQueryAfterTheStartupPacketIsAnswered) {
  begin();
  ProxyClient client = proxy.connect();
  client.send(ProxyClient::startup_packet() + wire::query("at once"));
  ASSERT_TRUE(client.wait_until_ready());
  const auto row = client.message();
  ASSERT_TRUE(row);
  EXPECT_EQ(row->body.substr(6), "at once");
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-1");
}

// Bytes sent before the handshake must not be treated as if they had come through TLS.
TEST_F(ProxyStartup, Cve2021_3935BytesAfterAnSslRequestAreRefused) {
  const TestCertificates certificates;
  for (const auto tls : {ClientTls::kPass, ClientTls::kTerminate}) {
    ProxyFixture own(1);
    own.rw().tls = tls;
    own.rw().tls_certificate = certificates.certificate("server");
    own.rw().tls_key = certificates.key("server");
    own.draft.nodes[0].tls = TlsAnswer::kYes;
    own.start();
    own.primary(0);
    for (const std::uint32_t code : {kSslRequestCode, kGssRequestCode}) {
      ProxyClient client = own.connect();
      client.send(wire::packet(code) + ProxyClient::startup_packet());
      EXPECT_TRUE(client.ended_silently()) << code;
    }
    EXPECT_TRUE(eventually([&] { return own.ended("bad_packet") == 2; }));
    EXPECT_TRUE(own.node(0).startups().empty());
  }
}

TEST_F(ProxyStartup, AResetAtEveryStepHarmsNoOtherSession) {
  begin();
  const std::string packet = ProxyClient::startup_packet();
  for (std::size_t cut = 0; cut <= packet.size(); ++cut) {
    ProxyClient client = proxy.connect();
    if (cut > 0) client.send(packet.substr(0, cut));
    client.reset();
  }
  for (const auto login : {FakePostgres::Login::kSilent, FakePostgres::Login::kHeldBack}) {
    proxy.node(0).set({.login = login});
    ProxyClient client = proxy.connect();
    client.send_startup();
    ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() > 0; }));
    client.reset();
    ASSERT_TRUE(eventually([&] { return proxy.all_gone(); }));
  }
  proxy.node(0).set({});
  for (const char* sql : {"hang", "half", "begin"}) {
    ProxyClient client = proxy.session();
    client.send_query(sql);
    client.reset();
  }
  expect_unharmed();
}

TEST_F(ProxyStartup, AHalfCloseAtEveryStepHarmsNoOtherSession) {
  begin();
  const std::string packet = ProxyClient::startup_packet();
  for (std::size_t cut = 0; cut < packet.size(); ++cut) {
    ProxyClient client = proxy.connect();
    if (cut > 0) client.send(packet.substr(0, cut));
    client.half_close();
    EXPECT_TRUE(client.ended_silently()) << cut;
  }
  expect_unharmed();
}

TEST_F(ProxyStartup, GssencRequestThenSslRequestThenStartup) {
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_gss(), 'N');
  EXPECT_EQ(client.request_ssl(), 'N');
  EXPECT_TRUE(client.log_in());
  ProxyClient other = proxy.connect();
  EXPECT_EQ(other.request_ssl(), 'N');
  EXPECT_EQ(other.request_gss(), 'N');
  EXPECT_TRUE(other.log_in());
}

// PostgreSQL takes each request once. Passed on, a second one would make the node look broken.
TEST_F(ProxyStartup, ARepeatedEncryptionRequestIsRefused) {
  begin();
  ProxyClient client = proxy.connect();
  EXPECT_EQ(client.request_ssl(), 'N');
  client.send(wire::packet(kSslRequestCode));
  EXPECT_TRUE(client.ended_with("08P01"));
  EXPECT_EQ(proxy.node(0).ssl_requests(), 1U);
  EXPECT_TRUE(proxy.suspicions().empty());
}

TEST_F(ProxyStartup, ALoginThatTimesOutIsEnded) {
  proxy.rw().login_timeout = 300ms;  // enough for the first answer on a busy machine
  proxy.node(0).set({.login = FakePostgres::Login::kHeldBack});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_EQ(client.message()->type, 'R');
  EXPECT_TRUE(client.ended_with("57014"));
  EXPECT_EQ(proxy.ended("login_timeout"), 1U);
}

TEST_F(ProxyStartup, APasswordRequestAndItsAnswerArePassedOn) {
  proxy.node(0).set({.login = FakePostgres::Login::kPassword});
  begin();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_EQ(client.message()->type, 'R');
  client.send(wire::message('p', std::string("secret\0", 7)));
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_F(ProxyStartup, TheSessionTableShowsTheClient) {
  begin();
  ProxyClient client = proxy.connect();
  client.send(
      wire::startup(protocol_version(3, 0),
                    {{"user", "ali\nce"}, {"database", "shop"}, {"application_name", "till"}}));
  ASSERT_TRUE(client.wait_until_ready());
  const auto views = proxy.sessions();
  ASSERT_EQ(views.size(), 1U);
  EXPECT_EQ(views[0].listener, "rw");
  EXPECT_EQ(views[0].node, "pg-1");
  EXPECT_EQ(views[0].user, "ali?ce");
  EXPECT_EQ(views[0].database, "shop");
  EXPECT_EQ(views[0].application, "till");
  EXPECT_EQ(views[0].phase, SessionPhase::kRelay);
  EXPECT_EQ(views[0].tls, TlsUse::kOff);
  EXPECT_FALSE(views[0].busy);
  EXPECT_TRUE(views[0].client.starts_with("127.0.0.1:"));
  EXPECT_TRUE(views[0].local.starts_with("127.0.0.1:"));
}

TEST_F(ProxyStartup, TheApplicationNameContainsTheClientsAddress) {
  proxy.rw().client_in_application_name = true;
  begin();
  ProxyClient client = proxy.connect();
  client.send(ProxyClient::startup_packet("till") + wire::query("after it"));
  ASSERT_TRUE(client.wait_until_ready());
  const std::string packet = proxy.node(0).startups().front();
  const auto fields = startup_fields(wire::bytes(packet));
  ASSERT_TRUE(fields.valid);
  EXPECT_TRUE(fields.application.starts_with("till [127.0.0.1:")) << fields.application;
  EXPECT_TRUE(fields.application.ends_with("]"));
  EXPECT_EQ(fields.user, "alice");
  EXPECT_TRUE(client.wait_until_ready());  // the query after the packet
}

TEST_F(ProxyStartup, AUnixSocketIsServed) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("pgsteer-startup-" + std::to_string(::getpid()) + ".sock");
  proxy.rw().bind.push_back(bind_to(path));
  proxy.rw().max_connections_per_client = 1;  // applies to TCP only
  begin();
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(path); }));
  ProxyClient one = ProxyClient::unix_socket(path);
  ProxyClient two = ProxyClient::unix_socket(path);
  ASSERT_TRUE(one.log_in());
  ASSERT_TRUE(two.log_in());
  EXPECT_EQ(one.query("name"), "pg-1");
  EXPECT_EQ(proxy.sessions().front().client, "local");
  one.close();
  two.close();
  proxy.server->stop(0ms);
  EXPECT_FALSE(std::filesystem::exists(path));
}

// -------------------------------------------------------------------------------------------------
// Limits

TEST_F(ProxyStartup, BeyondMaxConnectionsTheClientGets53300) {
  proxy.rw().max_connections = 2;
  begin();
  ProxyClient one = proxy.session();
  ProxyClient two = proxy.session();
  ProxyClient three = proxy.connect();
  EXPECT_EQ(three.request_ssl(), 'N');  // so that it can receive the error unencrypted
  three.send_startup();
  EXPECT_TRUE(three.ended_with("53300"));
  EXPECT_EQ(three.last_error.message, "sorry, too many clients already");
  EXPECT_EQ(proxy.ended("too_many_connections"), 1U);
  one.close();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  // The connection slot is freed shortly after the session has ended.
  EXPECT_TRUE(eventually([&] { return proxy.session().open(); }));
  EXPECT_EQ(two.query("name"), "pg-1");
}

TEST_F(ProxyStartup, ASilentConnectionUsesASlotOnlyWhileItIsOpen) {
  proxy.rw().max_connections = 1;
  begin();
  ProxyClient silent = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  ProxyClient refused = proxy.connect();
  refused.send_startup();
  EXPECT_TRUE(refused.ended_with("53300"));
  silent.reset();
  EXPECT_TRUE(eventually([&] { return proxy.session().open(); }));
}

TEST_F(ProxyStartup, EachClientAddressHasItsOwnLimit) {
  proxy.rw().max_connections_per_client = 1;
  begin();
  const ProxyClient one = proxy.session();
  ProxyClient two = proxy.connect();
  two.send_startup();
  EXPECT_TRUE(two.ended_with("53300"));
  EXPECT_EQ(proxy.ended("too_many_per_client"), 1U);
  ProxyClient other = proxy.connect(kRw, "127.0.0.77");
  EXPECT_TRUE(other.log_in());
}

TEST_F(ProxyStartup, AClientOfAFullNodeGets53300) {
  proxy.config.nodes[0].max_connections = 1;
  begin();
  const ProxyClient one = proxy.session();
  ProxyClient two = proxy.connect();
  two.send_startup();
  EXPECT_TRUE(two.ended_with("53300"));
  EXPECT_EQ(proxy.ended("node_full"), 1U);
}

TEST(ProxyNodeLimit, WhenAReplicaIsFullTheOtherGetsTheRest) {
  ProxyFixture proxy(3);
  proxy.config.nodes[1].max_connections = 1;
  proxy.start();
  proxy.primary(0);
  std::vector<ProxyClient> kept;
  for (int i = 0; i < 5; ++i) kept.push_back(proxy.session(kRo));
  EXPECT_EQ(proxy.node(1).logged_in(), 1U);
  EXPECT_EQ(proxy.node(2).logged_in(), 4U);
}

TEST_F(ProxyStartup, DeniedNetworksAreClosedWithoutAnError) {
  proxy.rw().deny = {network("127.0.0.66")};
  proxy.ro().allow = {network("127.0.1.0/24")};
  begin();
  ProxyClient denied = proxy.connect(kRw, "127.0.0.66");
  denied.send_startup();
  EXPECT_TRUE(denied.ended_silently());
  EXPECT_EQ(proxy.ended("denied"), 1U);
  EXPECT_TRUE(proxy.session().open());
  ProxyClient outside = proxy.connect(kRo);
  EXPECT_TRUE(outside.ended_silently());
  proxy.verdict(kRo, 0, Admission::kAdmit).publish();
  ProxyClient inside = proxy.connect(kRo, "127.0.1.5");
  EXPECT_TRUE(inside.log_in());
}

TEST_F(ProxyStartup, TooManyNewConnectionsPerSecondAreClosed) {
  proxy.rw().new_connections_per_client = 3;
  begin();
  std::vector<ProxyClient> clients;
  const auto start = steady_clock::now();
  for (int i = 0; i < 6; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send_startup();
  }
  int served = 0;
  for (ProxyClient& client : clients) served += client.wait_until_ready() ? 1 : 0;
  if (steady_clock::now() - start < 900ms) {
    EXPECT_EQ(served, 3);
    EXPECT_EQ(proxy.ended("too_fast"), 3U);
  }
  EXPECT_TRUE(proxy.connect(kRw, "127.0.0.77").log_in());
}

// -------------------------------------------------------------------------------------------------
// Many connections

TEST_F(ProxyStartup, SilentConnectionsAreLimitedAndOthersServed) {
  constexpr unsigned kSilent = 2000;
  std::vector<ProxyClient> silent;
  silent.reserve(kSilent);
  {
    const DescriptorLimit limit(8000);  // at most an eighth may be silent connections
    proxy.start();
  }
  proxy.primary(0);
  for (unsigned i = 0; i < kSilent; ++i) silent.push_back(proxy.connect());
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients_total == kSilent; }));
  EXPECT_TRUE(eventually([&] { return proxy.traffic().clients <= 1000; }));
  EXPECT_GE(proxy.ended("crowded_out"), kSilent - 1000);
  EXPECT_EQ(silent.front().closed(), WireEnd::Closed::kEof);       // the oldest was closed
  EXPECT_EQ(silent.back().closed(0ms), WireEnd::Closed::kNotYet);  // the newest is open
  const auto start = steady_clock::now();
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
  EXPECT_LT(steady_clock::now() - start, 5s);  // half of the time that the others may stay
}

TEST_F(ProxyStartup, WithoutDescriptorsAcceptingPausesAndRecovers) {
  begin();
  ASSERT_TRUE(proxy.session().open());
  ASSERT_TRUE(eventually([&] { return proxy.all_gone() && proxy.node(0).open() == 0; }));
  spdlog::debug("a first log line: UBSan needs descriptors to check the logger's type");
  std::vector<ProxyClient> waiting;
  {
    // Sockets for three clients, and one more for the acceptor.
    const DescriptorLimit limit(descriptors_in_use() + 4);
    for (int i = 0; i < 3; ++i) waiting.push_back(proxy.connect());
    ASSERT_TRUE(waiting.back().open());
    ASSERT_TRUE(eventually([&] { return proxy.server->traffic().accept_errors_total > 0; }));
    // The acceptor must pause: the kernel reports the same pending connection again and again.
    const std::uint64_t errors = proxy.server->traffic().accept_errors_total;
    const auto begun = steady_clock::now();
    EXPECT_EQ(waiting.back().closed(150ms), WireEnd::Closed::kNotYet);
    const std::uint64_t more = proxy.server->traffic().accept_errors_total - errors;
    const auto pauses = static_cast<std::uint64_t>((steady_clock::now() - begun) / 100ms);
    EXPECT_LE(more, pauses + 2);
  }
  for (ProxyClient& client : waiting) EXPECT_TRUE(client.log_in());
}

}  // namespace
}  // namespace pgsteer
