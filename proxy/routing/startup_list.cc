#include "proxy/routing/startup_list.h"

#include <algorithm>
#include <numeric>

namespace pgsteer {

namespace {

std::uint32_t total(const auto& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint32_t{0});
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
  list_->remove(*this);
  turn_ = turn;
  list_->add(*this);
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

void StartupList::add(const Place& place) {
  ++of_client_[place.client_][static_cast<std::size_t>(place.turn_)];
}

void StartupList::remove(const Place& place) {
  const auto counts = of_client_.find(place.client_);
  --counts->second[static_cast<std::size_t>(place.turn_)];
  if (total(counts->second) == 0) of_client_.erase(counts);
}

// Of the address that has most silent connections the oldest one.
void StartupList::end_one_silent() {
  constexpr auto kSilent = static_cast<std::size_t>(Turn::kSilent);
  const auto busiest = std::ranges::max_element(
      of_client_, {}, [](const auto& client) { return client.second[kSilent]; });
  end(**std::ranges::find(of(Turn::kSilent), busiest->first, &Place::client_));
}

// It leaves at once: its session takes a turn of the loop to end.
void StartupList::end(Place& place) {
  place.leave();
  place.session_.end(EndReason::kCrowdedOut, "pgsteer: too many clients that have not logged in");
}

StartupList::Place* StartupList::choose(Need need, Clock::time_point now) {
  const auto busiest = std::ranges::max_element(
      of_client_, {}, [](const auto& client) { return total(client.second); });
  if (busiest == of_client_.end()) return nullptr;
  // Without a crowd of one address there is only patience to tell who has to go.
  const bool crowd = total(busiest->second) > kFew;
  const auto may_go = [&](const Place* place) {
    return !crowd || place->client_ == busiest->first;
  };
  const auto oldest = [&](Turn turn, Clock::duration patience) -> Place* {
    const auto at = std::ranges::find_if(of(turn), may_go);
    return at != of(turn).end() && now - (*at)->since_ >= patience ? *at : nullptr;
  };
  const bool at_once = crowd && need == Need::kNow;
  const Clock::duration none{0};
  Place* const silent = oldest(Turn::kSilent, at_once ? none : crowd ? kBeginning : kPatience);
  Place* const slow = oldest(Turn::kClients, at_once ? none : kPatience);
  if (silent != nullptr && slow != nullptr && at_once) {
    return slow->since_ < silent->since_ ? slow : silent;
  }
  if (silent != nullptr || slow != nullptr) return silent != nullptr ? silent : slow;
  if (!at_once) return nullptr;
  // The newest: those who wait already have waited for something.
  std::list<Place*>& served = of(Turn::kOurs);
  const auto newest = std::find_if(served.rbegin(), served.rend(), may_go);
  return newest != served.rend() ? *newest : nullptr;
}

std::size_t StartupList::size() const {
  return turns_[0].size() + turns_[1].size() + turns_[2].size();
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
