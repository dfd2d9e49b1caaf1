// The clients of one listener that wait for a node, in the order in which they came, with those of
// each client address in a row of their own: whoever serves the queue can leave out an address that
// has had its share, however many of its clients wait. Owned by a worker. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pgsteer {

struct SlotRequest;

class HoldQueue {
 public:
  enum class Next : std::uint8_t {
    kRequest,  // the next request
    kAddress,  // no more of this client address
    kStop,
  };

  // At its place by SlotRequest::arrived. The request stays at its address until remove().
  void add(SlotRequest& request);
  // False: it is not in the queue.
  bool remove(const SlotRequest& request);
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::size_t count(std::uint64_t client) const;
  // Of the client address that has most requests here the last one that has been granted nothing
  // and is not ending. Null: there is none.
  SlotRequest* last_of_most() const;

  // Calls `offer`, which gives a Next, for one request after the other in order of arrival. It must
  // not change the queue.
  template <class Offer>
  void visit(Offer offer) const;

 private:
  using Row = std::deque<SlotRequest*>;
  struct Cursor {
    const Row* row;
    std::size_t at;
  };
  static bool later(const Cursor& a, const Cursor& b);

  std::unordered_map<std::uint64_t, Row> rows_;  // by client address; none is empty
  std::size_t size_ = 0;
};

template <class Offer>
void HoldQueue::visit(Offer offer) const {
  std::vector<Cursor> heads;
  heads.reserve(rows_.size());
  for (const auto& [client, row] : rows_) heads.push_back({&row, 0});
  std::make_heap(heads.begin(), heads.end(), &later);
  while (!heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), &later);
    Cursor& head = heads.back();
    const Next next = offer(*(*head.row)[head.at]);
    if (next == Next::kStop) return;
    if (next == Next::kRequest && ++head.at < head.row->size()) {
      std::push_heap(heads.begin(), heads.end(), &later);
    } else {
      heads.pop_back();
    }
  }
}

}  // namespace pgsteer
