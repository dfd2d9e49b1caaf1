// The connections that have not said yet what they want, oldest first. A stranger who connects and
// says nothing holds a descriptor for as long as the first packet may take; when there are too many
// of them, the oldest has to go. Owned by a worker.
#pragma once

#include <cstddef>
#include <list>
#include <optional>

#include "proxy/routing/node_slots.h"

namespace pgsteer {

class StartupList {
 public:
  // A connection's place in the list, left with its destruction.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { leave(); }
    void enter(StartupList& list, SlotUser& session);
    void leave();

   private:
    StartupList* list_ = nullptr;
    std::list<SlotUser*>::iterator at_;
  };

  explicit StartupList(std::size_t limit) : limit_(limit) {}

 private:
  std::list<SlotUser*> waiting_;
  std::size_t limit_;
};

inline void StartupList::Place::enter(StartupList& list, SlotUser& session) {
  if (list_ != nullptr) return;
  list_ = &list;
  at_ = list.waiting_.insert(list.waiting_.end(), &session);
  if (list.waiting_.size() <= list.limit_) return;
  for (SlotUser* const oldest : list.waiting_) {
    if (oldest->ending()) continue;  // it will leave in a moment
    return oldest->end(EndReason::kCrowdedOut, {});
  }
}

inline void StartupList::Place::leave() {
  if (list_ == nullptr) return;
  list_->waiting_.erase(at_);
  list_ = nullptr;
}

}  // namespace pgsteer
