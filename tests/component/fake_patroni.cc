#include "tests/component/fake_patroni.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <stdexcept>

namespace pgsteer {
namespace {

using std::chrono::steady_clock;

int bind_to_port(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    throw std::runtime_error("FakePatroni: cannot bind");
  }
  return fd;
}

int listen_on(std::uint16_t port) {
  const int fd = bind_to_port(port);
  if (::listen(fd, 64) != 0) {
    ::close(fd);
    throw std::runtime_error("FakePatroni: cannot listen");
  }
  return fd;
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

std::string body(const char* role, const std::string& xlog, unsigned timeline) {
  return std::string(R"({"state":"running","role":")") + role +
         R"(","server_version":150004,"xlog":{)" + xlog + R"(},"timeline":)" +
         std::to_string(timeline) + R"(,"dcs_last_seen":)" + std::to_string(std::time(nullptr)) +
         R"(,"database_system_identifier":"7001","patroni":{"version":"3.0.2","scope":"main"}})";
}

std::string replica_xlog(std::uint64_t replayed) {
  return R"("received_location":)" + std::to_string(replayed) + R"(,"replayed_location":)" +
         std::to_string(replayed) + R"(,"replayed_timestamp":null,"paused":false)";
}

void send_all(int fd, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const auto n = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;  // the kernel's buffer holds more than any peer here reads
    sent += static_cast<std::size_t>(n);
  }
}

}  // namespace

FakePatroni::FakePatroni() {
  reserved_fd_ = bind_to_port(0);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(reserved_fd_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  listen_fd_ = listen_on(port_);
  if (::pipe(wake_) != 0) throw std::runtime_error("FakePatroni: no pipe");
  set("/config", {Mode::kAnswer, 200, R"({"ttl":30,"loop_wait":10,"retry_timeout":10})", {}});
  set("/cluster", {Mode::kAnswer, 200, R"({"members":[]})", {}});
  follow(1);
  thread_ = std::thread([this] { run(); });
}

FakePatroni::~FakePatroni() {
  stopping_ = true;
  [[maybe_unused]] const auto n = ::write(wake_[1], "x", 1);
  thread_.join();
  for (Connection& c : connections_) ::close(c.fd);
  if (listen_fd_ >= 0) ::close(listen_fd_);
  ::close(reserved_fd_);
  ::close(wake_[0]);
  ::close(wake_[1]);
}

void FakePatroni::set(const std::string& path, Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviours_[path] = std::move(behaviour);
}

void FakePatroni::lead(unsigned timeline, std::uint64_t location) {
  set("/leader", {Mode::kAnswer,
                  200,
                  body("master", R"("location":)" + std::to_string(location), timeline),
                  {}});
}

void FakePatroni::follow(unsigned timeline, std::uint64_t replayed) {
  set("/leader", {Mode::kAnswer, 503, body("replica", replica_xlog(replayed), timeline), {}});
}

void FakePatroni::promote(unsigned timeline) {
  set("/leader", {Mode::kAnswer, 200, body("replica", replica_xlog(1000), timeline), {}});
}

void FakePatroni::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  for (auto& [path, behaviour] : behaviours_) behaviour.mode = mode;
}

void FakePatroni::refuse() {
  const std::lock_guard lock(mutex_);
  want_listening_ = false;
  if (listen_fd_ >= 0) ::shutdown(listen_fd_, SHUT_RDWR);  // refuses from here on
  [[maybe_unused]] const auto n = ::write(wake_[1], "x", 1);
}

void FakePatroni::accept() {
  const std::lock_guard lock(mutex_);
  want_listening_ = true;
  [[maybe_unused]] const auto n = ::write(wake_[1], "x", 1);
}

unsigned FakePatroni::asked(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto it = asked_.find(path);
  return it == asked_.end() ? 0 : it->second;
}

unsigned FakePatroni::most_in_flight() const {
  const std::lock_guard lock(mutex_);
  return most_in_flight_;
}

std::string FakePatroni::last_request() const {
  const std::lock_guard lock(mutex_);
  return last_request_;
}

void FakePatroni::listen_again() {
  const std::lock_guard lock(mutex_);
  if (!want_listening_ && listen_fd_ >= 0) {
    ::close(listen_fd_);
    listen_fd_ = -1;
  } else if (want_listening_ && listen_fd_ < 0) {
    listen_fd_ = listen_on(port_);
  }
}

void FakePatroni::take_connection() {
  const std::lock_guard lock(mutex_);
  if (listen_fd_ < 0) return;
  const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  Connection c;
  c.fd = fd;
  connections_.push_back(std::move(c));
  most_in_flight_ = std::max(most_in_flight_, static_cast<unsigned>(connections_.size()));
}

// False once the peer has gone.
bool FakePatroni::read_request(Connection& c) {
  char buffer[4096];
  const auto n = ::recv(c.fd, buffer, sizeof buffer, 0);
  if (n == 0) return false;
  if (n < 0) return errno == EAGAIN;
  if (c.complete) return true;
  c.request.append(buffer, static_cast<std::size_t>(n));
  if (c.request.find("\r\n\r\n") == std::string::npos) return true;
  const auto from = c.request.find(' ') + 1;
  const std::string path = c.request.substr(from, c.request.find(' ', from) - from);
  const std::lock_guard lock(mutex_);
  last_request_ = c.request;
  ++asked_[path];
  c.complete = true;
  c.behaviour = behaviours_[path];
  c.due = steady_clock::now() + c.behaviour.delay;
  return true;
}

void FakePatroni::reply(Connection& c) {
  const Behaviour& b = c.behaviour;
  const std::string head = "HTTP/1.0 " + std::to_string(b.status) +
                           " X\r\nServer: BaseHTTP/0.6 Python/3.11.2\r\nDate: " + http_date() +
                           "\r\nContent-Type: application/json\r\n\r\n";
  c.replied = true;
  switch (b.mode) {
    case Mode::kAnswer:
      send_all(c.fd, head + b.body);
      ::shutdown(c.fd, SHUT_WR);
      return;
    case Mode::kSilent:
      return;
    case Mode::kClose:
      ::shutdown(c.fd, SHUT_WR);
      return;
    case Mode::kGarbage:
      send_all(c.fd, std::string("\x16\x03\x01 this is not HTTP\r\n\r\n"));
      ::shutdown(c.fd, SHUT_WR);
      return;
    case Mode::kHalf:
      send_all(c.fd, head + b.body.substr(0, b.body.size() / 2));
      return;
    case Mode::kHuge:
      send_all(c.fd, head + std::string(200'000, ' '));
      return;
  }
}

void FakePatroni::run() {
  while (!stopping_) {
    listen_again();
    std::vector<pollfd> fds{{wake_[0], POLLIN, 0}, {listen_fd_, POLLIN, 0}};
    int timeout = -1;
    for (const Connection& c : connections_) {
      fds.push_back({c.fd, POLLIN, 0});
      if (!c.complete || c.replied) continue;
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(c.due - steady_clock::now()).count();
      const int wait = static_cast<int>(std::max<long>(left, 0));
      timeout = timeout < 0 ? wait : std::min(timeout, wait);
    }
    ::poll(fds.data(), fds.size(), timeout);
    char drained[64];
    if (fds[0].revents) [[maybe_unused]]
      const auto n = ::read(wake_[0], drained, sizeof drained);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      Connection& c = connections_[i];
      const bool gone = fds[i + 2].revents && !read_request(c);
      if (!gone && c.complete && !c.replied && steady_clock::now() >= c.due) reply(c);
      if (!gone) continue;
      ::close(c.fd);
      c.fd = -1;
    }
    std::erase_if(connections_, [](const Connection& c) { return c.fd < 0; });
    if (fds[1].revents) take_connection();
  }
}

}  // namespace pgsteer
