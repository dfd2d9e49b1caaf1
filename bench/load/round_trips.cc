#include "bench/load/round_trips.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "bench/load/wire.h"

namespace pgsteer {
namespace {

struct Session {
  int fd = -1;
  MessageFramer framer;
  bool waiting = false;     // for an answer
  Clock::time_point since;  // when the query in flight was sent or due
  Clock::time_point due;    // of the next query, if there is a rate
  int owed = 0;             // queries that are due and not yet sent
};

class Driver {
 public:
  Driver(const std::vector<Fd>& fds, const RoundTripPlan& plan, const Window& window)
      : window_(window), sessions_(fds.size()) {
    if (plan.rate > 0) {
      gap_ = std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(1.0 / plan.rate));
    }
    next_turn_ = Clock::now();
    for (std::size_t i = 0; i < fds.size(); ++i) {
      sessions_[i].fd = fds[i].get();
      sessions_[i].due = next_turn_ + gap_ * static_cast<int>(i);
      epoll_.add(fds[i].get(), EPOLLIN, &sessions_[i]);
    }
  }

  Latencies run() {
    if (gap_ == Clock::duration::zero()) {
      for (Session& session : sessions_) send_query(session, Clock::now());
    }
    std::array<epoll_event, 256> events;
    for (auto now = Clock::now(); now < window_.end; now = Clock::now()) {
      if (gap_ != Clock::duration::zero()) send_due(now);
      const timespec timeout = until_next(now);
      const int ready = epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
      for (int i = 0; i < ready; ++i) {
        on_readable(*static_cast<Session*>(events[static_cast<std::size_t>(i)].data.ptr));
      }
    }
    return std::move(latencies_);
  }

 private:
  void send_query(Session& session, Clock::time_point since) {
    session.waiting = true;
    session.since = since;
    if (send(session.fd, query_.data(), query_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(query_.size())) {
      throw std::runtime_error(std::string("a small session ended: ") + std::strerror(errno));
    }
  }

  // Sessions are due in turn at equal intervals, so the next one is always known.
  void send_due(Clock::time_point now) {
    for (; next_turn_ <= now; next_turn_ += gap_) {
      Session& session = sessions_[turn_];
      turn_ = (turn_ + 1) % sessions_.size();
      ++session.owed;
      if (!session.waiting) send_owed(session);
    }
  }

  void send_owed(Session& session) {
    --session.owed;
    const auto due = session.due;
    session.due += gap_ * static_cast<int>(sessions_.size());
    send_query(session, due);
  }

  timespec until_next(Clock::time_point now) const {
    auto wait = window_.end - now;
    if (gap_ != Clock::duration::zero()) wait = std::min(wait, next_turn_ - now);
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::max(wait, Clock::duration::zero()))
                        .count();
    return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }

  void on_readable(Session& session) {
    const ssize_t got = recv(session.fd, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) throw std::runtime_error("a small session ended");
    bool answered = false;
    const bool valid =
        session.framer.feed({buffer_.data(), static_cast<std::size_t>(got)}, [&](char type) {
          if (type == 'E') throw std::runtime_error("a small session received an error");
          answered = answered || type == 'Z';
        });
    if (!valid) throw std::runtime_error("a small session received an invalid message");
    if (!answered) return;
    const auto now = Clock::now();
    if (now >= window_.begin) latencies_.add(now - session.since);
    session.waiting = false;
    if (gap_ == Clock::duration::zero()) {
      send_query(session, now);
    } else if (session.owed > 0) {
      send_owed(session);
    }
  }

  const Window window_;
  const std::string query_ = query("SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;");
  Clock::duration gap_{};  // between the due times of two sessions; zero: closed loop
  std::size_t turn_ = 0;   // the session whose query is due next
  Clock::time_point next_turn_;
  std::vector<Session> sessions_;
  std::array<char, 65536> buffer_{};
  Latencies latencies_;
  Epoll epoll_;
};

}  // namespace

Latencies run_round_trips(const std::vector<Fd>& sessions, const RoundTripPlan& plan,
                          const Window& window) {
  return Driver(sessions, plan, window).run();
}

}  // namespace pgsteer
