// The exact latencies of one thread: every value is kept. Not thread-safe; merge at the end.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

namespace pgsteer {

using Clock = std::chrono::steady_clock;

class Latencies {
 public:
  Latencies() { ns_.reserve(1 << 20); }

  void add(Clock::duration took) {
    ns_.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
  }
  void merge(const Latencies& other) { ns_.insert(ns_.end(), other.ns_.begin(), other.ns_.end()); }
  std::size_t count() const { return ns_.size(); }

  // In microseconds; 0 if nothing was measured. `share`: 0.5 is the median, 1 the maximum.
  double at(double share) {
    if (ns_.empty()) return 0;
    const auto last = static_cast<double>(ns_.size() - 1);
    const auto nth = ns_.begin() + static_cast<std::ptrdiff_t>(share * last);
    std::nth_element(ns_.begin(), nth, ns_.end());
    return static_cast<double>(*nth) / 1000.0;
  }

 private:
  std::vector<std::int64_t> ns_;
};

// A measured window. Everything before `begin` is warm-up.
struct Window {
  Clock::time_point begin;
  Clock::time_point end;
};

}  // namespace pgsteer
