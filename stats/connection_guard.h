// Keeps HTTP connections from holding their places: shuts those down that HttpConnections names,
// and looks for late ones about once a second. The HTTP library then closes them. Created and
// destroyed by StatsServer's owner; the other functions are called on HTTP threads.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "stats/http_connections.h"

struct sockaddr;

namespace pgsteer {

class ConnectionGuard {
 public:
  explicit ConnectionGuard(const HttpLimits& limits);

  void opened(int fd, const sockaddr* client);
  void request_read(int fd);
  void answered(int fd);
  // Returns when nobody will touch the descriptor any more.
  void closed(int fd);

 private:
  using Clock = HttpConnections::Clock;

  void look_for_late_ones(const std::stop_token& stop);

  const Clock::duration pause_;
  std::mutex mutex_;
  std::condition_variable_any wakeup_;
  HttpConnections connections_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace pgsteer
