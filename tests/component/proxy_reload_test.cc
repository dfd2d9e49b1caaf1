// A configuration that is read again, under sessions that go on.
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "proxy/net/listen_socket.h"
#include "proxy/wire/first_packet.h"
#include "tests/component/proxy_fixture.h"
#include "tests/component/test_certificates.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

class ProxyReload : public testing::TestWithParam<unsigned> {
 protected:
  ProxyReload() : proxy(2, GetParam()) {}
  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  ListenConfig& add_listener(const std::string& name, Target to) {
    ListenConfig& added = proxy.config.listen.emplace_back();
    added.name = name;
    added.bind = {bind_to("127.0.0.1")};
    added.bind[0].text = name;  // another address than the others': the kernel chooses the port
    added.to = to;
    return added;
  }
  // The checker's part: the new listener, which has the next slot, sees the nodes like `as`.
  void judge_listener_like(std::size_t as) {
    proxy.draft.pools.push_back(proxy.draft.pools[as]);
    proxy.publish();
  }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyReload, testing::Values(1U, 2U));

TEST_P(ProxyReload, SessionsGoOnThroughManyOfThem) {
  begin();
  ProxyClient before = proxy.session();
  for (int i = 0; i < 100; ++i) proxy.reload();
  EXPECT_EQ(before.query("name"), "pg-1");
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
  EXPECT_EQ(proxy.traffic().clients_total, 2U) << "counters go on as well";
}

TEST_P(ProxyReload, ANewListenerServes) {
  begin();
  ProxyClient before = proxy.session();
  add_listener("reports", Target::kReplica);
  proxy.reload();
  judge_listener_like(kRo);
  EXPECT_EQ(proxy.session(2).query("name"), "pg-2");
  EXPECT_EQ(before.query("name"), "pg-1");
}

// Its clients wait until the checker has heard of it.
TEST_P(ProxyReload, ANewListenerThatNobodyHasJudgedHoldsItsClients) {
  begin();
  add_listener("reports", Target::kReplica);
  proxy.reload();
  ProxyClient early = proxy.connect(2);
  early.send_startup();
  ASSERT_TRUE(eventually([&] { return proxy.traffic(2).held_clients == 1; }));
  judge_listener_like(kRo);
  ASSERT_TRUE(early.wait_until_ready());
  EXPECT_EQ(early.query("name"), "pg-2");
}

// Nobody knows yet whether its nodes take TLS.
TEST_P(ProxyReload, ANewListenerThatNobodyHasJudgedIsAskedForTls) {
  begin();
  proxy.draft.pools.shrink_to_fit();
  proxy.publish();
  add_listener("reports", Target::kReplica);
  proxy.reload();
  ProxyClient early = proxy.connect(2);
  ASSERT_TRUE(early.send(wire::packet(kSslRequestCode)));
  ASSERT_TRUE(eventually([&] { return proxy.traffic(2).held_clients == 1; }));
  judge_listener_like(kRo);
  const auto answer = early.receive(1);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->front(), 'N');
}

TEST_P(ProxyReload, AListenerThatIsTakenAwayClosesAndItsSessionsStay) {
  begin();
  ProxyClient reads = proxy.session(kRo);
  const std::uint16_t port = proxy.server->port(kRo);
  proxy.config.listen.pop_back();
  proxy.reload();
  EXPECT_TRUE(eventually([&] { return !ProxyClient::tcp(port).open(); }));
  EXPECT_EQ(reads.query("name"), "pg-2");
  reads.close();
  EXPECT_TRUE(eventually([&] { return proxy.server->used().listeners == 0; }));
}

TEST_P(ProxyReload, ANodeThatIsTakenAwayKeepsItsSessionsAndGetsNoMore) {
  begin();
  ProxyClient reads = proxy.session(kRo);
  proxy.config.nodes.pop_back();
  proxy.rw().hold = proxy.ro().hold = 100ms;
  proxy.reload();
  EXPECT_EQ(reads.query("name"), "pg-2");
  ProxyClient late = proxy.connect(kRo);
  late.send_startup();
  EXPECT_TRUE(late.ended_with("57P03")) << "although the checker has not said so yet";
  EXPECT_EQ(reads.query("name"), "pg-2");
}

TEST_P(ProxyReload, LimitsApplyToWhoComesNext) {
  begin();
  ProxyClient first = proxy.session();
  proxy.rw().max_connections = 1;
  proxy.reload();
  ProxyClient second = proxy.connect();
  second.send_startup();
  EXPECT_TRUE(second.ended_with("53300"));
  proxy.rw().max_connections = 0;
  proxy.rw().max_connections_per_client = 1;
  proxy.reload();
  ProxyClient third = proxy.connect();
  third.send_startup();
  EXPECT_TRUE(third.ended_with("53300")) << "the first one counts, although it came before";
  EXPECT_EQ(first.query("name"), "pg-1");
}

// Only the operator says when certificates are read; the files may be half written at other times.
TEST_P(ProxyReload, WhatLeavesForGoodLeavesTheCertificates) {
  const TestCertificates certificates;
  ListenConfig& secure = add_listener("secure", Target::kPrimary);
  secure.tls = ClientTls::kTerminate;
  secure.tls_certificate = certificates.certificate("server");
  secure.tls_key = certificates.key("server");
  begin();
  judge_listener_like(kRw);
  proxy.config.nodes.pop_back();
  proxy.reload();
  std::ofstream(secure.tls_key) << "half a key";
  EXPECT_THROW(proxy.reload(), std::runtime_error);
  ASSERT_TRUE(proxy.let_leave());
  ProxyClient client = proxy.connect(2);
  ASSERT_EQ(client.request_ssl(), 'S');
  ASSERT_TRUE(client.become_tls_client(certificates.client().get()));
  EXPECT_TRUE(client.log_in());
}

// The old socket is in the way of the new one, which could not be opened after that.
TEST_P(ProxyReload, AnAddressThatThisHostDoesNotHaveChangesNothing) {
  BindAddress everywhere = bind_to("0.0.0.0");
  everywhere.port = bound_port(open_listen_socket(bind_to("127.0.0.1")).get());
  add_listener("reports", Target::kReplica).bind = {everywhere};
  begin();
  BindAddress elsewhere = bind_to("192.0.2.1");
  elsewhere.port = everywhere.port;
  proxy.config.listen.back().bind = {elsewhere};
  EXPECT_THROW(proxy.reload(), std::runtime_error);
  EXPECT_TRUE(ProxyClient::tcp(proxy.server->port(2)).open());
}

TEST_P(ProxyReload, AnAddressInUseChangesNothing) {
  begin();
  const UniqueFd taken = open_listen_socket(bind_to("127.0.0.1"));
  BindAddress bind = bind_to("127.0.0.1");
  bind.port = bound_port(taken.get());
  add_listener("reports", Target::kReplica).bind = {bind};
  EXPECT_THROW(proxy.reload(), std::runtime_error);
  EXPECT_EQ(proxy.server->traffic().listeners.size(), 2U);
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
}

}  // namespace
}  // namespace pgsteer
