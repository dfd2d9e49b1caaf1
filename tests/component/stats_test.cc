// The HTTP server over real sockets: routes, headers, several binds.
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "tests/component/stats_fixture.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

TEST_F(StatsServerTest, ServesEveryRouteWithItsType) {
  start();
  server_->publish(ready_cluster());
  const std::map<std::string, std::string> types = {
      {"/", "text/html; charset=utf-8"},
      {"/page.css", "text/css; charset=utf-8"},
      {"/page.js", "text/javascript; charset=utf-8"},
      {"/icon.svg", "image/svg+xml"},
      {"/api/v1/status", "application/json"},
      {"/api/v1/sessions", "application/json"},
      {"/metrics", "text/plain; version=0.0.4; charset=utf-8"},
      {"/live", "text/plain; charset=utf-8"},
      {"/ready", "text/plain; charset=utf-8"}};
  for (const auto& [path, type] : types) {
    const Reply reply = request(url_ + path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_EQ(reply.headers.at("content-type"), type) << path;
    EXPECT_FALSE(reply.body.empty()) << path;
  }
}

TEST_F(StatsServerTest, StatusShowsWhatWasPublishedLast) {
  start();
  auto status = nlohmann::json::parse(request(url_ + "/api/v1/status").body);
  EXPECT_TRUE(status.at("clusters").empty());
  server_->publish(ready_cluster());
  server_->event({std::chrono::system_clock::now(), Severity::kInfo, "primary: pg-1"});
  status = nlohmann::json::parse(request(url_ + "/api/v1/status").body);
  EXPECT_EQ(status.at("clusters").at(0).at("primary"), "pg-1");
  EXPECT_EQ(status.at("events").at(0).at("text"), "primary: pg-1");
  EXPECT_EQ(status.at("version"), "0.1.0");
}

TEST_F(StatsServerTest, ReadyFollowsTheNodesAndLiveDoesNot) {
  start();
  EXPECT_EQ(request(url_ + "/ready").status, 503);
  EXPECT_EQ(request(url_ + "/live").status, 200);
  server_->publish(ready_cluster());
  EXPECT_EQ(request(url_ + "/ready").status, 200);
  EXPECT_EQ(request(url_ + "/ready?listener=read_write").status, 200);
  EXPECT_EQ(request(url_ + "/ready?listener=nope").status, 404);
}

TEST_F(StatsServerTest, HeadAnswersLikeGetWithoutABody) {
  start();
  const Reply head = request(url_ + "/metrics", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.body.empty());
  EXPECT_GT(std::stoul(head.headers.at("content-length")), 100u);
  EXPECT_EQ(request(url_ + "/ready", "HEAD").status, 503);
}

TEST_F(StatsServerTest, OtherPathsAre404AndOtherMethods405) {
  start();
  for (const char* path :
       {"/nothing", "/../etc/passwd", "/page.css/", "/api/v1", "/index.html/x"}) {
    EXPECT_EQ(request(url_ + path).status, 404) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const Reply reply = request(url_ + "/", method, "some body");
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.headers.at("allow"), "GET, HEAD") << method;
  }
}

TEST_F(StatsServerTest, EveryAnswerForbidsFramesSniffingCachesAndForeignCode) {
  start();
  for (const char* path : {"/", "/api/v1/status", "/metrics", "/nothing"}) {
    const Reply reply = request(url_ + path);
    EXPECT_EQ(reply.headers.at("x-content-type-options"), "nosniff") << path;
    EXPECT_EQ(reply.headers.at("x-frame-options"), "DENY") << path;
    EXPECT_EQ(reply.headers.at("cache-control"), "no-store") << path;
    const std::string policy = reply.headers.at("content-security-policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string::npos) << path;
    EXPECT_EQ(policy.find("unsafe"), std::string::npos) << path;
  }
}

TEST_F(StatsServerTest, SessionTableCanBeSwitchedOff) {
  StatsConfig config;
  config.show_sessions = ShowSessions::kNever;
  start(config);
  const Reply reply = request(url_ + "/api/v1/sessions");
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.body, "the session table is switched off (stats.show_sessions)\n");
  EXPECT_EQ(sessions_asked_, 0);
}

TEST_F(StatsServerTest, TheSessionTableIsShownOnLoopbackBindsOnlyUnlessAskedFor) {
  StatsConfig config;
  config.bind = {stats_bind("127.0.0.1"), stats_bind("::1"), stats_bind("0.0.0.0"),
                 stats_bind("*")};
  const auto statuses = [&] {
    std::vector<long> all;
    for (std::size_t i = 0; i < config.bind.size(); ++i) {
      const std::string host = config.bind[i].host == "::1" ? "[::1]" : "127.0.0.1";
      const Reply reply = request("http://" + host + ":" + std::to_string(server_->ports()[i]) +
                                  "/api/v1/sessions");
      all.push_back(reply.status);
      if (reply.status != 200) {
        EXPECT_NE(reply.body.find("shown on loopback addresses only"), std::string::npos);
      }
    }
    return all;
  };
  start(config);
  EXPECT_EQ(statuses(), (std::vector<long>{200, 200, 403, 403}));
  EXPECT_EQ(sessions_asked_, 1);
  config.show_sessions = ShowSessions::kAlways;
  start(config);
  EXPECT_EQ(statuses(), (std::vector<long>{200, 200, 200, 200}));
}

TEST_F(StatsServerTest, ManyWhoAskForSessionsBotherTheWorkersOnce) {
  start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(request(url_ + "/api/v1/sessions").status, 200);
  EXPECT_GE(sessions_asked_, 1);
  EXPECT_LT(sessions_asked_, 5);
}

TEST_F(StatsServerTest, ASlowSessionTableLeavesTheOtherAnswersAlone) {
  std::promise<void> open;
  sessions_gate_ = open.get_future().share();
  start();
  auto slow = std::async(std::launch::async, [&] { return request(url_ + "/api/v1/sessions"); });
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  while (sessions_asked_ == 0 && steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_EQ(sessions_asked_, 1);
  // Connections are spread over the pool by whoever accepts first: the blocked thread cannot.
  for (int i = 0; i < 20; ++i) EXPECT_EQ(request(url_ + "/live").status, 200);
  open.set_value();
  EXPECT_EQ(slow.get().status, 200);
}

TEST_F(StatsServerTest, ListensOnIpv4AndIpv6AndSeveralBinds) {
  StatsConfig config;
  config.bind = {stats_bind("127.0.0.1"), stats_bind("::1"), stats_bind("127.0.0.3")};
  start(config);
  ASSERT_EQ(server_->ports().size(), 3u);
  const char* hosts[] = {"127.0.0.1", "[::1]", "127.0.0.3"};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string url =
        "http://" + std::string(hosts[i]) + ":" + std::to_string(server_->ports()[i]) + "/live";
    EXPECT_EQ(request(url).status, 200) << url;
  }
}

TEST_F(StatsServerTest, StarMeansBothFamiliesOnOnePort) {
  StatsConfig config;
  config.bind = {stats_bind("*")};
  start(config);
  const std::string port = std::to_string(server_->ports()[0]);
  EXPECT_EQ(request("http://127.0.0.1:" + port + "/live").status, 200);
  EXPECT_EQ(request("http://[::1]:" + port + "/live").status, 200);
}

std::string fault_of(const StatsConfig& config, const StatsSources& sources) {
  StatsServer server(config, sources);
  try {
    server.start();
  } catch (const std::runtime_error& fault) {
    return fault.what();
  }
  return "none";
}

TEST_F(StatsServerTest, APortInUseIsOneClearLine) {
  start();
  StatsConfig config;
  const std::uint16_t port = server_->ports().front();
  config.bind = {stats_bind("127.0.0.1", port)};
  EXPECT_EQ(fault_of(config, sources()),
            "stats.bind 127.0.0.1:" + std::to_string(port) + ": Address already in use");
}

TEST_F(StatsServerTest, UnixSocketsAndNamesAreRefusedInWords) {
  StatsConfig config;
  config.bind.resize(1);
  config.bind[0].text = config.bind[0].unix_path = "/run/pgsteer/stats";
  EXPECT_NE(fault_of(config, sources()).find("not served on a Unix socket"), std::string::npos);
  config.bind = {stats_bind("localhost")};
  EXPECT_NE(fault_of(config, sources()).find("not a numeric"), std::string::npos);
}

TEST_F(StatsServerTest, StopsAndStartsAgain) {
  start();
  StatsConfig config;
  config.bind = {stats_bind("127.0.0.1", server_->ports().front())};
  EXPECT_EQ(request(url_ + "/live").status, 200);
  server_->stop();
  EXPECT_TRUE(server_->ports().empty());
  start(config);
  EXPECT_EQ(request(url_ + "/live").status, 200);
}

TEST_F(StatsServerTest, PublishingAndReadingAtOnceIsSafe) {
  start();
  std::atomic<bool> stop = false;
  std::thread publisher([&] {
    while (!stop) {
      server_->publish(ready_cluster());
      server_->event({std::chrono::system_clock::now(), Severity::kInfo, "again"});
    }
  });
  std::vector<std::future<void>> readers;
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::async(std::launch::async, [&] {
      for (int n = 0; n < 25; ++n) {
        EXPECT_EQ(request(url_ + "/api/v1/status").status, 200);
        EXPECT_EQ(request(url_ + "/metrics").status, 200);
      }
    }));
  }
  for (auto& reader : readers) reader.get();
  stop = true;
  publisher.join();
}

}  // namespace
}  // namespace pgsteer
