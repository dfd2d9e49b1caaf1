// The HTTP server over real sockets: routes, headers, several binds, hostile and slow peers.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "stats/server.h"

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

struct Reply {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* into) {
  static_cast<Reply*>(into)->body.append(data, size);
  return size;
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* into) {
  std::string line(data, size);
  const std::size_t colon = line.find(": ");
  if (colon != std::string::npos) {
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    static_cast<Reply*>(into)->headers[name] =
        line.substr(colon + 2, line.find_last_not_of("\r\n") - colon - 1);
  }
  return size;
}

Reply request(const std::string& url, const char* method = "GET", const char* body = nullptr) {
  Reply reply;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 15L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply);
  if (body != nullptr) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  if (std::string_view(method) == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (std::string_view(method) != "GET") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  }
  const CURLcode code = curl_easy_perform(curl);
  EXPECT_EQ(code, CURLE_OK) << url << ": " << curl_easy_strerror(code);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_easy_cleanup(curl);
  return reply;
}

BindAddress bind_to(const std::string& host, std::uint16_t port = 0) {
  BindAddress bind;
  bind.host = host;
  bind.port = port;
  bind.text = host + ":" + std::to_string(port);
  return bind;
}

ClusterViewPtr ready_cluster() {
  ClusterView cluster;
  cluster.first_round_done = true;
  cluster.primary = "pg-1";
  NodeView node;
  node.name = "pg-1";
  node.role = NodeRole::kPrimary;
  node.verdicts = {{"read_write", Admission::kAdmit, Reason::kPrimary, "It leads."}};
  cluster.nodes.push_back(node);
  return std::make_shared<const ClusterView>(cluster);
}

class StatsServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { curl_global_init(CURL_GLOBAL_DEFAULT); }

  StatsSources sources() {
    StatsSources sources;
    sources.version = "0.1.0";
    sources.traffic = [] {
      TrafficView traffic;
      traffic.listeners.resize(1);
      traffic.listeners[0].name = "read_write";
      traffic.listeners[0].to = Target::kPrimary;
      return traffic;
    };
    sources.sessions = [this] {
      ++sessions_asked_;
      if (sessions_gate_.valid()) sessions_gate_.wait();
      SessionView session;
      session.user = "alice";
      return std::vector<SessionView>{session};
    };
    return sources;
  }

  void start(StatsConfig config = {}) {
    if (config.bind.empty()) config.bind = {bind_to("127.0.0.1")};
    server_ = std::make_unique<StatsServer>(config, sources());
    server_->start();
    url_ = "http://127.0.0.1:" + std::to_string(server_->ports().front());
  }

  std::atomic<int> sessions_asked_ = 0;
  std::shared_future<void> sessions_gate_;
  std::unique_ptr<StatsServer> server_;
  std::string url_;
};

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
  EXPECT_TRUE(status.at("cluster").at("primary").is_null());
  server_->publish(ready_cluster());
  server_->event({std::chrono::system_clock::now(), Severity::kInfo, "primary: pg-1"});
  status = nlohmann::json::parse(request(url_ + "/api/v1/status").body);
  EXPECT_EQ(status.at("cluster").at("primary"), "pg-1");
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
  config.show_sessions = false;
  start(config);
  EXPECT_EQ(request(url_ + "/api/v1/sessions").status, 404);
  EXPECT_EQ(sessions_asked_, 0);
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
  config.bind = {bind_to("127.0.0.1"), bind_to("::1"), bind_to("127.0.0.3")};
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
  config.bind = {bind_to("*")};
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
  config.bind = {bind_to("127.0.0.1", port)};
  EXPECT_EQ(fault_of(config, sources()),
            "stats.bind 127.0.0.1:" + std::to_string(port) + ": Address already in use");
}

TEST_F(StatsServerTest, UnixSocketsAndNamesAreRefusedInWords) {
  StatsConfig config;
  config.bind.resize(1);
  config.bind[0].text = config.bind[0].unix_path = "/run/pgsteer/stats";
  EXPECT_NE(fault_of(config, sources()).find("not served on a Unix socket"), std::string::npos);
  config.bind = {bind_to("localhost")};
  EXPECT_NE(fault_of(config, sources()).find("not a numeric"), std::string::npos);
}

TEST_F(StatsServerTest, StopsAndStartsAgain) {
  start();
  StatsConfig config;
  config.bind = {bind_to("127.0.0.1", server_->ports().front())};
  EXPECT_EQ(request(url_ + "/live").status, 200);
  server_->stop();
  EXPECT_TRUE(server_->ports().empty());
  start(config);
  EXPECT_EQ(request(url_ + "/live").status, 200);
}

// A client that is not an HTTP library.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  void send(const std::string& bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  // All until the server closes; at most 15 s.
  std::string read_to_end() {
    std::string text;
    char buffer[4096];
    pollfd descriptor{fd_, POLLIN, 0};
    while (::poll(&descriptor, 1, 15'000) == 1) {
      const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(count));
    }
    ADD_FAILURE() << "the server did not close";
    return text;
  }

 private:
  int fd_;
};

TEST_F(StatsServerTest, SilentAndHalfSpokenPeersDoNotKeepOthersOut) {
  start();
  std::vector<std::unique_ptr<RawClient>> peers;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(std::make_unique<RawClient>(server_->ports().front()));
    if (i % 2) peers.back()->send("GET /live HTT");
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(request(url_ + "/live").status, 200);
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
