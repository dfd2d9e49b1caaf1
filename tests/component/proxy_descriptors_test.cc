// A crowd of connections takes no descriptor that the checks, the page or the log need, and keeps
// no client out.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "proxy/routing/descriptor_budget.h"
#include "tests/component/descriptor_limit.h"
#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

// Connections from another process, so that they cost the test's own limit nothing but the proxy's
// end. To be made before there are threads.
class Crowd {
 public:
  Crowd() {
    EXPECT_EQ(::pipe(to_child_.data()), 0);
    EXPECT_EQ(::pipe(from_child_.data()), 0);
    child_ = ::fork();
    if (child_ == 0) run();
    ::close(to_child_[0]);
    ::close(from_child_[1]);
  }
  ~Crowd() {
    ::close(to_child_[1]);
    ::close(from_child_[0]);
    ::waitpid(child_, nullptr, 0);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Begins `kSize` connections to the port; each sends the first `bytes` of a startup packet.
  void connect(std::uint16_t port, std::uint16_t bytes) {
    const std::array<std::uint16_t, 2> orders{port, bytes};
    EXPECT_EQ(::write(to_child_[1], orders.data(), sizeof orders),
              static_cast<ssize_t>(sizeof orders));
    char done = 0;
    EXPECT_EQ(::read(from_child_[0], &done, 1), 1);
  }

  static constexpr int kSize = 250;

 private:
  // System calls only: the parent's memory is a copy in any state.
  [[noreturn]] void run() {
    ::close(to_child_[1]);
    std::array<std::uint16_t, 2> orders{};
    if (::read(to_child_[0], orders.data(), sizeof orders) != sizeof orders) ::_exit(0);
    const Address to = with_port(loopback_, orders[0]);
    for (int i = 0; i < kSize; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      if (::connect(fd, to.raw(), to.size) != 0) continue;  // begun all the same
      static_cast<void>(::send(fd, packet_.data(), orders[1], MSG_NOSIGNAL));
    }
    static_cast<void>(::write(from_child_[1], "", 1));
    char end = 0;
    static_cast<void>(::read(to_child_[0], &end, 1));  // until the test is over
    ::_exit(0);
  }

  const std::string packet_ = ProxyClient::startup_packet();
  const Address loopback_ = *numeric_address("127.0.0.1");
  std::array<int, 2> to_child_{};
  std::array<int, 2> from_child_{};
  pid_t child_ = -1;
};

// How much of a startup packet each connection of the crowd sends.
class ProxyDescriptorCrowd : public testing::TestWithParam<std::uint16_t> {};
INSTANTIATE_TEST_SUITE_P(Bytes, ProxyDescriptorCrowd, testing::Values(0, 1, 12));

// 1,500 connections at a limit of 600 stopped the probes, and the healthy primary was fenced.
TEST_P(ProxyDescriptorCrowd, LeavesTheReserveFreeAndLetsOthersIn) {
  Crowd crowd;
  ProxyFixture proxy(1);
  const DescriptorLimit limit(300);
  proxy.start();
  const DescriptorBudget budget = process_budget(proxy.config);
  ASSERT_TRUE(budget.enough());
  ASSERT_LT(budget.clients, Crowd::kSize);
  proxy.primary(0);
  crowd.connect(proxy.server->port(kRw), GetParam());
  // Those that have spoken stay for a second, so that accepting waits; the others give way.
  ASSERT_TRUE(eventually([&] {
    return proxy.server->traffic().accept_waits_total > 0 || proxy.ended("crowded_out") > 0;
  }));
  EXPECT_LE(proxy.traffic().clients, budget.clients);
  // As many as the reserve promises, less what the test itself has open.
  std::vector<UniqueFd> reserve;
  for (int i = 0; i < 32; ++i) {
    reserve.emplace_back(::dup(STDERR_FILENO));
    EXPECT_TRUE(reserve.back()) << i;
  }
  reserve.clear();
  EXPECT_EQ(proxy.session().query("name"), "pg-1");
  EXPECT_EQ(proxy.server->traffic().accept_errors_total, 0U);
}

// Logins that wait for their password hold two descriptors each, for a minute.
TEST(ProxyDescriptors, LoginsThatAreNeverAnsweredKeepNobodyOut) {
  ProxyFixture proxy(1);
  // Few places: each login takes four descriptors of this process.
  const DescriptorLimit limit(descriptor_budget(proxy.config, 0, 1).least_limit() + 8);
  proxy.start();
  proxy.node(0).set({.login = FakePostgres::Login::kPassword});
  proxy.primary(0);
  const std::size_t places = process_budget(proxy.config).clients;
  std::vector<ProxyClient> crowd;
  for (std::size_t i = 0; i < places; ++i) {
    crowd.push_back(proxy.connect());
    crowd.back().send_startup();
    crowd.back().message();
  }
  // From the crowd's own address one may be turned away, and try again.
  EXPECT_TRUE(eventually([&] {
    ProxyClient client = proxy.connect();
    client.send_startup();
    if (!client.message()) return false;
    client.send(wire::message('p', std::string("secret\0", 7)));
    return client.wait_until_ready();
  }));
  EXPECT_GT(proxy.ended("crowded_out"), 0U);
}

TEST(ProxyDescriptors, ALimitThatIsTooLowIsSaidAtTheStart) {
  ProxyFixture proxy(1);
  const DescriptorLimit limit(descriptor_budget(proxy.config, 0, 1).least_limit() - 1);
  EXPECT_THROW(proxy.start(), std::runtime_error);
}

// A mass reconnect: only who says nothing has to go.
TEST(ProxyDescriptors, AClientInTheMiddleOfItsStartupIsNotCrowdedOut) {
  ProxyFixture proxy(1);
  {
    const DescriptorLimit limit(400);  // at most an eighth may be silent connections
    proxy.start();
  }
  proxy.primary(0);
  const std::string packet = ProxyClient::startup_packet();
  std::vector<ProxyClient> speaking;
  for (int i = 0; i < 60; ++i) {
    speaking.push_back(proxy.connect());
    speaking.back().send(packet.substr(0, 10));
  }
  std::vector<ProxyClient> silent;
  for (int i = 0; i < 60; ++i) {
    silent.push_back(proxy.connect());
    if (i % 2 == 0) silent.back().send(packet.substr(0, 1));  // a byte is not a beginning
  }
  ASSERT_TRUE(eventually([&] { return proxy.ended("crowded_out") >= 10; }));
  for (ProxyClient& client : speaking) {
    client.send(packet.substr(10));
    EXPECT_TRUE(client.wait_until_ready());
  }
}

}  // namespace
}  // namespace pgsteer
