#include "bench/load/login.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "bench/load/wire.h"

namespace pgsteer {
namespace {

constexpr std::uint64_t kFailuresTolerated = 1000;

struct Attempt {
  Fd fd;
  MessageFramer framer;
  Clock::time_point since;
  bool startup_sent = false;
  bool query_sent = false;
};

class Engine {
 public:
  explicit Engine(const LoginPlan& plan) : plan_(plan), attempts_(plan.in_flight) {}

  Logins run() {
    for (Attempt& attempt : attempts_) begin(attempt);
    while (busy_ > 0 && Clock::now() < plan_.deadline) {
      std::array<epoll_event, 64> events;
      const int ready = epoll_wait(epoll_.get(), events.data(), events.size(), 100);
      for (int i = 0; i < ready; ++i) {
        step(*static_cast<Attempt*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    return std::move(logins_);
  }

 private:
  void begin(Attempt& attempt) {
    while (started_ < plan_.count && logins_.failed < kFailuresTolerated) {
      ++started_;
      attempt.since = Clock::now();
      attempt.fd = begin_connect(plan_.target);
      if (attempt.fd.get() < 0) {
        note_failure(std::strerror(errno));
        continue;
      }
      attempt.framer = MessageFramer();
      attempt.query_sent = !plan_.query_once;
      // Over loopback the connection is usually established by now, so waiting for it would cost an
      // extra system call.
      attempt.startup_sent = send_startup(attempt);
      const std::uint32_t wanted = attempt.startup_sent ? EPOLLIN : EPOLLOUT;
      epoll_.add(attempt.fd.get(), wanted, &attempt);
      ++busy_;
      return;
    }
  }

  bool send_startup(const Attempt& attempt) const {
    return send(attempt.fd.get(), startup_.data(), startup_.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(startup_.size());
  }

  void step(Attempt& attempt) {
    if (!attempt.startup_sent) {
      attempt.startup_sent = send_startup(attempt);
      if (!attempt.startup_sent) return fail(attempt, std::strerror(errno));
      return epoll_.modify(attempt.fd.get(), EPOLLIN, &attempt);
    }
    std::array<char, 4096> buffer;
    const ssize_t got = recv(attempt.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return fail(attempt, got == 0 ? "closed by the server" : std::strerror(errno));
    bool ready = false;
    bool refused = false;
    const bool valid =
        attempt.framer.feed({buffer.data(), static_cast<std::size_t>(got)}, [&](char type) {
          ready = ready || type == 'Z';
          refused = refused || type == 'E';
        });
    if (refused || !valid) return fail(attempt, {buffer.data(), static_cast<std::size_t>(got)});
    if (!ready) return;
    if (attempt.query_sent) return succeed(attempt);
    attempt.query_sent = true;
    if (send(attempt.fd.get(), query_.data(), query_.size(), MSG_NOSIGNAL) < 0) {
      fail(attempt, std::strerror(errno));
    }
  }

  void succeed(Attempt& attempt) {
    logins_.latencies.add(Clock::now() - attempt.since);
    if (plan_.keep) {
      epoll_.remove(attempt.fd.get());
      logins_.sessions.push_back(std::move(attempt.fd));
    } else {
      send(attempt.fd.get(), terminate_.data(), terminate_.size(), MSG_NOSIGNAL);
    }
    next(attempt);
  }

  void fail(Attempt& attempt, std::string why) {
    for (char& byte : why) byte = byte >= ' ' && byte <= '~' ? byte : ' ';
    note_failure(std::move(why));
    next(attempt);
  }

  void next(Attempt& attempt) {
    { const Fd closed = std::move(attempt.fd); }
    --busy_;
    begin(attempt);
  }

  void note_failure(std::string why) {
    if (logins_.failed++ == 0) logins_.first_error = std::move(why);
  }

  const LoginPlan plan_;
  const std::string startup_ = startup_packet();
  const std::string terminate_ = terminate();
  const std::string query_ = query("SELECT 1;");
  std::vector<Attempt> attempts_;
  std::size_t started_ = 0;
  std::size_t busy_ = 0;
  Logins logins_;
  Epoll epoll_;
};

}  // namespace

Logins log_in(const LoginPlan& plan) { return Engine(plan).run(); }

std::vector<Fd> open_sessions(const Address& target, std::size_t count) {
  Logins logins = log_in({.target = target,
                          .in_flight = std::min<std::size_t>(count, 64),
                          .count = count,
                          .keep = true,
                          .query_once = true,
                          .deadline = Clock::now() + std::chrono::seconds(30)});
  if (logins.sessions.size() == count) return std::move(logins.sessions);
  throw std::runtime_error(
      "only " + std::to_string(logins.sessions.size()) + " of " + std::to_string(count) +
      " sessions: " + (logins.failed > 0 ? logins.first_error : "out of time"));
}

}  // namespace pgsteer
