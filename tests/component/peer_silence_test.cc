// When a silent peer is gone. Time is an argument.
#include "proxy/net/peer_silence.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

using namespace std::chrono_literals;
using Clock = PeerSilence::Clock;

constexpr auto kLimit = 60s;
const Clock::time_point kStart = Clock::time_point{} + 1h;

struct Looks {
  PeerSilence silence;
  Clock::time_point counts_from{};

  // `heard`: when the last segment came. The last data was sent two seconds ago.
  bool at(Clock::duration now, bool unanswered, Clock::duration heard) {
    return at(now, unanswered, heard, now - 2s);
  }
  bool at(Clock::duration now, bool unanswered, Clock::duration heard, Clock::duration sent,
          bool probed_twice = false) {
    const auto ago = [now](Clock::duration when) {
      return std::chrono::duration_cast<std::chrono::milliseconds>(now - when);
    };
    return silence.look({.outstanding = true,
                         .unanswered = unanswered,
                         .probed_twice = probed_twice,
                         .heard_ago = ago(heard),
                         .sent_ago = ago(sent)},
                        kStart + now, counts_from, kLimit);
  }
};

TEST(PeerSilence, APeerThatAnswersNothingIsGoneAfterTheLimit) {
  Looks look;
  EXPECT_FALSE(look.at(0s, true, -1s));
  for (auto now = 5s; now < 60s; now += 5s) ASSERT_FALSE(look.at(now, true, -1s));
  EXPECT_TRUE(look.at(60s, true, -1s));
}

TEST(PeerSilence, TimeWithoutAnythingOutstandingDoesNotCount) {
  Looks look;
  EXPECT_FALSE(look.at(0s, false, -10h));
  EXPECT_FALSE(look.at(10h, true, -10h));  // something has just been sent
  EXPECT_FALSE(look.at(10h + 59s, true, -10h));
  EXPECT_TRUE(look.at(10h + 60s, true, -10h));
}

TEST(PeerSilence, EachAnswerStartsItAnew) {
  Looks look;
  for (auto now = 0s; now < 1000s; now += 50s) ASSERT_FALSE(look.at(now, true, now - 1s));
  EXPECT_FALSE(look.at(1000s, true, 949s));
  EXPECT_FALSE(look.at(1009s, true, 949s));
  EXPECT_TRUE(look.at(1010s, true, 949s));
}

// The kernel probes it every two minutes at last, and it answers at once.
TEST(PeerSilence, AClosedWindowWhoseProbesAreAnsweredIsAlive) {
  Looks look;
  for (auto probe = 0s; probe < 3600s; probe += 120s) {
    ASSERT_FALSE(look.at(probe, true, probe - 120s));  // just sent
    ASSERT_FALSE(look.at(probe + 5s, false, probe));
    ASSERT_FALSE(look.at(probe + 115s, false, probe));
  }
}

// One lost packet is no evidence: the next is up to two minutes away.
TEST(PeerSilence, OnePacketWithoutAnAnswerIsNotEnough) {
  Looks look;
  for (auto now = 0s; now < 120s; now += 5s) ASSERT_FALSE(look.at(now, true, -1s, -500ms));
  EXPECT_FALSE(look.at(120s, true, -1s, 119'500ms));  // it has just been repeated
  EXPECT_TRUE(look.at(121s, true, -1s, 119'500ms));
}

TEST(PeerSilence, OneProbeWithoutAnAnswerIsNotEnough) {
  Looks look;
  for (auto now = 0s; now < 120s; now += 5s) ASSERT_FALSE(look.at(now, true, -1s, -1h));
  EXPECT_TRUE(look.at(120s, true, -1s, -1h, true));
}

TEST(PeerSilence, TimeInWhichNobodyLookedDoesNotCount) {
  Looks look;
  EXPECT_FALSE(look.at(0s, true, -1s));
  look.counts_from = kStart + 300s;  // the process stood still until then
  EXPECT_FALSE(look.at(300s, true, -1s));
  EXPECT_FALSE(look.at(359s, true, -1s));
  EXPECT_TRUE(look.at(360s, true, -1s));
}

TEST(PeerSilence, RemembersWhetherAnythingWasOutstanding) {
  PeerSilence silence;
  EXPECT_FALSE(silence.outstanding());
  silence.look({.outstanding = true}, kStart, {}, kLimit);
  EXPECT_TRUE(silence.outstanding());
  silence.look({}, kStart, {}, kLimit);
  EXPECT_FALSE(silence.outstanding());
}

}  // namespace
}  // namespace pgsteer
