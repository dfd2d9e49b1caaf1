// Chance for the simulation: every draw comes from one seed, so that a seed replays exactly. The
// standard distributions are avoided, as their results differ between libraries.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace pgsteer {

using Span = std::chrono::nanoseconds;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  // splitmix64, by Sebastiano Vigna (public domain algorithm).
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }
  template <typename T, std::size_t N>
  const T& pick(const T (&from)[N]) {
    return from[below(N)];
  }
  Span between(Span low, Span high) {
    if (high <= low) return low;
    const auto width = static_cast<std::uint64_t>((high - low).count()) + 1;
    return low + Span(static_cast<std::int64_t>(next() % width));
  }
  // Most draws near `low`, a few near `high`: the halving of the width is itself drawn.
  Span skewed(Span low, Span high) {
    const Span width = (high - low) / (std::int64_t{1} << below(6));
    return between(low, low + width);
  }

 private:
  std::uint64_t state_;
};

}  // namespace pgsteer
