// The HTTP connections of one listening socket, and which of them have to go so that others get
// their turn: those that are late, and in a crowd the one that has kept its place longest without a
// complete request. So whoever sends a whole request at once is answered, however many others hold
// connections open. Pure: who owns it keeps the lock and shuts the sockets down.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "config/ip_address.h"

namespace pgsteer {

struct HttpLimits {
  std::size_t connections = 96;  // from here on, each new connection ends another
  // The same for one client address (IPv6: one /64). Browsers open 6, and several scrapers may
  // share one address.
  std::size_t connections_per_client = 24;
  std::chrono::milliseconds request{10'000};  // to read a whole request, from accept or last answer
  std::chrono::milliseconds answer{30'000};   // to send the answer
};

class HttpConnections {
 public:
  using Clock = std::chrono::steady_clock;

  explicit HttpConnections(const HttpLimits& limits) : limits_(limits) {}

  // A connection was accepted. Returns the one that has to go for it, if one has to.
  std::optional<int> opened(int fd, const IpAddress& client, Clock::time_point now);
  // Its request is complete; its answer is complete, and it may send another request.
  void request_read(int fd, Clock::time_point now) { set(fd, true, now); }
  void answered(int fd, Clock::time_point now) { set(fd, false, now); }
  // To be called before the descriptor is closed: its number may be given out again.
  void closed(int fd) { connections_.erase(fd); }
  // Those that are late, each once.
  std::vector<int> late(Clock::time_point now);

 private:
  struct Connection {
    IpAddress network{};
    Clock::time_point since{};  // accepted, request read or answer sent
    bool answering = false;
    bool ending = false;  // its end has been asked for
  };

  void set(int fd, bool answering, Clock::time_point now);
  std::size_t count(const IpAddress* network) const;
  std::optional<int> end_one(const IpAddress* network);

  const HttpLimits limits_;
  std::map<int, Connection> connections_;  // by descriptor
};

}  // namespace pgsteer
