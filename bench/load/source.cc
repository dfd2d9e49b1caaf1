#include "bench/load/source.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "bench/load/rest.h"
#include "bench/load/source_stream.h"
#include "bench/load/wire.h"

namespace pgsteer {
namespace {

constexpr std::uint32_t kCancelRequest = 80877102;
constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kGssRequest = 80877104;
constexpr std::uint32_t kLargestMessage = 1024 * 1024;

struct Connection {
  Fd fd;
  bool logged_in = false;
  std::string in;   // the start of an incomplete message
  std::string out;  // what the socket did not accept; used only by very large replies
};

// The sessions of one thread. Another thread may call adopt(): it passes the connection on through
// epoll, and from then on only this loop touches it.
class Loop {
 public:
  explicit Loop(std::size_t reply_bytes) : reply_(small_reply(reply_bytes)), buffer_(64 * 1024) {}

  void adopt(Fd fd) {
    auto* connection = new Connection{.fd = std::move(fd), .in = {}, .out = {}};
    epoll_.add(connection->fd.get(), EPOLLIN, connection);  // freed in end()
  }

  // This loop also accepts, and distributes the sessions round robin to `loops`, including itself.
  void accept_for(int listener, std::deque<Loop>& loops) {
    listener_ = listener;
    loops_ = &loops;
    epoll_.add(listener, EPOLLIN, nullptr);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int ready = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          accept_one();
        } else {
          serve(static_cast<Connection*>(event.data.ptr), event.events);
        }
      }
    }
  }

 private:
  void accept_one() {
    Fd fd(accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() < 0) return;
    set_no_delay(fd.get());
    (*loops_)[next_++ % loops_->size()].adopt(std::move(fd));
  }

  void serve(Connection* connection, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0 && !write(*connection, {})) return end(connection);
    if ((events & ~EPOLLOUT) == 0) return;
    const ssize_t got = recv(connection->fd.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(connection);
    std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
    if (!connection->in.empty()) {
      connection->in.append(bytes);
      std::string whole = std::move(connection->in);
      connection->in.clear();
      return take(connection, whole);
    }
    take(connection, bytes);
  }

  void take(Connection* connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t type_size = connection->logged_in ? 1 : 0;  // the type, once logged in
      const std::size_t header = type_size + (connection->logged_in ? 4 : 8);
      if (bytes.size() < header) break;
      const std::uint32_t length = read_be32(bytes.data() + type_size);
      if (length < header - type_size || length > kLargestMessage) return end(connection);
      if (bytes.size() < type_size + length) break;
      const std::string_view message = bytes.substr(0, type_size + length);
      bytes.remove_prefix(message.size());
      if (!(connection->logged_in ? answer(connection, message)
                                  : answer_first_packet(*connection, message))) {
        return end(connection);
      }
    }
    connection->in = bytes;
  }

  bool answer_first_packet(Connection& connection, std::string_view packet) {
    const std::uint32_t code = read_be32(packet.data() + 4);
    if (code == kSslRequest || code == kGssRequest) return write(connection, "N");
    if (code == kCancelRequest) return false;
    connection.logged_in = true;
    ++logins_;
    return write(connection, login_reply(logins_, logins_ * 2654435761U));
  }

  // False ends the connection here: the client terminated, or a stream's thread took the socket.
  bool answer(Connection* connection, std::string_view message) {
    if (message[0] == 'Q') {
      const auto request = parse_stream_request(message.substr(5, message.size() - 6));
      if (!request) return write(*connection, reply_);
      epoll_.remove(connection->fd.get());
      streams_.start(std::move(connection->fd), *request);
      return false;
    }
    return message[0] != 'X';
  }

  bool write(Connection& connection, std::string_view bytes) {
    const bool was_behind = !connection.out.empty();
    if (was_behind) {
      connection.out += bytes;
      bytes = connection.out;
    }
    const ssize_t sent = send(connection.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const auto done = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    if (done == bytes.size() && !was_behind) return true;
    connection.out = std::string(bytes.substr(done));
    const std::uint32_t wanted = connection.out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
    epoll_.modify(connection.fd.get(), wanted, &connection);
    return true;
  }

  static void end(Connection* connection) { delete connection; }

  const std::string reply_;
  std::vector<char> buffer_;
  std::uint32_t logins_ = 0;
  int listener_ = -1;
  std::deque<Loop>* loops_ = nullptr;
  std::size_t next_ = 0;
  Epoll epoll_;
  Streams streams_;
};

}  // namespace

void run_source(const SourceOptions& options) {
  const Fd listener = listen_on(options.listen);
  const std::jthread rest = serve_rest(options.rest, options.primary);
  std::deque<Loop> loops;
  for (int i = 0; i < options.loops; ++i) loops.emplace_back(options.reply_bytes);
  loops.front().accept_for(listener.get(), loops);
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < loops.size(); ++i) {
    threads.emplace_back([&loop = loops[i]] { loop.run(); });
  }
  std::puts("ready");
  std::fflush(stdout);
  loops.front().run();
}

}  // namespace pgsteer
