// Who gives way when too many connections have not logged in.
#include "proxy/routing/startup_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <memory>
#include <string>

namespace pgsteer {
namespace {

using Need = StartupList::Need;

struct Stranger : SlotUser {
  Stranger(StartupList& list, std::uint64_t address) : place(list, *this, address) {}
  void end(EndReason reason, std::string /*detail*/) override { ended = reason; }
  bool ending() const override { return ended != EndReason::kNone; }
  void resume_soon() override {}

  EndReason ended = EndReason::kNone;
  StartupList::Place place;
};

class StartupListTest : public testing::Test {
 protected:
  Stranger& enter(std::uint64_t address = 1) { return strangers_.emplace_back(list, address); }
  std::list<Stranger*> crowd(int size, std::uint64_t address = 1) {
    std::list<Stranger*> all;
    for (int i = 0; i < size; ++i) all.push_back(&enter(address));
    return all;
  }
  static auto ended(const std::list<Stranger*>& crowd) {
    return std::ranges::count_if(crowd, [](const Stranger* each) { return each->ending(); });
  }
  void make_room(std::size_t count, Need need, std::size_t spared = 0) {
    list.make_room(count, spared, need, StartupList::Clock::now() + passed);
  }

  StartupList::Clock::duration passed{0};  // since the last call of anything
  StartupList list{100};

 private:
  std::list<Stranger> strangers_;
};

TEST_F(StartupListTest, OfTooManyThatHaveSaidNothingTheOldestGivesWay) {
  const auto silent = crowd(100);
  EXPECT_EQ(ended(silent), 0);
  enter();
  EXPECT_EQ(silent.front()->ended, EndReason::kCrowdedOut);
  enter();
  EXPECT_EQ(ended(silent), 2);
}

// A crowd of silent connections from elsewhere closed a client that had just connected.
TEST_F(StartupListTest, ItIsOneOfTheAddressThatHasMostSilentOnes) {
  Stranger& client = enter(2);
  const auto silent = crowd(100);
  EXPECT_FALSE(client.ending());
  EXPECT_TRUE(silent.front()->ending());
}

// 1,000 of 3,000 clients were ended in the middle of their TLS handshakes.
TEST_F(StartupListTest, AMassOfClientsThatHaveSpokenStaysForAWhile) {
  const auto clients = crowd(50);
  for (Stranger* const client : clients) client->place.awaits_client();
  const auto silent = crowd(10);
  make_room(100, Need::kSoon);
  EXPECT_EQ(ended(silent), 0) << "it has only just connected";
  passed = StartupList::kBeginning;
  make_room(100, Need::kSoon);
  EXPECT_EQ(ended(silent), 10);
  EXPECT_EQ(ended(clients), 0);
  passed = StartupList::kPatience;
  make_room(20, Need::kSoon);
  EXPECT_EQ(ended(clients), 20);
}

TEST_F(StartupListTest, WhoSpeaksAgainIsNoYoungerForIt) {
  const auto slow = crowd(3);
  for (Stranger* const each : slow) each->place.awaits_client();
  slow.front()->place.awaits_client();
  make_room(1, Need::kNow);
  EXPECT_TRUE(slow.front()->ending());
}

TEST_F(StartupListTest, WhereNothingIsLeftACrowdGivesWayAtOnce) {
  const auto speaking = crowd(10);
  for (Stranger* const each : speaking) each->place.awaits_client();
  const auto served = crowd(10);
  for (Stranger* const each : served) each->place.is_served();
  make_room(8, Need::kNow);
  EXPECT_EQ(ended(speaking), 8);
  EXPECT_EQ(ended(served), 0);
  make_room(1, Need::kNow);
  EXPECT_TRUE(served.back()->ending()) << "the newest";
  EXPECT_EQ(ended(served), 1);
}

// Its packet may be there and not read yet: the newcomer is not worse than the others.
TEST_F(StartupListTest, WhereNothingIsLeftTheOldestGoesSilentOrNot) {
  const auto speaking = crowd(5);
  for (Stranger* const each : speaking) each->place.awaits_client();
  Stranger& newcomer = enter();
  make_room(4, Need::kNow);
  EXPECT_EQ(ended(speaking), 4);
  EXPECT_FALSE(newcomer.ending());
}

// Closed, they came back at once, and the server forked for each of them again.
TEST_F(StartupListTest, WhereNothingIsLeftALoginGoesNowAndThenOnly) {
  const auto in_login = crowd(10);
  for (Stranger* const each : in_login) each->place.awaits_client_in_login();
  const auto speaking = crowd(5);
  for (Stranger* const each : speaking) each->place.awaits_client();
  const auto waiting = crowd(5);
  for (Stranger* const each : waiting) each->place.is_served();
  make_room(5, Need::kNow);
  EXPECT_EQ(ended(in_login), 1);
  EXPECT_TRUE(in_login.front()->ending()) << "the oldest";
  EXPECT_EQ(ended(speaking), 4);
  EXPECT_EQ(ended(waiting), 0);
  passed = StartupList::kLoginPause;
  make_room(1, Need::kSoon);
  EXPECT_EQ(ended(in_login), 1) << "it may still be answered";
  passed = StartupList::kPatience;
  make_room(1, Need::kSoon);
  EXPECT_EQ(ended(in_login), 2);
}

// During a failover an application's clients wait for us; a stranger's wait for nothing.
TEST_F(StartupListTest, WhoKeepsUsWaitingGoesBeforeWhoWaitsForUs) {
  const auto held = crowd(50, 2);
  for (Stranger* const each : held) each->place.is_served();
  const auto strangers = crowd(20);
  passed = StartupList::kBeginning;
  make_room(20, Need::kSoon);
  EXPECT_EQ(ended(strangers), 18) << "two are no crowd";
  EXPECT_EQ(ended(held), 0);
}

TEST_F(StartupListTest, WithoutACrowdTheNewcomerIsNotTheOneThatGivesWay) {
  std::list<Stranger*> all;
  for (std::uint64_t address = 1; address <= 101; ++address) all.push_back(&enter(address));
  EXPECT_TRUE(all.front()->ending());
  EXPECT_EQ(ended(all), 1);
}

TEST_F(StartupListTest, AnAddressWithFewLosesNoneToACrowdFromElsewhere) {
  const auto few = crowd(2, 2);
  const auto many = crowd(20);
  for (Stranger* const each : many) each->place.is_served();
  make_room(100, Need::kNow);
  EXPECT_EQ(ended(few), 0);
  EXPECT_EQ(ended(many), 18);
}

TEST_F(StartupListTest, WithoutACrowdOnlyWhoIsLateGivesWay) {
  std::list<Stranger*> all;
  for (std::uint64_t address = 1; address <= 20; ++address) all.push_back(&enter(address));
  all.back()->place.is_served();
  make_room(100, Need::kNow);
  EXPECT_EQ(ended(all), 0);
  passed = StartupList::kPatience;
  make_room(100, Need::kNow);
  EXPECT_EQ(ended(all), 19) << "all but the one that waits for us";
}

// Where sessions have nearly every descriptor, a few places for logins stay.
TEST_F(StartupListTest, TheSparedStay) {
  const auto silent = crowd(10);
  make_room(100, Need::kNow, 7);
  EXPECT_EQ(ended(silent), 3);
}

// Behind a balancer the address is known later.
TEST_F(StartupListTest, AConnectionMayTurnOutToBelongToAnotherAddress) {
  const auto balanced = crowd(9);
  Stranger& moved = enter();
  moved.place.belongs_to(7);
  const auto other = crowd(10, 7);
  make_room(1, Need::kNow);
  EXPECT_TRUE(moved.ending());
  EXPECT_EQ(ended(balanced) + ended(other), 0);
}

}  // namespace
}  // namespace pgsteer
