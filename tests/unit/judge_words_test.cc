// Every enumerator has its word, and no two share one.
#include <gtest/gtest.h>

#include <set>

#include "health/judge.h"
#include "health/reason.h"

namespace pgsteer {
namespace {

TEST(Words, EveryReasonHasItsOwn) {
  std::set<std::string> words;
  const auto count = static_cast<std::size_t>(Reason::kUncheckable) + 1;  // the last enumerator
  for (std::size_t i = 0; i < count; ++i) words.insert(to_string(static_cast<Reason>(i)));
  EXPECT_EQ(words.size(), count);
  EXPECT_FALSE(words.contains("?"));
  EXPECT_STREQ(to_string(static_cast<Reason>(count)), "?");
}

TEST(Words, OtherEnumsHaveOneEach) {
  std::set<std::string> words;
  for (auto a : {Admission::kAdmit, Admission::kDrain, Admission::kCut}) words.insert(to_string(a));
  for (auto t : {TlsAnswer::kUnknown, TlsAnswer::kYes, TlsAnswer::kNo}) words.insert(to_string(t));
  for (auto d :
       {SuspicionKind::kConnectRefused, SuspicionKind::kConnectTimedOut,
        SuspicionKind::kServerEnded, SuspicionKind::kShuttingDown, SuspicionKind::kInHotStandby}) {
    words.insert(to_string(d));
  }
  EXPECT_EQ(words.size(), 11u);
  EXPECT_FALSE(words.contains("?"));
  std::set<std::string> outcomes;
  for (int i = 0; i <= static_cast<int>(Outcome::kUnresolved); ++i) {
    outcomes.insert(to_string(static_cast<Outcome>(i)));
  }
  EXPECT_EQ(outcomes.size(), 8u);
  EXPECT_FALSE(outcomes.contains("?"));
}

TEST(Words, SeveritiesAndRolesKeepTheirWords) {
  EXPECT_STREQ(to_string(Severity::kInfo), "info");
  EXPECT_STREQ(to_string(Severity::kWarn), "warn");
  EXPECT_STREQ(to_string(Severity::kError), "error");
  const std::vector<std::string> expected = {
      "primary", "promoting", "replica", "sync_replica", "quorum_replica", "standby_leader",
      "stopped", "silent",    "down",    "foreign",      "unknown"};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<NodeRole>(i)), expected[i]);
  }
}

TEST(AddressText, ShowsBothFamilies) {
  Address a;
  EXPECT_EQ(a.text(), "");
  a.storage.ss_family = AF_INET;
  a.size = 16;
  EXPECT_EQ(a.text(), "0.0.0.0:0");
  a.storage.ss_family = AF_INET6;
  a.size = 28;
  EXPECT_EQ(a.text(), "[::]:0");
  EXPECT_TRUE(a == a);
  EXPECT_FALSE(a == Address{});
}

}  // namespace
}  // namespace pgsteer
