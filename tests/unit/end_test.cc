#include "proxy/end.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace pgsteer {
namespace {

TEST(End, EveryEnumeratorHasItsRow) {
  ASSERT_EQ(end_table().size(), kEndCount);
  for (std::size_t i = 0; i < kEndCount; ++i) {
    const EndRow& r = end_table()[i];
    EXPECT_EQ(static_cast<std::size_t>(r.end), i);
    EXPECT_EQ(&row(r.end), &r);
    EXPECT_EQ(word(r.end), r.word);
  }
}

// A metric label, a log word and a key of the JSON at once.
TEST(End, WordsAreUniqueAndPlain) {
  std::set<std::string_view> words;
  for (const EndRow& r : end_table()) {
    EXPECT_FALSE(r.word.empty());
    for (const char c : r.word) {
      EXPECT_TRUE((std::islower(static_cast<unsigned char>(c)) != 0) || c == '_') << r.word;
    }
    EXPECT_TRUE(words.insert(r.word).second) << r.word;
  }
}

TEST(End, WhoIsToldIsToldWithACodeAndWords) {
  for (const EndRow& r : end_table()) {
    EXPECT_EQ(r.sqlstate.empty(), r.message.empty()) << r.word;
    EXPECT_TRUE(r.sqlstate.empty() || r.sqlstate.size() == 5) << r.word;
  }
}

// Who left hears nothing, and who must not learn anything is told nothing.
TEST(End, SomeEndsAreSilent) {
  for (const End end : {End::kNone, End::kClientClosed, End::kClientAborted, End::kClientLeft,
                        End::kServerClosed, End::kServerRefused, End::kFirstPacketTimeout,
                        End::kCrowdedOut, End::kProxyHeader, End::kCancelDone}) {
    EXPECT_TRUE(row(end).sqlstate.empty()) << word(end);
  }
}

// libpq goes on to its next host only at 57P03.
TEST(End, NoNodeMovesMultiHostClientsOn) {
  for (const End end : {End::kNoNode, End::kHoldFull, End::kConnectFailed}) {
    EXPECT_EQ(row(end).sqlstate, "57P03") << word(end);
  }
}

// SQLAlchemy knows a lost connection by this text, HikariCP by the class of the code.
TEST(End, ACutIsRecognisedAsALostConnection) {
  for (const End end : {End::kRoleLost, End::kShutdown}) {
    EXPECT_EQ(row(end).sqlstate, "57P01");
    EXPECT_EQ(row(end).message, "terminating connection due to administrator command");
  }
  EXPECT_EQ(row(End::kServerAborted).sqlstate, "08006");
  EXPECT_NE(row(End::kServerAborted).message.find("closed the connection"), std::string_view::npos);
}

TEST(End, LimitsAreToldAsTooManyConnections) {
  for (const End end :
       {End::kTooManyConnections, End::kTooManyPerClient, End::kNodeFull, End::kNoResources}) {
    EXPECT_EQ(row(end).sqlstate, "53300") << word(end);
  }
}

}  // namespace
}  // namespace pgsteer
