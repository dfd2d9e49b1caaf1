// The HTTP server and its hostile, slow and mistaken clients.
#include <algorithm>
#include <array>

#include "tests/component/stats_fixture.h"
#include "tests/component/wait.h"

namespace pgsteer {
namespace {

TEST_F(StatsServerTest, SilentAndHalfSpokenPeersDoNotKeepOthersOut) {
  start();
  std::vector<std::unique_ptr<RawClient>> peers;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(std::make_unique<RawClient>(server_->ports().front()));
    if (i % 2) peers.back()->send("GET /live HTT");
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(request(url_ + "/live").status, 200);
}

std::string answer_to(std::uint16_t port, const std::string& head) {
  RawClient peer(port);
  peer.send(head + "\r\n\r\n");
  return peer.read_to_end();
}

// A page of rebind.example in somebody's browser would read the answers.
TEST_F(StatsServerTest, RequestsForForeignNamesAreRefused) {
  StatsConfig config;
  config.hosts = {"pgsteer.example"};
  start(config);
  server_->publish(ready_cluster());
  const auto ask = [&](const std::string& path, const std::string& host) {
    return answer_to(server_->ports().front(),
                     "GET " + path + " HTTP/1.1\r\nConnection: close\r\nHost: " + host);
  };
  for (const char* path : {"/", "/metrics", "/api/v1/status", "/api/v1/sessions", "/nothing"}) {
    const std::string reply = ask(path, "rebind.example:7000");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 421 ")) << reply;
    EXPECT_NE(reply.find("stats.hosts"), std::string::npos) << reply;
    EXPECT_EQ(reply.find("pg-1"), std::string::npos) << reply;
  }
  EXPECT_EQ(sessions_asked_, 0);
  for (const char* host : {"pgsteer.example:7000", "localhost", "127.0.0.1:7000", "[::1]"}) {
    EXPECT_TRUE(ask("/metrics", host).starts_with("HTTP/1.1 200 ")) << host;
  }
  std::array<char, 256> machine{};
  ASSERT_EQ(::gethostname(machine.data(), machine.size() - 1), 0);
  EXPECT_TRUE(ask("/metrics", machine.data()).starts_with("HTTP/1.1 200 "));
}

// Balancers probe by any name, or without one.
TEST_F(StatsServerTest, ProbesAreAnsweredByAnyNameButWithoutWords) {
  start();
  const auto ask = [&](const std::string& head) {
    return answer_to(server_->ports().front(), head + "\r\nConnection: close");
  };
  EXPECT_TRUE(ask("GET /live HTTP/1.1\r\nHost: balanced.example").starts_with("HTTP/1.1 200 "));
  const std::string ready = ask("GET /ready HTTP/1.1\r\nHost: balanced.example");
  EXPECT_TRUE(ready.starts_with("HTTP/1.1 503 ")) << ready;
  EXPECT_EQ(ready.find("round"), std::string::npos) << ready;
  EXPECT_NE(ask("GET /ready HTTP/1.1\r\nHost: localhost").find("round"), std::string::npos);
  EXPECT_NE(ask("GET /metrics HTTP/1.0").find(" 200 "), std::string::npos);
}

// Each sends a byte before the server loses patience with it; 320 were enough to silence /live.
TEST_F(StatsServerTest, HundredsWhoTrickleDoNotKeepOthersOut) {
  start();
  server_->publish(ready_cluster());
  std::vector<std::unique_ptr<RawClient>> peers;
  for (int i = 0; i < 600; ++i) {
    peers.push_back(std::make_unique<RawClient>(server_->ports().front()));
    peers.back()->send("G");
  }
  for (int i = 0; i < 20; ++i) {
    for (auto& peer : peers) peer->send("x");
    EXPECT_EQ(request(url_ + "/live").status, 200);
    EXPECT_EQ(request(url_ + "/ready").status, 200);
  }
}

TEST_F(StatsServerTest, HundredsWhoSayNothingDoNotKeepOthersOut) {
  start();
  std::vector<std::unique_ptr<RawClient>> peers;
  for (int i = 0; i < 600; ++i) {
    peers.push_back(std::make_unique<RawClient>(server_->ports().front()));
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(request(url_ + "/live").status, 200);
}

// From many addresses, so that no address has too many.
TEST_F(StatsServerTest, ACrowdOfAddressesDoesNotKeepOthersOut) {
  start({}, {.connections = 8, .connections_per_client = 4});
  std::vector<std::unique_ptr<RawClient>> peers;
  for (int i = 0; i < 64; ++i) {
    peers.push_back(
        std::make_unique<RawClient>(server_->ports().front(), 2U + static_cast<unsigned>(i)));
    peers.back()->send("GET /");
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(request(url_ + "/live").status, 200);
  for (auto& peer : peers) peer->send("live HTTP/1.0\r\n\r\n");
  const auto served = std::ranges::count_if(
      peers, [](auto& peer) { return peer->read_to_end().find("alive") != std::string::npos; });
  EXPECT_GT(served, 0);
  EXPECT_LE(served, 8);
}

TEST_F(StatsServerTest, AWholeRequestHasADeadlineHoweverManyOfItsBytesCome) {
  start({}, {.request = std::chrono::milliseconds(300)});
  RawClient peer(server_->ports().front());
  // Less than the server reads of a head: it is not the size that ends it.
  EXPECT_TRUE(eventually([&] {
    peer.send("G");
    return peer.closed();
  }));
}

TEST_F(StatsServerTest, GarbageAndOversizedHeadersAreEndedAndTheServerGoesOn) {
  start();
  const std::string huge = "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(200'000, 'a');
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), huge,
        std::string("\0\0\0\x08\x04\xd2\x16\x2f\r\n\r\n", 12), std::string("GET\r\n\r\n")}) {
    RawClient peer(server_->ports().front());
    peer.send(bytes);
    const std::string answer = peer.read_to_end();
    EXPECT_EQ(answer.find(" 200 "), std::string::npos) << answer;
    EXPECT_EQ(request(url_ + "/live").status, 200);
  }
}

}  // namespace
}  // namespace pgsteer
