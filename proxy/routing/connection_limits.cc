#include "proxy/routing/connection_limits.h"

#include <algorithm>

namespace pgsteer {

std::size_t ConnectionLimits::Hash::operator()(const IpAddress& address) const {
  return ClientAddress{.address = address}.hash();
}

bool ConnectionLimits::allowed(const ClientAddress& peer) const {
  if (peer.unix_socket) return true;  // the file's permissions decide
  const auto inside = [&peer](const Network& network) { return network.contains(peer.address); };
  if (std::any_of(config_.deny.begin(), config_.deny.end(), inside)) return false;
  return config_.allow.empty() || std::any_of(config_.allow.begin(), config_.allow.end(), inside);
}

EndReason ConnectionLimits::admit(const ClientAddress& peer, Instant now) {
  if (!allowed(peer)) return EndReason::kDenied;
  const bool by_client =
      config_.max_connections_per_client != 0 || config_.new_connections_per_client != 0;
  if (by_client && !peer.unix_socket) {
    if (clients_.size() >= sweep_at_) forget_quiet(now);
    Client& client = clients_[peer.address];
    if (now - client.second >= std::chrono::seconds(1)) {
      client.second = now;
      client.begun = 0;
    }
    if (config_.new_connections_per_client != 0 &&
        client.begun >= config_.new_connections_per_client) {
      return EndReason::kTooFast;
    }
    if (config_.max_connections_per_client != 0 &&
        client.sessions >= config_.max_connections_per_client) {
      return EndReason::kTooManyPerClient;
    }
    if (config_.max_connections != 0 && sessions_ >= config_.max_connections) {
      return EndReason::kTooManyConnections;
    }
    ++client.begun;
    ++client.sessions;
  } else if (config_.max_connections != 0 && sessions_ >= config_.max_connections) {
    return EndReason::kTooManyConnections;
  }
  ++sessions_;
  return EndReason::kNone;
}

void ConnectionLimits::leave(const ClientAddress& peer) {
  --sessions_;
  const auto client = clients_.find(peer.address);
  if (client != clients_.end() && client->second.sessions > 0) --client->second.sessions;
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
