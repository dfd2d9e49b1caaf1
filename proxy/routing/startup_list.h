// The connections that have not logged in, and which of them give way when there are too many. Who
// has only connected proves nothing: a stranger can hold a descriptor, a place in a queue and a
// backend without ever knowing a password. So, when something runs short, the client address that
// has most of these connections gives up one first, and an address with few of them loses none to
// a crowd from elsewhere. Owned by a worker, used on its thread.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "proxy/routing/node_slots.h"

namespace pgsteer {

class StartupList {
 public:
  using Clock = std::chrono::steady_clock;

  // Whom a connection waits for.
  enum class Turn : std::uint8_t {
    kSilent,   // its client, who has said nothing yet; a byte or two do not count
    kClients,  // its client, who has said something
    kInLogin,  // its client, whose login a node has begun
    kOurs,     // pgsteer or a node
  };
  enum class Need : std::uint8_t {
    kSoon,  // who has spoken may keep us waiting for kPatience, as clients of a mass reconnect do
    kNow,   // the last descriptors
  };

  // A connection's place in the list, silent at first. Left with its destruction.
  class Place {
   public:
    // `client`: ClientAddress::table_key(). Both references outlive the place.
    Place(StartupList& list, SlotUser& session, std::uint64_t client);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { leave(); }

    // Waits for its client from now on, if it has not done so before; waits for us.
    void awaits_client() { take_turn(Turn::kClients); }
    void awaits_client_in_login() { take_turn(Turn::kInLogin); }
    void is_served() { take_turn(Turn::kOurs); }
    // Its PROXY header has said whose it is.
    void belongs_to(std::uint64_t client);

   private:
    friend class StartupList;
    void take_turn(Turn turn);
    void leave();

    StartupList* list_;
    SlotUser& session_;
    std::uint64_t client_;
    Clock::time_point since_;  // it was this one's turn
    Turn turn_ = Turn::kSilent;
    std::list<Place*>::iterator at_;
  };

  // For this long a client that has spoken may keep us waiting, unless nothing is left; and one
  // that has only connected.
  static constexpr std::chrono::seconds kPatience{1};
  static constexpr std::chrono::milliseconds kBeginning{50};
  // While others could go, one login ends in this time at most.
  static constexpr std::chrono::milliseconds kLoginPause{50};
  // An address with no more connections than this is no crowd: they have that time in any case.
  static constexpr std::uint32_t kFew = 2;

  // `most_silent`: connections that have said nothing yet; one more and the oldest gives way.
  explicit StartupList(std::size_t most_silent) : most_silent_(most_silent) {}

  // Ends up to `count` connections with kCrowdedOut, but keeps `spared`: of the address that keeps
  // us waiting with most of them, if those are more than kFew, the oldest, with kSoon a silent one
  // first; if no address has more, the oldest of all, after kPatience. Of those whose
  // login a node has begun only one goes now and then: they would come back and make the server
  // fork again. With kNow, then, of the address that waits for us with most of them the newest.
  void make_room(std::size_t count, std::size_t spared, Need need, Clock::time_point now);

 private:
  static constexpr std::size_t kTurns = 4;
  using Counts = std::array<std::uint32_t, kTurns>;  // of one client address, by turn

  std::list<Place*>& of(Turn turn) { return turns_[static_cast<std::size_t>(turn)]; }
  std::size_t size() const;
  void end_one_silent();
  // The client address for which `count` gives most; there is one.
  auto busiest_by(auto count) const {
    return std::ranges::max_element(of_client_, {},
                                    [count](const auto& client) { return count(client.second); });
  }
  Place* newest_served();
  Place* choose(Need need, Clock::time_point now);
  static void end(Place& place);
  void add(const Place& place);
  void remove(const Place& place);

  std::array<std::list<Place*>, kTurns> turns_;  // each with the oldest first
  std::unordered_map<std::uint64_t, Counts> of_client_;
  std::size_t most_silent_;
  Clock::time_point logins_spared_until_{};
};

}  // namespace pgsteer
