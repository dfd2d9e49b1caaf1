// Shutdown of the proxy itself.
#include <gtest/gtest.h>

#include <thread>

#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

class ProxyStop : public testing::TestWithParam<unsigned> {
 protected:
  ProxyStop() : proxy(1, GetParam()) {
    proxy.start();
    proxy.primary(0);
  }
  // Runs stop() on its own thread, because it waits for sessions.
  void begin_to_stop(std::chrono::milliseconds limit) {
    stopping = std::thread([this, limit] {
      proxy.server->stop(limit);
      stopped = true;
    });
  }
  ~ProxyStop() override {
    if (stopping.joinable()) stopping.join();
  }

  ProxyFixture proxy;
  std::thread stopping;
  std::atomic<bool> stopped = false;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyStop, testing::Values(1U, 2U));

TEST_P(ProxyStop, IdleSessionsGet57P01AndNewOnesAreRefused) {
  ProxyClient client = proxy.session();
  begin_to_stop(10s);
  ASSERT_TRUE(client.ended_with("57P01"));
  EXPECT_EQ(client.last_error.detail, "pgsteer is shutting down");
  client.close();
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
  EXPECT_FALSE(proxy.connect().open());
  EXPECT_EQ(proxy.ended("shutdown"), 1U);
  EXPECT_TRUE(proxy.all_gone());
}

TEST_P(ProxyStop, ABusySessionMayFinish) {
  ProxyClient client = proxy.session();
  client.send_query("hang");
  ASSERT_TRUE(eventually([&] {
    const auto views = proxy.sessions();
    return views.size() == 1 && views[0].busy;
  }));
  begin_to_stop(10s);
  ASSERT_TRUE(eventually([&] { return !proxy.connect().open(); }));
  EXPECT_EQ(client.closed(50ms), WireEnd::Closed::kNotYet);
  EXPECT_FALSE(stopped);
  ProxyClient direct = ProxyClient::tcp(proxy.node(0).port());
  direct.send(cancel_packet(client.key));
  ASSERT_TRUE(client.wait_until_ready());  // the end of its statement
  EXPECT_EQ(client.last_error.sqlstate, "57014");
  EXPECT_TRUE(client.ended_with("57P01"));  // then the end of the session
  client.close();
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
}

TEST_P(ProxyStop, AtTheTimeLimitBusySessionsEndToo) {
  ProxyClient client = proxy.session();
  client.send_query("hang");
  ASSERT_TRUE(eventually([&] {
    const auto views = proxy.sessions();
    return views.size() == 1 && views[0].busy;
  }));
  const auto start = steady_clock::now();
  begin_to_stop(100ms);
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_GE(steady_clock::now() - start, 100ms);
  client.close();
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
}

// 57P03 is what makes libpq try its next host; 57P01 would end its attempt.
TEST_P(ProxyStop, HeldClientsAreSentElsewhere) {
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  begin_to_stop(10s);
  ASSERT_TRUE(client.ended_with("57P03"));
  EXPECT_EQ(client.last_error.message, "the database system is shutting down");
  EXPECT_EQ(client.last_error.detail, "pgsteer is shutting down");
  client.close();
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
  EXPECT_EQ(proxy.ended("refused_at_shutdown"), 1U);
}

TEST_P(ProxyStop, AClientWhoseStartupPacketIsUnansweredIsSentElsewhere) {
  proxy.node(0).set({.login = FakePostgres::Login::kSilent});
  ProxyClient client = proxy.connect();
  client.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.node(0).in_login() == 1; }));
  begin_to_stop(10s);
  EXPECT_TRUE(client.ended_with("57P03"));
}

// It cannot be told before it has said what it wants.
TEST_P(ProxyStop, AClientThatHasJustConnectedIsSentElsewhere) {
  ProxyClient client = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  begin_to_stop(10s);
  ASSERT_TRUE(eventually([&] { return !proxy.connect().open(); }));
  ASSERT_EQ(client.request_ssl(), 'N');
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
  EXPECT_TRUE(proxy.node(0).startups().empty());
}

TEST_P(ProxyStop, AClientThatWaitsForTheAnswerToItsSslRequestIsSentElsewhere) {
  proxy.no_primary();
  ProxyClient client = proxy.connect();
  client.send(wire::packet(kSslRequestCode));
  ASSERT_TRUE(eventually([&] { return proxy.traffic().held_clients == 1; }));
  begin_to_stop(10s);
  ASSERT_EQ(client.receive(1), "N");
  client.send_startup();
  EXPECT_TRUE(client.ended_with("57P03"));
}

TEST_P(ProxyStop, AClientThatSaysNothingDoesNotDelayItForLong) {
  const ProxyClient client = proxy.connect();
  ASSERT_TRUE(eventually([&] { return proxy.traffic().clients == 1; }));
  begin_to_stop(60s);
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
}

// Bytes that a client sends together with its startup packet are a running statement as well.
TEST_P(ProxyStop, ARequestSentWithTheStartupPacketMayFinish) {
  ProxyClient client = proxy.connect();
  client.send(ProxyClient::startup_packet() + wire::query("hang"));
  ASSERT_TRUE(client.wait_until_ready());
  ASSERT_TRUE(eventually([&] { return proxy.node(0).logged_in() == 1; }));
  EXPECT_TRUE(proxy.sessions().at(0).busy);
  begin_to_stop(10s);
  ASSERT_TRUE(eventually([&] { return !proxy.connect().open(); }));
  EXPECT_EQ(client.closed(50ms), WireEnd::Closed::kNotYet);
  ProxyClient direct = ProxyClient::tcp(proxy.node(0).port());
  direct.send(cancel_packet(client.key));
  ASSERT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.last_error.sqlstate, "57014");
  EXPECT_TRUE(client.ended_with("57P01"));
  client.close();
}

// The client does not read the error; its session is closed all the same.
TEST_P(ProxyStop, AClientThatDoesNotCloseDoesNotDelayIt) {
  const ProxyClient client = proxy.session();
  begin_to_stop(10s);
  EXPECT_TRUE(eventually([&] { return stopped.load(); }, 3s));
}

TEST_P(ProxyStop, ManySessionsOfAllKindsAreGoneAfterwards) {
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(proxy.session());
    if (i % 3 == 0) clients.back().send_query("hang");
    clients.push_back(proxy.connect());
  }
  clients.clear();
  begin_to_stop(200ms);
  EXPECT_TRUE(eventually([&] { return stopped.load(); }));
  EXPECT_TRUE(proxy.all_gone());
  EXPECT_TRUE(eventually([&] { return proxy.node(0).logged_in() <= 10; }));
}

// TLS is passed through: idleness is unseen. The server answers each request with what is
// configured.
class ProxyStopUnreadable : public testing::Test {
 protected:
  ProxyStopUnreadable() {
    FakePostgres::Behaviour tls;
    tls.ssl = 'S';
    tls.script = [](WireEnd& end) {
      end.receive(8);
      end.send("S");
      while (const auto request = end.receive(7)) {
        if (*request == "request") end.send("answer");
      }
    };
    proxy.node(0).set(tls);
    proxy.draft.nodes[0].tls = TlsAnswer::kYes;
    proxy.config.server.shutdown_silence_unreadable = 200ms;
    proxy.start();
    proxy.primary(0);
    client = proxy.connect();
  }
  ~ProxyStopUnreadable() override {
    if (stopping.joinable()) stopping.join();
  }
  void answered() {
    ASSERT_EQ(client.request_ssl(), 'S');
    ASSERT_TRUE(client.send("request"));
    ASSERT_EQ(client.receive(6), "answer");
  }

  ProxyFixture proxy;
  ProxyClient client;
  std::thread stopping;
};

// It took the whole timeout.
TEST_F(ProxyStopUnreadable, ASessionThatIsSilentAfterAnAnswerEndsSoon) {
  answered();
  stopping = std::thread([this] { proxy.server->stop(30s, 30s); });
  EXPECT_TRUE(client.ended_silently());
  EXPECT_TRUE(eventually([&] { return proxy.ended("shutdown") == 1; }));
}

TEST_F(ProxyStopUnreadable, ASessionThatWaitsForAnAnswerHasATimeLimitOfItsOwn) {
  answered();
  ASSERT_TRUE(client.send("working"));
  const auto start = steady_clock::now();
  stopping = std::thread([this] { proxy.server->stop(30s, 1s); });
  EXPECT_TRUE(client.ended_silently());
  EXPECT_GE(steady_clock::now() - start, 1s);
}

}  // namespace
}  // namespace pgsteer
