#include "proxy/routing/hold_queue.h"

#include <iterator>

#include "proxy/routing/node_slots.h"

namespace pgsteer {

void HoldQueue::add(SlotRequest& request) {
  Row& row = rows_[request.client];
  auto at = row.end();
  while (at != row.begin() && (*std::prev(at))->arrived > request.arrived) --at;
  row.insert(at, &request);
  ++size_;
}

bool HoldQueue::remove(const SlotRequest& request) {
  const auto row = rows_.find(request.client);
  if (row == rows_.end()) return false;
  // Mostly the first: a row is served, and clients run out of time, in order.
  const auto at = std::find(row->second.begin(), row->second.end(), &request);
  if (at == row->second.end()) return false;
  row->second.erase(at);
  if (row->second.empty()) rows_.erase(row);
  --size_;
  return true;
}

std::size_t HoldQueue::count(std::uint64_t client) const {
  const auto row = rows_.find(client);
  return row != rows_.end() ? row->second.size() : 0;
}

SlotRequest* HoldQueue::last_of_most() const {
  const auto most = std::max_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  if (most == rows_.end()) return nullptr;
  const Row& row = most->second;
  const auto last = std::find_if(row.rbegin(), row.rend(), [](const SlotRequest* request) {
    return !request->granted && !request->user->ending();
  });
  return last != row.rend() ? *last : nullptr;
}

bool HoldQueue::later(const Cursor& a, const Cursor& b) {
  return (*a.row)[a.at]->arrived > (*b.row)[b.at]->arrived;
}

}  // namespace pgsteer
