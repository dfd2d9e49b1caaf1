// Sessions of which some send a short query at fixed times, and which the other side may end at any
// moment. Records when each query was answered and when each session ended. Ended sessions are
// closed only in the destructor: in production other machines close them, so thousands of closes
// must not be part of the measurement. One thread, one epoll set.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/latency.h"
#include "bench/load/net.h"
#include "bench/load/wire.h"

namespace pgsteer {

class PacedGroup {
 public:
  // The first `busy` of `fds` send `rate` queries per second in total; the others stay silent.
  PacedGroup(std::vector<Fd> fds, std::size_t busy, double rate);

  // Runs until `stop` is true or every session has ended.
  void run(const std::atomic<bool>& stop);

  // Call after run(). A latency counts from the time its query was due.
  Latencies answered_between(Clock::time_point from, Clock::time_point to) const;
  std::size_t ended() const { return ends_.size(); }
  std::size_t got_error() const { return got_error_; }  // ended with SQLSTATE 57P01
  Clock::time_point first_end() const { return ends_.front(); }
  Clock::time_point last_end() const { return ends_.back(); }

 private:
  struct Session {
    Fd fd;
    MessageFramer framer;
    Clock::time_point due;  // of the query in flight
    bool waiting = false;
    bool got_error = false;
    bool ended = false;  // by the other side
  };
  struct Answer {
    Clock::time_point at;
    Clock::duration took;
  };

  void send_due(Clock::time_point now);
  void on_readable(Session& session);

  std::vector<Session> sessions_;
  const std::size_t busy_;
  const Clock::duration gap_;
  const std::string query_;
  Clock::time_point next_due_;
  std::size_t turn_ = 0;
  std::vector<Answer> answers_;
  std::vector<Clock::time_point> ends_;
  std::size_t got_error_ = 0;
  Epoll epoll_;
};

}  // namespace pgsteer
