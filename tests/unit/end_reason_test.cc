#include "proxy/routing/end_reason.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>

namespace pgsteer {
namespace {

TEST(EndReason, EveryEnumeratorHasItsRow) {
  ASSERT_EQ(end_reason_table().size(), kEndReasonCount);
  for (std::size_t i = 0; i < kEndReasonCount; ++i) {
    const EndReasonRow& r = end_reason_table()[i];
    EXPECT_EQ(static_cast<std::size_t>(r.end), i);
    EXPECT_EQ(&row(r.end), &r);
    EXPECT_EQ(to_string(r.end), r.word);
  }
}

// Each is used as metric label, log word and JSON key.
TEST(EndReason, WordsAreUniqueAndPlain) {
  std::set<std::string_view> words;
  for (const EndReasonRow& r : end_reason_table()) {
    EXPECT_FALSE(r.word.empty());
    for (const char c : r.word) {
      EXPECT_TRUE((std::islower(static_cast<unsigned char>(c)) != 0) || c == '_') << r.word;
    }
    EXPECT_TRUE(words.insert(r.word).second) << r.word;
  }
}

TEST(EndReason, AnErrorHasBothSqlstateAndText) {
  for (const EndReasonRow& r : end_reason_table()) {
    EXPECT_EQ(r.sqlstate.empty(), r.message.empty()) << r.word;
    EXPECT_TRUE(r.sqlstate.empty() || r.sqlstate.size() == 5) << r.word;
  }
}

// No error for clients that have gone, or that must not learn anything.
TEST(EndReason, SomeEndsSendNoError) {
  for (const EndReason end :
       {EndReason::kNone, EndReason::kClientClosed, EndReason::kClientAborted,
        EndReason::kClientLeft, EndReason::kServerClosed, EndReason::kServerRefused,
        EndReason::kFirstPacketTimeout, EndReason::kProxyHeader, EndReason::kCancelDone}) {
    EXPECT_TRUE(row(end).sqlstate.empty()) << to_string(end);
  }
}

// libpq tries its next host only after 57P03.
TEST(EndReason, WithoutANodeMultiHostClientsTryTheNextHost) {
  for (const EndReason end :
       {EndReason::kNoNode, EndReason::kHoldFull, EndReason::kConnectFailed}) {
    EXPECT_EQ(row(end).sqlstate, "57P03") << to_string(end);
  }
}

// SQLAlchemy recognises a lost connection by this text, HikariCP by the class of the SQLSTATE.
TEST(EndReason, DriversRecogniseACutAsALostConnection) {
  for (const EndReason end : {EndReason::kRoleLost, EndReason::kShutdown}) {
    EXPECT_EQ(row(end).sqlstate, "57P01");
    EXPECT_EQ(row(end).message, "terminating connection due to administrator command");
  }
  EXPECT_EQ(row(EndReason::kServerAborted).sqlstate, "08006");
  EXPECT_NE(row(EndReason::kServerAborted).message.find("closed the connection"),
            std::string_view::npos);
}

TEST(EndReason, LimitsAreReportedAsTooManyConnections) {
  for (const EndReason end : {EndReason::kTooManyConnections, EndReason::kTooManyPerClient,
                              EndReason::kNodeFull, EndReason::kNoResources}) {
    EXPECT_EQ(row(end).sqlstate, "53300") << to_string(end);
  }
}

}  // namespace
}  // namespace pgsteer
