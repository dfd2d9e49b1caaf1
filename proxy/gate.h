// Who may come in: networks, and how many from where. Pure: the clock is passed in. Owned by the
// door, on its worker's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "config/config.h"
#include "proxy/end.h"
#include "proxy/peer.h"

namespace pgsteer {

// One listener's gate.
class Gate {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  explicit Gate(const ListenConfig& config) : config_(config) {}

  // End::kNone: let in and counted; leave() gives its place back. kDenied and kTooFast are to be
  // closed without a word, the others may be told.
  End admit(const Peer& peer, Instant now);
  void leave(const Peer& peer);

 private:
  // An address that has sessions, or had new ones within the last second.
  struct Client {
    std::uint32_t sessions = 0;
    std::uint32_t begun = 0;  // since `second`
    Instant second{};
  };
  struct Hash {
    std::size_t operator()(const std::array<std::uint8_t, 16>& address) const;
  };

  bool allowed(const Peer& peer) const;
  void forget_quiet(Instant now);

  const ListenConfig& config_;
  std::uint64_t sessions_ = 0;
  std::unordered_map<std::array<std::uint8_t, 16>, Client, Hash> clients_;
  std::size_t sweep_at_ = 1024;
};

}  // namespace pgsteer
