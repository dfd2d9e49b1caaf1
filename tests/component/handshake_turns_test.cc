// Whose TLS handshake a worker computes next.
#include "proxy/session/handshake_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace pgsteer {
namespace {

constexpr int kPerTurn = HandshakeTurns::kPerTurn;

class HandshakeTurnsTest : public testing::Test {
 protected:
  using Turns = std::vector<std::unique_ptr<HandshakeTurns::Turn>>;

  Turns crowd(int size, std::uint64_t client) {
    Turns all;
    while (size-- > 0) {
      all.push_back(std::make_unique<HandshakeTurns::Turn>(turns, waiter, client));
    }
    return all;
  }
  static auto granted(const Turns& all) {
    return std::ranges::count_if(all, [](const auto& turn) { return turn->granted(); });
  }

  EventLoop loop;
  Waiter waiter{loop};
  HandshakeTurns turns{loop};
};

TEST_F(HandshakeTurnsTest, AFewBeginInEachTurnOfTheLoop) {
  const Turns all = crowd(3 * kPerTurn, 1);
  for (int turn = 1; turn <= 3; ++turn) {
    EXPECT_EQ(granted(all), turn * kPerTurn);
    loop.turn();
  }
  EXPECT_FALSE(loop.wakeups_pending()) << "nobody waits, and the loop may sleep";
}

// A client from elsewhere waited for the handshakes of thousands that reconnected.
TEST_F(HandshakeTurnsTest, AClientFromElsewhereDoesNotWaitBehindACrowd) {
  for (const std::uint64_t elsewhere : {1U, 3U}) {  // before and behind the crowd's
    const Turns many = crowd(1000, 2);
    const Turns one = crowd(1, elsewhere);
    EXPECT_EQ(granted(one), 0);
    loop.turn();
    EXPECT_EQ(granted(one), 1) << elsewhere;
  }
}

TEST_F(HandshakeTurnsTest, OfOneAddressTheOldestIsNext) {
  const Turns all = crowd(2 * kPerTurn + 1, 1);
  loop.turn();
  EXPECT_TRUE(all[2 * kPerTurn - 1]->granted());
  EXPECT_FALSE(all.back()->granted());
}

TEST_F(HandshakeTurnsTest, WhoLeavesTakesNobodysTurn) {
  Turns all = crowd(3 * kPerTurn, 1);
  all.erase(all.begin() + kPerTurn, all.end() - kPerTurn);
  loop.turn();
  EXPECT_EQ(granted(all), 2 * kPerTurn);
}

}  // namespace
}  // namespace pgsteer
