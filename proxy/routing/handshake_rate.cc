#include "proxy/routing/handshake_rate.h"

#include <algorithm>
#include <array>

namespace pgsteer {

bool HandshakeRate::begin(std::uint64_t client, std::uint32_t limit, Instant now) {
  if (limit == 0) return true;
  const auto second = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  std::array<std::atomic<std::uint64_t>*, kRows> mine{};
  std::uint64_t begun = UINT32_MAX;
  for (std::size_t i = 0; i < kRows; ++i) {
    mine[i] = &cells_[i * kCells + (client >> (i * 32)) % kCells];
    const std::uint64_t seen = mine[i]->load(std::memory_order_relaxed);
    begun = std::min(begun, seen >> 32 == second ? seen & UINT32_MAX : 0);
  }
  if (begun >= limit) return false;
  for (auto* const cell : mine) {
    const std::uint64_t seen = cell->load(std::memory_order_relaxed);
    cell->store(seen >> 32 == second ? seen + 1 : (second << 32 | 1), std::memory_order_relaxed);
  }
  return true;
}

}  // namespace pgsteer
