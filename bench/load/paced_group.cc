#include "bench/load/paced_group.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>

namespace pgsteer {

PacedGroup::PacedGroup(std::vector<Fd> fds, std::size_t busy, double rate)
    : busy_(std::min(busy, fds.size())),
      gap_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate))),
      query_(query("SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;")) {
  sessions_.reserve(fds.size());  // epoll keeps their addresses
  for (Fd& fd : fds) {
    Session& session = sessions_.emplace_back();
    session.fd = std::move(fd);
    epoll_.add(session.fd.get(), EPOLLIN, &session);
  }
}

void PacedGroup::run(const std::atomic<bool>& stop) {
  next_due_ = Clock::now();
  std::array<epoll_event, 256> events;
  while (!stop && ends_.size() < sessions_.size()) {
    send_due(Clock::now());
    const int ready = epoll_wait(epoll_.get(), events.data(), events.size(), 1);
    for (int i = 0; i < ready; ++i) {
      on_readable(*static_cast<Session*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
}

// A session that still waits for its last answer skips this query: that answer is already late and
// is counted as such.
void PacedGroup::send_due(Clock::time_point now) {
  for (; busy_ > 0 && next_due_ <= now; next_due_ += gap_) {
    Session& session = sessions_[turn_];
    turn_ = (turn_ + 1) % busy_;
    if (session.waiting || session.ended) continue;
    session.due = next_due_;
    session.waiting = send(session.fd.get(), query_.data(), query_.size(), MSG_NOSIGNAL) > 0;
  }
}

void PacedGroup::on_readable(Session& session) {
  std::array<char, 4096> buffer;
  const ssize_t got = recv(session.fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  const auto now = Clock::now();
  if (got <= 0) {
    ends_.push_back(now);
    got_error_ += session.got_error ? 1 : 0;
    session.ended = true;
    epoll_.remove(session.fd.get());
    return;
  }
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  session.got_error = session.got_error || bytes.find("57P01") != std::string_view::npos;
  bool answered = false;
  const bool valid =
      session.framer.feed(bytes, [&](char type) { answered = answered || type == 'Z'; });
  if (!valid) throw std::runtime_error("a session received an invalid message");
  if (!answered) return;
  session.waiting = false;
  answers_.push_back({now, now - session.due});
}

Latencies PacedGroup::answered_between(Clock::time_point from, Clock::time_point to) const {
  Latencies found;
  for (const Answer& answer : answers_) {
    if (answer.at >= from && answer.at < to) found.add(answer.took);
  }
  return found;
}

}  // namespace pgsteer
