// Who is ended when too many connections have not said yet what they want.
#include "proxy/session/startup_list.h"

#include <gtest/gtest.h>

#include <list>
#include <string>

namespace pgsteer {
namespace {

struct Stranger : SlotUser {
  void end(EndReason reason, std::string /*detail*/) override { ended = reason; }
  bool ending() const override { return ended != EndReason::kNone; }
  void resume_soon() override {}

  EndReason ended = EndReason::kNone;
  StartupList::Place place;
};

class StartupListTest : public testing::Test {
 protected:
  Stranger& enter() {
    Stranger& stranger = strangers_.emplace_back();
    stranger.place.enter(list, stranger);
    return stranger;
  }
  const std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  StartupList list{3};

 private:
  std::list<Stranger> strangers_;
};

TEST_F(StartupListTest, TheOldestThatHasSaidNothingGivesWay) {
  Stranger& first = enter();
  Stranger& second = enter();
  enter();
  EXPECT_FALSE(first.ending());
  enter();
  EXPECT_EQ(first.ended, EndReason::kCrowdedOut);
  EXPECT_FALSE(second.ending());
  first.place.leave();
  enter();
  EXPECT_EQ(second.ended, EndReason::kCrowdedOut);
}

// 1,000 of 3,000 clients were ended in the middle of their TLS handshakes.
TEST_F(StartupListTest, AMassOfClientsThatHaveSpokenStays) {
  std::list<Stranger*> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(&enter());
    clients.back()->place.spoke();
    clients.back()->place.spoke();  // once is enough
  }
  for (int i = 0; i < 10; ++i) enter();
  list.make_room(now);
  list.make_room(now);  // not even if nobody silent is left
  for (const Stranger* const client : clients) EXPECT_FALSE(client->ending());
}

// Otherwise a few bytes of each would hold every descriptor for the time of a first packet.
TEST_F(StartupListTest, WhoSpeaksTooSlowlyGivesWayOnceNobodyIsSilent) {
  Stranger& slow = enter();
  slow.place.spoke();
  Stranger& silent = enter();
  list.make_room(now + StartupList::kPatience + std::chrono::seconds(1));
  EXPECT_TRUE(silent.ending());
  list.make_room(now + StartupList::kPatience + std::chrono::seconds(1));
  EXPECT_FALSE(slow.ending()) << "the other one is leaving";
  silent.place.leave();
  list.make_room(now + StartupList::kPatience + std::chrono::seconds(1));
  EXPECT_EQ(slow.ended, EndReason::kCrowdedOut);
}

TEST_F(StartupListTest, MakingRoomEndsAFewOfTheOldest) {
  StartupList large(1'000);
  std::list<Stranger> strangers;
  for (int i = 0; i < 20; ++i) {
    strangers.emplace_back();
    strangers.back().place.enter(large, strangers.back());
  }
  large.make_room(now);
  int ended = 0;
  for (const Stranger& stranger : strangers) {
    EXPECT_EQ(stranger.ending(), ended < StartupList::kRoom);
    ++ended;
  }
  for (Stranger& stranger : strangers) stranger.place.leave();
}

}  // namespace
}  // namespace pgsteer
