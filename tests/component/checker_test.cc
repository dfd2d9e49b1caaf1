// The checker thread against fake REST APIs.
#include "health/checker.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>

#include "health/judge.h"
#include "tests/component/fake_patroni.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// PostgreSQL's port as the checker uses it: answers SSLRequest with one byte, and closes when the
// other side does. While frozen, the kernel accepts connections and nothing else happens.
class FakePort {
 public:
  explicit FakePort(char tls) : tls_(tls) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd_, 64);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~FakePort() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }
  unsigned ssl_requests() const { return ssl_requests_; }
  unsigned connections() const { return connections_; }
  void freeze() { frozen_ = true; }

 private:
  void run() {
    std::vector<int> kept;
    for (;;) {
      const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopping_) {
        if (fd >= 0) ::close(fd);
        break;
      }
      ++connections_;
      if (frozen_) {
        kept.push_back(fd);
        continue;
      }
      char packet[8];
      if (::recv(fd, packet, sizeof packet, MSG_WAITALL) == 8) {
        ++ssl_requests_;
        ::send(fd, &tls_, 1, MSG_NOSIGNAL);
        ::recv(fd, packet, 1, 0);
      }
      ::close(fd);
    }
    for (int fd : kept) ::close(fd);
  }

  char tls_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false, frozen_ = false;
  std::atomic<unsigned> ssl_requests_ = 0, connections_ = 0;
  std::thread thread_;
};

// A checker with any number of fakes, and the last topology that it published.
class CheckerTest : public testing::Test {
 protected:
  void build(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      rest.push_back(std::make_unique<FakePatroni>());
      database.push_back(std::make_unique<FakePort>('N'));
      NodeConfig node;
      node.name = "pg-" + std::to_string(i + 1);
      node.host = "127.0.0.1";
      node.port = database[i]->port();
      node.rest = rest[i]->url();
      config.nodes.push_back(node);
    }
    config.listen.resize(2);
    config.listen[0].name = "read_write";
    config.listen[1].name = "read_only";
    config.listen[1].to = Target::kReplica;
    config.health.interval = milliseconds(200);
    config.health.hunt_interval = milliseconds(20);
    config.health.timeout = milliseconds(400);
  }
  void start() {
    CheckerOutput output;
    output.topology = [this](TopologyPtr t) {
      std::lock_guard lock(mutex);
      generations.push_back(t->generation);
      topology = std::move(t);
      published = steady_clock::now();
      changed.notify_all();
    };
    output.cluster = [this](ClusterViewPtr v) {
      std::lock_guard lock(mutex);
      view = std::move(v);
      changed.notify_all();
    };
    output.event = [this](EventView e) {
      std::lock_guard lock(mutex);
      events.push_back(std::move(e));
    };
    checker = std::make_unique<Checker>(config, output);
    checker->start();
  }
  bool eventually(const std::function<bool()>& done, milliseconds limit = seconds(10)) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, limit, [&] { return topology && view && done(); });
  }
  // For use outside eventually(): the checker goes on publishing.
  TopologyPtr last_topology() {
    std::lock_guard lock(mutex);
    return topology;
  }
  ClusterViewPtr last_view() {
    std::lock_guard lock(mutex);
    return view;
  }
  steady_clock::time_point last_published() {
    std::lock_guard lock(mutex);
    return published;
  }
  bool admitted(std::size_t node) const {
    return topology->pools[0].by_node[node].admission == Admission::kAdmit;
  }
  bool leads(std::size_t node) const { return topology->primary == node && admitted(node); }

  Config config;
  std::vector<std::unique_ptr<FakePatroni>> rest;
  std::vector<std::unique_ptr<FakePort>> database;
  std::mutex mutex;
  std::condition_variable changed;
  TopologyPtr topology;
  ClusterViewPtr view;
  steady_clock::time_point published;
  std::vector<std::uint64_t> generations;
  std::vector<EventView> events;
  std::unique_ptr<Checker> checker;
};

TEST_F(CheckerTest, PublishesThePrimaryAndItsReplicas) {
  build(3);
  rest[1]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(1); }));
  EXPECT_EQ(last_topology()->timeline, 4u);
  EXPECT_EQ(last_topology()->nodes[1].addresses.front().text(),
            "127.0.0.1:" + std::to_string(database[1]->port()));
  EXPECT_EQ(last_topology()->pools[1].by_node[0].admission, Admission::kAdmit);
  EXPECT_EQ(last_topology()->pools[1].by_node[1].admission, Admission::kDrain);
  ASSERT_TRUE(eventually([&] { return view->primary == "pg-2"; }));
}

TEST_F(CheckerTest, GenerationsCountWithoutGaps) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->follow(4);
  ASSERT_TRUE(eventually([&] { return !topology->primary; }));
  checker->stop();
  for (std::size_t i = 0; i < generations.size(); ++i) EXPECT_EQ(generations[i], i + 1);
}

TEST_F(CheckerTest, SpeaksPlainHttp10WithoutABody) {
  build(1);
  rest[0]->lead(1);
  config.health.user = "probe";
  config.health.password.value = "secret";
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  checker->stop();
  const std::string request = rest[0]->last_request();
  EXPECT_NE(request.find(" HTTP/1.0\r\n"), std::string::npos) << request;
  EXPECT_NE(request.find("Authorization: Basic cHJvYmU6c2VjcmV0"), std::string::npos) << request;
}

TEST_F(CheckerTest, LearnsWhetherNodesTakeTls) {
  build(1);
  database[0] = std::make_unique<FakePort>('S');
  config.nodes[0].port = database[0]->port();
  rest[0]->lead(1);
  start();
  ASSERT_TRUE(eventually([&] { return topology->nodes[0].tls == TlsAnswer::kYes; }));
  EXPECT_EQ(database[0]->ssl_requests(), 1u);
}

TEST_F(CheckerTest, FollowsANewPrimaryWithinAHuntOnDoubt) {
  build(3);
  rest[0]->lead(4);
  config.health.interval = seconds(5);  // without the suspicion it would take that long
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->follow(4);
  checker->suspect({0, SuspicionKind::kShuttingDown});
  ASSERT_TRUE(eventually([&] { return !topology->primary; }, seconds(2)));
  rest[2]->lead(5);
  const auto writable = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return leads(2); }, seconds(2)));
  EXPECT_LT(last_published() - writable, milliseconds(500));
}

TEST_F(CheckerTest, PromotionIsFollowedClosely) {
  build(2);
  rest[1]->promote(4);
  config.health.interval = seconds(1);
  config.health.hunt_interval = milliseconds(100);
  start();
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[1].reason == Reason::kPromoting; }));
  rest[1]->lead(5);
  const auto writable = steady_clock::now();
  ASSERT_TRUE(eventually([&] { return leads(1); }));
  EXPECT_LT(last_published() - writable, milliseconds(150));
}

TEST_F(CheckerTest, OneRequestInFlightPerNodeEvenWhileHunting) {
  build(2);
  rest[0]->set("/leader", {FakePatroni::Mode::kAnswer, 503,
                           R"({"state":"running","role":"replica"})", milliseconds(100)});
  start();
  ASSERT_TRUE(eventually([&] { return view->hunting && view->nodes[0].checks_total >= 8; }));
  EXPECT_EQ(rest[0]->most_in_flight(), 1u);
}

TEST_F(CheckerTest, AHungApiIsToldFromARefusedOneAndFromADeadHost) {
  build(3);
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  rest[1]->refuse();
  rest[2]->set_mode(FakePatroni::Mode::kClose);
  start();
  ASSERT_TRUE(eventually([&] {
    return view->nodes[0].last_check_result == "no reply within 0.4 s" &&
           view->nodes[1].last_check_result == "connection refused" &&
           view->nodes[2].last_check_result == "closed without a reply";
  }));
  ASSERT_TRUE(
      eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kAnswers; }));
}

TEST_F(CheckerTest, OneDeadlineOverTheWholeReply) {
  build(2);
  rest[0]->lead(4);
  rest[0]->set_mode(FakePatroni::Mode::kHalf);  // its first bytes come at once
  const auto began = steady_clock::now();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed >= 1; }));
  const auto took = steady_clock::now() - began;
  EXPECT_GE(took, milliseconds(390));
  EXPECT_LT(took, milliseconds(900));
}

TEST_F(CheckerTest, GarbageAndEndlessRepliesAreFailures) {
  build(2);
  rest[0]->set_mode(FakePatroni::Mode::kGarbage);
  rest[1]->set_mode(FakePatroni::Mode::kHuge);
  start();
  ASSERT_TRUE(eventually(
      [&] { return view->nodes[0].checks_failed >= 2 && view->nodes[1].checks_failed >= 2; }));
  EXPECT_EQ(last_view()->nodes[1].last_check_result, "reply larger than 64.0 kB");
  EXPECT_FALSE(last_topology()->primary);
}

TEST_F(CheckerTest, RedirectsAreNotFollowed) {
  build(1);
  rest[0]->set("/leader", {FakePatroni::Mode::kAnswer, 302, "moved", {}});
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].last_check_result == "HTTP status 302"; }));
}

TEST_F(CheckerTest, ASilentPrimaryWithALivingDatabaseKeepsItsSessions) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  rest[0]->refuse();
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[0].reason == Reason::kOrphaned; }));
  EXPECT_EQ(last_topology()->pools[0].by_node[0].admission, Admission::kAdmit);
  ASSERT_TRUE(eventually([&] { return view->fence_seconds.has_value(); }));
  rest[0]->accept();
  ASSERT_TRUE(eventually([&] { return topology->pools[0].by_node[0].reason == Reason::kPrimary; }));
}

TEST_F(CheckerTest, AFrozenDatabaseIsNotTakenForALivingOne) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && view->nodes[0].tls == TlsAnswer::kNo; }));
  database[0]->freeze();
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  ASSERT_TRUE(
      eventually([&] { return topology->pools[0].by_node[0].admission == Admission::kDrain; }));
  ASSERT_TRUE(eventually([&] { return view->nodes[0].database_answer == DatabaseAnswer::kHung; }));
}

TEST_F(CheckerTest, ANameThatDoesNotResolveIsADownNodeAndNoFailedStart) {
  build(3);
  rest[0]->lead(4);
  config.nodes[2].host = "pg-3.invalid";
  config.nodes[2].rest = "http://pg-3.invalid:8008";
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  EXPECT_TRUE(last_topology()->nodes[2].addresses.empty());
  ASSERT_TRUE(eventually(
      [&] { return view->nodes[2].last_check_result == "pg-3.invalid does not resolve"; }));
}

TEST_F(CheckerTest, NamesAreResolvedForBothPorts) {
  build(1);
  rest[0]->lead(4);
  config.nodes[0].host = "localhost";
  config.nodes[0].rest = rest[0]->url("localhost");
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && !topology->nodes[0].addresses.empty(); }));
}

TEST_F(CheckerTest, StopsAtOnceWhileEverythingHangs) {
  build(2);
  config.health.timeout = seconds(60);
  rest[0]->set_mode(FakePatroni::Mode::kSilent);
  rest[1]->set_mode(FakePatroni::Mode::kSilent);
  start();
  ASSERT_TRUE(
      eventually([&] { return topology != nullptr || view != nullptr; }, milliseconds(300)) ||
      true);
  const auto began = steady_clock::now();
  checker->stop();
  EXPECT_LT(steady_clock::now() - began, seconds(1));
  checker->stop();
}

TEST_F(CheckerTest, DoubtAndFeedbackMayComeFromManyThreads) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        checker->suspect({static_cast<std::size_t>(i % 3), SuspicionKind::kServerEnded});
        checker->report({});
      }
    });
  }
  for (auto& t : threads) t.join();
  rest[0]->lead(5);
  ASSERT_TRUE(eventually([&] { return topology->timeline == 5; }));
}

TEST_F(CheckerTest, TheFailoverIsRecordedWithTheWorkersReports) {
  build(2);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  checker->suspect({0, SuspicionKind::kShuttingDown});
  rest[0]->follow(4);
  ASSERT_TRUE(eventually([&] { return !topology->primary; }));
  WorkerReport f;
  f.generation = last_topology()->generation;
  f.at = steady_clock::now();
  f.cut = 3;
  f.cut_told = 2;
  checker->report(f);
  rest[1]->lead(5);
  ASSERT_TRUE(
      eventually([&] { return !view->failovers.empty() && view->failovers[0].to == "pg-2"; }));
  EXPECT_EQ(last_view()->failovers[0].from, "pg-1");
  EXPECT_EQ(last_view()->failovers[0].sessions_cut, 3u);
  EXPECT_EQ(last_view()->failovers[0].sessions_cut_told, 2u);
}

}  // namespace
}  // namespace pgsteer
