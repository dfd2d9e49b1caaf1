#include "proxy/routing/connection_limits.h"

#include <algorithm>

namespace pgsteer {

std::size_t ConnectionLimits::Hash::operator()(const IpAddress& address) const {
  return ClientAddress{.address = address}.table_key();
}

bool ConnectionLimits::allowed(const ClientAddress& client) const {
  if (client.unix_socket) return true;  // the file's permissions decide
  const auto inside = [&client](const Network& network) {
    return network.contains(client.address);
  };
  if (std::any_of(config_.deny.begin(), config_.deny.end(), inside)) return false;
  return config_.allow.empty() || std::any_of(config_.allow.begin(), config_.allow.end(), inside);
}

EndReason ConnectionLimits::admit(const ClientAddress& client, Instant now) {
  if (!allowed(client)) return EndReason::kDenied;
  const bool by_client =
      config_.max_connections_per_client != 0 || config_.new_connections_per_client != 0;
  if (by_client && !client.unix_socket) {
    if (clients_.size() >= sweep_at_) forget_quiet(now);
    Client& known = clients_[client.limited_as()];
    if (now - known.second >= std::chrono::seconds(1)) {
      known.second = now;
      known.begun = 0;
    }
    if (config_.new_connections_per_client != 0 &&
        known.begun >= config_.new_connections_per_client) {
      return EndReason::kTooFast;
    }
    if (config_.max_connections_per_client != 0 &&
        known.sessions >= config_.max_connections_per_client) {
      return EndReason::kTooManyPerClient;
    }
    if (config_.max_connections != 0 && sessions_ >= config_.max_connections) {
      return EndReason::kTooManyConnections;
    }
    ++known.begun;
    ++known.sessions;
  } else if (config_.max_connections != 0 && sessions_ >= config_.max_connections) {
    return EndReason::kTooManyConnections;
  }
  ++sessions_;
  return EndReason::kNone;
}

void ConnectionLimits::leave(const ClientAddress& client) {
  --sessions_;
  const auto known = clients_.find(client.limited_as());
  if (known != clients_.end() && known->second.sessions > 0) --known->second.sessions;
}

// Addresses come and go without bound; those with nothing left to remember are dropped whenever the
// table has doubled, so that the sweep costs a constant share of each admission.
void ConnectionLimits::forget_quiet(Instant now) {
  std::erase_if(clients_, [now](const auto& entry) {
    return entry.second.sessions == 0 && now - entry.second.second >= std::chrono::seconds(1);
  });
  sweep_at_ = std::max<std::size_t>(1024, clients_.size() * 2);
}

}  // namespace pgsteer
