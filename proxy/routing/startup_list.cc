#include "proxy/routing/startup_list.h"

#include <algorithm>

namespace pgsteer {

namespace {

constexpr std::size_t index(StartupList::Turn turn) { return static_cast<std::size_t>(turn); }

std::uint32_t keep_us_waiting(const auto& counts) {
  return counts[index(StartupList::Turn::kSilent)] + counts[index(StartupList::Turn::kClients)] +
         counts[index(StartupList::Turn::kInLogin)];
}

}  // namespace

StartupList::Place::Place(StartupList& list, SlotUser& session, std::uint64_t client)
    : list_(&list), session_(session), client_(client), since_(Clock::now()) {
  std::list<Place*>& silent = list.of(Turn::kSilent);
  at_ = silent.insert(silent.end(), this);
  list.add(*this);
  if (silent.size() > list.most_silent_) list.end_one_silent();
}

void StartupList::Place::take_turn(Turn turn) {
  if (list_ == nullptr || turn_ == turn) return;
  std::list<Place*>& to = list_->of(turn);
  to.splice(to.end(), list_->of(turn_), at_);
  const auto counts = list_->of_client_.find(client_);
  --counts->second[index(turn_)];
  ++counts->second[index(turn)];
  turn_ = turn;
  since_ = Clock::now();
}

void StartupList::Place::belongs_to(std::uint64_t client) {
  if (list_ == nullptr) return;
  list_->remove(*this);
  client_ = client;
  list_->add(*this);
}

void StartupList::Place::leave() {
  if (list_ == nullptr) return;
  list_->of(turn_).erase(at_);
  list_->remove(*this);
  list_ = nullptr;
}

void StartupList::add(const Place& place) { ++of_client_[place.client_][index(place.turn_)]; }

void StartupList::remove(const Place& place) {
  const auto counts = of_client_.find(place.client_);
  --counts->second[index(place.turn_)];
  if (counts->second == Counts{}) of_client_.erase(counts);
}

// Of the address that has most silent connections the oldest one; without a crowd the oldest of
// all.
void StartupList::end_one_silent() {
  const auto count = [](const Counts& counts) { return counts[index(Turn::kSilent)]; };
  const auto busiest = busiest_by(count);
  std::list<Place*>& silent = of(Turn::kSilent);
  if (count(busiest->second) <= kFew) return end(*silent.front());
  end(**std::ranges::find(silent, busiest->first, &Place::client_));
}

// It leaves at once: its session takes a turn of the loop to end.
void StartupList::end(Place& place) {
  place.leave();
  place.session_.end(EndReason::kCrowdedOut, "pgsteer: too many clients that have not logged in");
}

StartupList::Place* StartupList::choose(Need need, Clock::time_point now) {
  if (of_client_.empty()) return nullptr;
  const auto late = busiest_by([](const Counts& counts) { return keep_us_waiting(counts); });
  // Without a crowd of one address there is only patience to tell who has to go.
  const bool crowd = keep_us_waiting(late->second) > kFew;
  const bool at_once = crowd && need == Need::kNow;
  const auto oldest = [&](Turn turn, Clock::duration patience) -> Place* {
    const auto may_go = [&](const Place* p) { return !crowd || p->client_ == late->first; };
    const auto at = std::ranges::find_if(of(turn), may_go);
    const bool waits = at != of(turn).end() && (at_once || now - (*at)->since_ >= patience);
    return waits ? *at : nullptr;
  };
  Place* const silent = oldest(Turn::kSilent, crowd ? Clock::duration(kBeginning) : kPatience);
  Place* const slow = oldest(Turn::kClients, kPatience);
  const bool slow_first =
      silent == nullptr || (at_once && slow != nullptr && slow->since_ < silent->since_);
  Place* const first = slow_first ? slow : silent;
  if (first != nullptr && now < logins_spared_until_) return first;
  if (Place* const in_login = oldest(Turn::kInLogin, kPatience)) {
    logins_spared_until_ = now + kLoginPause;
    return in_login;
  }
  if (first != nullptr) return first;
  return need == Need::kNow ? newest_served() : nullptr;
}

// Of the address that has most of them: those who wait already have waited for something.
StartupList::Place* StartupList::newest_served() {
  const auto count = [](const Counts& counts) { return counts[index(Turn::kOurs)]; };
  const auto busiest = busiest_by(count);
  if (count(busiest->second) <= kFew) return nullptr;
  std::list<Place*>& served = of(Turn::kOurs);
  return *std::ranges::find(served.rbegin(), served.rend(), busiest->first, &Place::client_);
}

std::size_t StartupList::size() const {
  std::size_t all = 0;
  for (const auto& turn : turns_) all += turn.size();
  return all;
}

void StartupList::make_room(std::size_t count, std::size_t spared, Need need,
                            Clock::time_point now) {
  for (; count > 0 && size() > spared; --count) {
    Place* const place = choose(need, now);
    if (place == nullptr) return;
    end(*place);
  }
}

}  // namespace pgsteer
