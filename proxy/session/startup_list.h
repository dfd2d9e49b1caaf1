// The connections that have not logged in and keep pgsteer waiting, oldest first. A stranger who
// connects and says nothing holds a descriptor for as long as the first packet may take; when there
// are too many of them, the oldest has to go. Who has begun to speak stays: in a mass reconnect
// those are clients, and the time for their first packet bounds them. Only if no descriptor is left
// for others, those go as well who have kept us waiting for longer than a client does. Owned by a
// worker.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>

#include "proxy/routing/node_slots.h"

namespace pgsteer {

class StartupList {
 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    SlotUser* session = nullptr;
    Clock::time_point since;  // it was its turn to speak
  };

 public:
  // A connection's place in the list, left with its destruction.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { leave(); }
    void enter(StartupList& list, SlotUser& session);
    // It has sent what only a PostgreSQL client begins with. A byte or two do not count.
    void spoke();
    void leave();

   private:
    StartupList* list_ = nullptr;
    bool silent_ = true;
    std::list<Entry>::iterator at_;
  };

  // Ended at once when descriptors run short.
  static constexpr int kRoom = 8;
  // For this long a client that has spoken may keep us waiting even then.
  static constexpr std::chrono::seconds kPatience{1};

  // `limit`: of those that have said nothing.
  explicit StartupList(std::size_t limit) : limit_(limit) {}

  // Descriptors run short: ends the oldest that have said nothing, up to kRoom; if there is none,
  // the oldest of the others, beyond kPatience.
  void make_room(Clock::time_point now);

 private:
  static int make_room(std::list<Entry>& of, Clock::time_point before);
  void end_oldest_silent();

  std::list<Entry> silent_;
  std::list<Entry> speaking_;
  std::size_t limit_;
};

inline void StartupList::Place::enter(StartupList& list, SlotUser& session) {
  if (list_ != nullptr) return;
  list_ = &list;
  silent_ = true;
  at_ = list.silent_.insert(list.silent_.end(), {&session, Clock::now()});
  if (list.silent_.size() > list.limit_) list.end_oldest_silent();
}

inline void StartupList::Place::spoke() {
  if (list_ == nullptr || !silent_) return;
  silent_ = false;
  at_->since = Clock::now();
  list_->speaking_.splice(list_->speaking_.end(), list_->silent_, at_);
}

inline void StartupList::Place::leave() {
  if (list_ == nullptr) return;
  (silent_ ? list_->silent_ : list_->speaking_).erase(at_);
  list_ = nullptr;
}

inline void StartupList::end_oldest_silent() {
  for (const Entry& oldest : silent_) {
    if (oldest.session->ending()) continue;  // it will leave in a moment
    return oldest.session->end(EndReason::kCrowdedOut, {});
  }
}

inline void StartupList::make_room(Clock::time_point now) {
  if (make_room(silent_, Clock::time_point::max()) > 0) return;
  make_room(speaking_, now - kPatience);
}

// Those that are ending already count: their room is as good as made.
inline int StartupList::make_room(std::list<Entry>& of, Clock::time_point before) {
  int made = 0;
  for (const Entry& oldest : of) {
    if (made == kRoom || oldest.since > before) break;
    if (!oldest.session->ending()) oldest.session->end(EndReason::kCrowdedOut, {});
    ++made;
  }
  return made;
}

}  // namespace pgsteer
