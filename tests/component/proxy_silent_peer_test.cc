// A peer that does not read is alive: its session goes on, however long that takes. A peer that is
// gone is found. For that a test needs a network that drops packets: a network namespace of its
// own.
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

// With TCP_USER_TIMEOUT the kernel ended such a connection within two of these.
constexpr auto kUserTimeout = 500ms;
constexpr auto kMuchLonger = 3s;

// The byte count is unchanged fifty times in a row.
template <class Count>
bool stands_still(Count&& count) {
  std::uint64_t before = 0;
  int still = 0;
  return eventually([&] {
    const std::uint64_t now = count();
    still = now == before && now > 0 ? still + 1 : 0;
    before = now;
    return still >= 50;
  });
}

TEST(ProxySilentPeer, AClientThatDoesNotReadForLongSurvives) {
  ProxyFixture proxy;
  proxy.config.server.user_timeout = kUserTimeout;
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.session();
  client.slow_buffers();
  client.send_query("copy out 16");
  ASSERT_TRUE(stands_still([&] { return proxy.traffic().bytes_out; }));
  EXPECT_FALSE(eventually([&] { return proxy.sessions().empty(); }, kMuchLonger));
  const auto begins = client.message();
  ASSERT_TRUE(begins && begins->type == 'H');
  for (int i = 0; i < 16; ++i) ASSERT_EQ(client.receive(copy_block().size()), copy_block());
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_TRUE(proxy.suspicions().empty());
}

TEST(ProxySilentPeer, AServerThatDoesNotReadForLongSurvives) {
  ProxyFixture proxy;
  proxy.config.server.user_timeout = kUserTimeout;
  const auto go = std::make_shared<std::atomic<bool>>(false);
  FakePostgres::Behaviour reads_late;
  reads_late.script = [go](WireEnd& end) {
    end.slow_buffers();
    end.receive(ProxyClient::startup_packet().size());
    end.send(wire::message('R', wire::u32(0)) + wire::ready());
    eventually([&] { return go->load(); }, 10s);
    for (std::size_t taken = 0; taken < 16 * copy_block().size();) {
      const std::string some = end.some(1 << 20);
      if (some.empty()) return;
      taken += some.size();
    }
    end.send(wire::complete("COPY all") + wire::ready());
    end.receive(1);
  };
  proxy.node(0).set(reads_late);
  proxy.start();
  proxy.primary(0);
  ProxyClient client = proxy.session();
  ASSERT_TRUE(client.open());
  std::thread writer([&] {
    for (int i = 0; i < 16 && client.send(copy_block()); ++i) continue;
  });
  EXPECT_TRUE(stands_still([&] { return proxy.traffic().bytes_in; }));
  EXPECT_FALSE(eventually([&] { return proxy.sessions().empty(); }, kMuchLonger));
  *go = true;
  writer.join();
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.tag, "COPY all");
  EXPECT_TRUE(proxy.suspicions().empty());
}

// Runs `scene` on a thread in a network namespace of its own, which its threads inherit and which
// ends with them.
template <class Scene>
void in_own_network(Scene&& scene) {
  std::thread thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) {
      ADD_FAILURE() << "cannot create a network namespace";
      return;
    }
    ifreq loopback{};
    std::string("lo").copy(loopback.ifr_name, sizeof loopback.ifr_name - 1);
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::ioctl(any.get(), SIOCSIFFLAGS, &loopback), 0);
    scene();
  });
  thread.join();
}

// From here on every packet from and to this port is lost.
bool vanish(std::uint16_t number) {
  const std::string port = std::to_string(number);
  const std::string rules =
      "nft 'add table ip gone; add chain ip gone in { type filter hook input priority 0; }; "
      "add rule ip gone in tcp sport " +
      port + " drop; add rule ip gone in tcp dport " + port + " drop'";
  return std::system(rules.c_str()) == 0;
}

bool vanish(const WireEnd& end) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(end.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return vanish(ntohs(address.sin_port));
}

struct GonePeer : testing::Test {
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root may create network namespaces";
  }
  static void configure(ProxyFixture& proxy) {
    proxy.config.server.user_timeout = kUserTimeout;
    proxy.start();
    proxy.primary(0);
  }
};

TEST_F(GonePeer, AClientThatVanishesUnderAnAnswerHasAborted) {
  in_own_network([] {
    ProxyFixture proxy;
    configure(proxy);
    ProxyClient client = proxy.session();
    ASSERT_TRUE(client.send_query("hang"));
    ASSERT_TRUE(eventually([&] { return proxy.sessions().at(0).busy; }));
    ProxyClient direct = ProxyClient::tcp(proxy.node(0).port());
    ASSERT_TRUE(vanish(client));
    direct.send(cancel_packet(client.key));  // so that the server answers
    EXPECT_TRUE(eventually([&] { return proxy.ended("client_aborted") == 1; }));
    EXPECT_TRUE(proxy.suspicions().empty());
    EXPECT_TRUE(eventually([&] { return proxy.node(0).logged_in() == 0; }));
  });
}

TEST_F(GonePeer, AClientThatVanishesWhileItDoesNotReadHasAborted) {
  in_own_network([] {
    ProxyFixture proxy;
    configure(proxy);
    ProxyClient client = proxy.session();
    client.slow_buffers();
    client.send_query("copy out 16");
    ASSERT_TRUE(stands_still([&] { return proxy.traffic().bytes_out; }));
    ASSERT_TRUE(vanish(client));
    EXPECT_TRUE(eventually([&] { return proxy.ended("client_aborted") == 1; }, 10s));
    EXPECT_TRUE(proxy.suspicions().empty());
  });
}

TEST_F(GonePeer, AServerThatVanishesUnderARequestHasAborted) {
  in_own_network([] {
    ProxyFixture proxy;
    configure(proxy);
    ProxyClient client = proxy.session();
    ASSERT_TRUE(vanish(proxy.node(0).port()));
    client.send_query("name");
    EXPECT_TRUE(client.ended_with("08006"));
    EXPECT_TRUE(eventually([&] { return proxy.ended("server_aborted") >= 1; }));
    EXPECT_TRUE(proxy.suspected(SuspicionKind::kServerEnded, 0));
  });
}

}  // namespace
}  // namespace pgsteer
