#include "stats/http_connections.h"

#include <algorithm>
#include <tuple>

namespace pgsteer {
namespace {

// Who has one IPv6 address usually has 2^64 of them. IPv4 is stored in its mapped form.
IpAddress network_of(IpAddress address) {
  if (!is_mapped_ipv4(address)) std::fill(address.begin() + 8, address.end(), std::uint8_t{0});
  return address;
}

}  // namespace

std::optional<int> HttpConnections::opened(int fd, const IpAddress& client, Clock::time_point now) {
  const IpAddress network = network_of(client);
  std::optional<int> ended;
  if (count(&network) >= limits_.connections_per_client) {
    ended = end_one(&network);
  } else if (count(nullptr) >= limits_.connections) {
    ended = end_one(nullptr);
  }
  connections_[fd] = {.network = network, .since = now};
  return ended;
}

void HttpConnections::set(int fd, bool answering, Clock::time_point now) {
  const auto at = connections_.find(fd);
  if (at == connections_.end()) return;
  at->second.answering = answering;
  at->second.since = now;
}

std::vector<int> HttpConnections::late(Clock::time_point now) {
  std::vector<int> found;
  for (auto& [fd, connection] : connections_) {
    const auto limit = connection.answering ? limits_.answer : limits_.request;
    if (connection.ending || now - connection.since < limit) continue;
    connection.ending = true;
    found.push_back(fd);
  }
  return found;
}

// Of one network, or of all.
std::size_t HttpConnections::count(const IpAddress* network) const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [&](const auto& each) {
        return !each.second.ending && (network == nullptr || each.second.network == *network);
      }));
}

// Who has not sent a complete request goes first, and then the oldest.
std::optional<int> HttpConnections::end_one(const IpAddress* network) {
  const auto rank = [](const Connection& c) { return std::tuple(c.answering, c.since); };
  auto worst = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    const Connection& connection = at->second;
    if (connection.ending || (network != nullptr && connection.network != *network)) continue;
    if (worst == connections_.end() || rank(connection) < rank(worst->second)) worst = at;
  }
  if (worst == connections_.end()) return std::nullopt;
  worst->second.ending = true;
  return worst->first;
}

}  // namespace pgsteer
