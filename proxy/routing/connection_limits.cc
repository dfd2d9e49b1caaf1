#include "proxy/routing/connection_limits.h"

#include <algorithm>

namespace pgsteer {

std::size_t ConnectionLimits::Hash::operator()(const IpAddress& address) const {
  return ClientAddress{.address = address}.table_key();
}

namespace {

bool allowed(const ListenConfig& listen, const ClientAddress& client) {
  if (client.unix_socket) return true;  // the file's permissions decide
  const auto inside = [&client](const Network& network) {
    return network.contains(client.address);
  };
  if (std::any_of(listen.deny.begin(), listen.deny.end(), inside)) return false;
  return listen.allow.empty() || std::any_of(listen.allow.begin(), listen.allow.end(), inside);
}

bool reached(std::uint32_t limit, std::uint64_t count) { return limit != 0 && count >= limit; }

}  // namespace

// Addresses are counted without a limit, too: a reload may set one.
EndReason ConnectionLimits::admit(const ListenConfig& listen, const ClientAddress& client,
                                  Instant now) {
  if (!allowed(listen, client)) return EndReason::kDenied;
  if (client.unix_socket) {
    if (reached(listen.max_connections, sessions_)) return EndReason::kTooManyConnections;
    ++sessions_;
    return EndReason::kNone;
  }
  if (clients_.size() >= sweep_at_) forget_quiet(now);
  Client& known = clients_[client.limited_as()];
  if (now - known.second >= std::chrono::seconds(1)) {
    known.second = now;
    known.begun = 0;
  }
  if (reached(listen.new_connections_per_client, known.begun)) return EndReason::kTooFast;
  if (reached(listen.max_connections_per_client, known.sessions)) {
    return EndReason::kTooManyPerClient;
  }
  if (reached(listen.max_connections, sessions_)) return EndReason::kTooManyConnections;
  ++known.begun;
  ++known.sessions;
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
