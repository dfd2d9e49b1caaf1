// Clients that wait for a node, in the order in which they came. Owned by a worker.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

namespace pgsteer {

class Session;

class HoldQueue {
 public:
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }
  Session* at(std::size_t i) const { return waiting_[i]; }
  void add(Session* session) { waiting_.push_back(session); }
  void remove(Session* session) {
    // Mostly the first: the queue is served, and patience ends, in order.
    const auto at = std::find(waiting_.begin(), waiting_.end(), session);
    if (at != waiting_.end()) waiting_.erase(at);
  }

 private:
  std::deque<Session*> waiting_;
};

}  // namespace pgsteer
