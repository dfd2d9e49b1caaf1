#include "stats/connection_guard.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace pgsteer {
namespace {

constexpr std::chrono::milliseconds kPause{1'000};

IpAddress address_of(const sockaddr* client) {
  IpAddress address{};
  if (client == nullptr) return address;
  if (client->sa_family == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(client);
    std::memcpy(address.data(), &v6->sin6_addr, address.size());
  } else if (client->sa_family == AF_INET) {
    const auto* const v4 = reinterpret_cast<const sockaddr_in*>(client);
    address = map_ipv4(&v4->sin_addr);
  }
  return address;
}

// Nothing is lost that a client still waits for: it has not sent its request, or was too slow.
void end(int fd) { ::shutdown(fd, SHUT_RDWR); }

}  // namespace

ConnectionGuard::ConnectionGuard(const HttpLimits& limits)
    : pause_(std::min<Clock::duration>(kPause, limits.request / 2)),
      connections_(limits),
      thread_([this](const std::stop_token& stop) { look_for_late_ones(stop); }) {}

void ConnectionGuard::opened(int fd, const sockaddr* client) {
  const std::lock_guard lock(mutex_);
  if (const auto other = connections_.opened(fd, address_of(client), Clock::now())) end(*other);
}

void ConnectionGuard::request_read(int fd) {
  const std::lock_guard lock(mutex_);
  connections_.request_read(fd, Clock::now());
}

void ConnectionGuard::answered(int fd) {
  const std::lock_guard lock(mutex_);
  connections_.answered(fd, Clock::now());
}

void ConnectionGuard::closed(int fd) {
  const std::lock_guard lock(mutex_);
  connections_.closed(fd);
}

void ConnectionGuard::look_for_late_ones(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    for (const int fd : connections_.late(Clock::now())) end(fd);
    wakeup_.wait_for(lock, stop, pause_, [] { return false; });
  }
}

}  // namespace pgsteer
