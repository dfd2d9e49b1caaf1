// Virtual time: a queue of events. Events due at the same instant happen in the order in which they
// were added, so that a run depends on its seed alone.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "health/evidence.h"
#include "tests/simulation/dice.h"

namespace pgsteer {

class Agenda {
 public:
  Instant now() const { return now_; }

  void at(Instant when, std::function<void()> what) {
    entries_.push_back({std::max(when, now_), ++serial_, std::move(what)});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  void after(Span delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  // Moves time to the next event and lets it happen.
  void step() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    now_ = entry.due;
    entry.what();
  }

 private:
  struct Entry {
    Instant due;
    std::uint64_t serial;
    std::function<void()> what;
  };
  static bool later(const Entry& a, const Entry& b) {
    return std::pair(a.due, a.serial) > std::pair(b.due, b.serial);
  }

  Instant now_ = Instant{} + std::chrono::hours(1);
  std::uint64_t serial_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace pgsteer
