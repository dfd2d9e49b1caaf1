// pgsteer_relay_experiment epoll|uring|uring-multishot LISTEN TARGET
#include "bench/experiments/relay.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

namespace pgsteer {

Pair open_pair(Fd client, const Address& target, bool non_blocking) {
  Fd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* address = reinterpret_cast<const sockaddr*>(&target);
  if (client.get() < 0 || server.get() < 0) return {};
  if (connect(server.get(), address, sizeof target) != 0) return {};
  for (const Fd* fd : {&client, &server}) {
    set_no_delay(fd->get());
    if (non_blocking) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  return {.client = std::move(client), .server = std::move(server)};
}

namespace {

struct Endpoint {
  Fd fd;
  Endpoint* other = nullptr;
  std::vector<char> backlog;  // read from the other side, not yet accepted by this socket
  bool over = false;
};

struct Session {
  Endpoint client;
  Endpoint server;
};

class EpollRelay {
 public:
  EpollRelay(const Address& listen, const Address& target)
      : listener_(listen_on(listen)), target_(target) {
    epoll_.add(listener_.get(), EPOLLIN, nullptr);
  }

  [[noreturn]] void run() {
    for (;;) {
      std::array<epoll_event, 128> events;
      const int ready = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          accept_one();
        } else {
          on_ready(*static_cast<Endpoint*>(event.data.ptr), event.events);
        }
      }
      if (some_over_) remove_finished();
    }
  }

 private:
  void accept_one() {
    Pair pair =
        open_pair(Fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), target_, true);
    if (pair.client.get() < 0) return;
    Session& session = *sessions_.emplace_back(std::make_unique<Session>());
    session.client.fd = std::move(pair.client);
    session.server.fd = std::move(pair.server);
    session.client.other = &session.server;
    session.server.other = &session.client;
    // Registered once. A socket that was never full reports no EPOLLOUT, so it costs nothing.
    for (Endpoint* end : {&session.client, &session.server}) {
      epoll_.add(end->fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, end);
    }
  }

  void on_ready(Endpoint& end, std::uint32_t events) {
    if (end.over) return;
    if ((events & EPOLLOUT) != 0 && !end.backlog.empty()) {
      const std::size_t sent = write(end, end.backlog.data(), end.backlog.size());
      end.backlog.erase(end.backlog.begin(), end.backlog.begin() + static_cast<long>(sent));
      if (end.backlog.empty()) pump(*end.other, true);
    }
    const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if ((to_the_end || (events & EPOLLIN) != 0) && end.other->backlog.empty())
      pump(end, to_the_end);
  }

  void pump(Endpoint& from, bool to_the_end) {
    while (!from.over) {
      const ssize_t got = recv(from.fd.get(), buffer_.data(), buffer_.size(), 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return finish(from);
      const auto size = static_cast<std::size_t>(got);
      const std::size_t sent = write(*from.other, buffer_.data(), size);
      if (sent < size) {
        from.other->backlog.assign(buffer_.data() + sent, buffer_.data() + size);
        return;
      }
      if (size < buffer_.size() && !to_the_end) return;
    }
  }

  std::size_t write(Endpoint& to, const char* bytes, std::size_t size) {
    const ssize_t sent = send(to.fd.get(), bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) finish(to);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  void finish(Endpoint& end) { end.over = end.other->over = some_over_ = true; }

  // Called after a batch, when no fetched event points to a session any more.
  void remove_finished() {
    std::erase_if(sessions_, [](const auto& session) { return session->client.over; });
    some_over_ = false;
  }

  Fd listener_;
  Address target_;
  Epoll epoll_;
  std::vector<std::unique_ptr<Session>> sessions_;
  bool some_over_ = false;
  alignas(64) std::array<char, kRelayBuffer> buffer_{};
};

}  // namespace

void relay_by_epoll(const Address& listen, const Address& target) {
  EpollRelay(listen, target).run();
}

}  // namespace pgsteer

int main(int argc, char** argv) {
  using namespace pgsteer;
  const std::string_view mode = argc == 4 ? argv[1] : "";
  const auto listen = parse_address(argc == 4 ? argv[2] : "");
  const auto target = parse_address(argc == 4 ? argv[3] : "");
  try {
    if (listen && target && mode == "epoll") relay_by_epoll(*listen, *target);
    if (listen && target && mode == "uring") relay_by_uring(*listen, *target, Receive::kOnce);
    if (listen && target && mode == "uring-multishot") {
      relay_by_uring(*listen, *target, Receive::kMultishot);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pgsteer_relay_experiment: %s\n", error.what());
    return 1;
  }
  std::fputs("usage: pgsteer_relay_experiment epoll|uring|uring-multishot LISTEN TARGET\n", stderr);
  return 2;
}
