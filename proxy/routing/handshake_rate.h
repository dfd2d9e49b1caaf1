// How many TLS handshakes each client address has begun in this second. A handshake is the most
// expensive thing that a stranger can ask for.
//
// One table for all workers, in a fixed amount of memory, however many addresses come: each address
// counts in one cell of each of two rows, and the smaller count is its own or too high. Who shares
// both cells with a busy address shares its limit for that second. Pure; any thread, without a
// lock: threads that look at the same moment may exceed a limit by one each.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgsteer {

class HandshakeRate {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  HandshakeRate() : cells_(kRows * kCells) {}

  // Counts a handshake of the client with this key (a seeded hash), unless it has begun `limit` of
  // them in this second. False: it may not begin now. `limit` 0: no limit.
  bool begin(std::uint64_t client, std::uint32_t limit, Instant now);

  static constexpr std::size_t kRows = 2;
  static constexpr std::size_t kCells = 4096;

 private:
  // The second in the upper half, the count in the lower one.
  std::vector<std::atomic<std::uint64_t>> cells_;
};

}  // namespace pgsteer
