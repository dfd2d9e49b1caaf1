// A StatsServer with canned sources, an HTTP client, and a client that is not an HTTP library.
#pragma once

#include <arpa/inet.h>
#include <curl/curl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stats/server.h"

namespace pgsteer {

struct Reply {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

inline std::size_t take_body(char* data, std::size_t, std::size_t size, void* into) {
  static_cast<Reply*>(into)->body.append(data, size);
  return size;
}

inline std::size_t take_header(char* data, std::size_t, std::size_t size, void* into) {
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

inline Reply request(const std::string& url, const char* method = "GET",
                     const char* body = nullptr) {
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

inline BindAddress stats_bind(const std::string& host, std::uint16_t port = 0) {
  BindAddress bind;
  bind.host = host;
  bind.port = port;
  bind.text = host + ":" + std::to_string(port);
  return bind;
}

inline ClusterViewPtr ready_cluster() {
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

  void start(StatsConfig config = {}, const HttpLimits& limits = {}) {
    if (config.bind.empty()) config.bind = {stats_bind("127.0.0.1")};
    server_ = std::make_unique<StatsServer>(config, sources(), limits);
    server_->start();
    url_ = "http://127.0.0.1:" + std::to_string(server_->ports().front());
  }

  std::atomic<int> sessions_asked_ = 0;
  std::shared_future<void> sessions_gate_;
  std::unique_ptr<StatsServer> server_;
  std::string url_;
};

// A client that is not an HTTP library.
class RawClient {
 public:
  // From 127.0.0.`from`.
  explicit RawClient(std::uint16_t port, unsigned from = 1)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + from);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  void send(const std::string& bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  bool closed() const {
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN;
  }

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

}  // namespace pgsteer
