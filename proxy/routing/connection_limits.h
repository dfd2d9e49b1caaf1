// Which clients may connect: allowed networks, and how many clients in all and per address. Pure:
// the clock is passed in. Owned by the acceptor, used on its thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "config/config.h"
#include "proxy/net/client_address.h"
#include "proxy/routing/end_reason.h"

namespace pgsteer {

// The limits of one listener.
class ConnectionLimits {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // kNone: the client is admitted and counted until leave(). With kDenied and kTooFast its
  // connection is to be closed without an answer; for the other reasons it may get an error.
  EndReason admit(const ListenConfig& listen, const ClientAddress& client, Instant now);
  void leave(const ClientAddress& client);

 private:
  // An address (of IPv6: its /64) that has sessions, or had new ones within the last second.
  struct Client {
    std::uint32_t sessions = 0;
    std::uint32_t begun = 0;  // since `second`
    Instant second{};
  };
  struct Hash {
    std::size_t operator()(const IpAddress& address) const;
  };

  void forget_quiet(Instant now);

  std::uint64_t sessions_ = 0;
  std::unordered_map<IpAddress, Client, Hash> clients_;
  std::size_t sweep_at_ = 1024;
};

}  // namespace pgsteer
