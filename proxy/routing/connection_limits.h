// Who may come in: networks, and how many from where. Pure: the clock is passed in. Owned by the
// door, on its worker's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "config/config.h"
#include "proxy/net/client_address.h"
#include "proxy/routing/end_reason.h"

namespace pgsteer {

// One listener's gate.
class ConnectionLimits {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  explicit ConnectionLimits(const ListenConfig& config) : config_(config) {}

  // EndReason::kNone: let in and counted; leave() gives its place back. kDenied and kTooFast are to
  // be closed without a word, the others may be told.
  EndReason admit(const ClientAddress& peer, Instant now);
  void leave(const ClientAddress& peer);

 private:
  // An address that has sessions, or had new ones within the last second.
  struct Client {
    std::uint32_t sessions = 0;
    std::uint32_t begun = 0;  // since `second`
    Instant second{};
  };
  struct Hash {
    std::size_t operator()(const IpAddress& address) const;
  };

  bool allowed(const ClientAddress& peer) const;
  void forget_quiet(Instant now);

  const ListenConfig& config_;
  std::uint64_t sessions_ = 0;
  std::unordered_map<IpAddress, Client, Hash> clients_;
  std::size_t sweep_at_ = 1024;
};

}  // namespace pgsteer
