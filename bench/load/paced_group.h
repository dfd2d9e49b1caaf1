// Sessions of which some ask a short query now and then, at fixed times, and which may be ended by
// the other side at any moment: who was asked when, who was answered when, who ended when. What has
// ended is closed only in the end, so that thousands of closes, which elsewhere are the work of
// other machines, are not part of what is measured. One thread, one epoll set.
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
  // The first `busy` of `fds` ask `rate` queries a second together; the others say nothing.
  PacedGroup(std::vector<Fd> fds, std::size_t busy, double rate);

  // Until `stop` is true or every session has ended.
  void run(const std::atomic<bool>& stop);

  // After run(). An answer's latency counts from the moment at which its query was due.
  Latencies answered_between(Clock::time_point from, Clock::time_point to) const;
  std::size_t ended() const { return ends_.size(); }
  std::size_t told() const { return told_; }  // with SQLSTATE 57P01
  Clock::time_point first_end() const { return ends_.front(); }
  Clock::time_point last_end() const { return ends_.back(); }

 private:
  struct Session {
    Fd fd;
    Hopper hopper;
    Clock::time_point due;  // of the query that is under way
    bool waiting = false;
    bool told = false;
    bool ended = false;  // by the other side; closed here when all is over
  };
  struct Answer {
    Clock::time_point at;
    Clock::duration took;
  };

  void ask_due(Clock::time_point now);
  void hear(Session& session);

  std::vector<Session> sessions_;
  const std::size_t busy_;
  const Clock::duration gap_;
  const std::string query_;
  Clock::time_point next_due_;
  std::size_t turn_ = 0;
  std::vector<Answer> answers_;
  std::vector<Clock::time_point> ends_;
  std::size_t told_ = 0;
  Epoll epoll_;
};

}  // namespace pgsteer
