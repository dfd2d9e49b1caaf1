// Idle or busy: counts requests and answers; COPY.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/message_session.h"

namespace pgsteer {
namespace {

using namespace message_test;

TEST(Idle, OnlyAfterTheLogin) {
  Session before;
  before.server = ServerStream();
  EXPECT_FALSE(before.is_idle());
  before.from_server(message('R', u32(0)));
  EXPECT_FALSE(before.is_idle());
  before.from_server(ready());
  EXPECT_TRUE(before.is_idle());
}

TEST(Idle, PasswordMessagesAreNotCounted) {
  Session s;
  s.from_client(message('p', "SCRAM-SHA-256\0"s) + message('p', "proof"));
  EXPECT_TRUE(s.is_idle());
}

TEST(Idle, NotFromTheFirstByteOfARequestToTheLastByteOfItsAnswer) {
  for (const std::string& request : {query(), kExtended + kSync, message('F', "fn"), kSync}) {
    Session s;
    for (const char c : request) {
      s.from_client(std::string_view(&c, 1));
      ASSERT_FALSE(s.is_idle());
    }
    for (const char c : kReply) {
      ASSERT_FALSE(s.is_idle());
      s.from_server(std::string_view(&c, 1));
    }
    EXPECT_TRUE(s.is_idle());
    EXPECT_TRUE(s.client.certain());
  }
}

TEST(Idle, NotInATransactionNorInAFailedOne) {
  Session s;
  s.from_client(query("begin"));
  s.from_server(complete("BEGIN") + ready('T'));
  EXPECT_FALSE(s.is_idle());
  s.from_client(query("nonsense"));
  s.from_server(kError + ready('E'));
  EXPECT_FALSE(s.is_idle());
  s.from_client(query("rollback"));
  s.from_server(complete("ROLLBACK") + ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(Idle, EachPipelinedRequestHasOneAnswer) {
  Session s;
  s.from_client(query() + kExtended + kSync + kExtended + kSync);
  EXPECT_EQ(s.client.due(), 3u);
  s.from_server(kReply);
  EXPECT_FALSE(s.is_idle());
  s.from_server(kReply);
  EXPECT_FALSE(s.is_idle());
  s.from_server(kReply);
  EXPECT_TRUE(s.is_idle());
}

TEST(Idle, NotInAnExtendedQueryWithoutSync) {
  for (const std::string& part :
       {kParse, kBind, kExecute, message('D', "S\0"s), message('C', "S\0"s)}) {
    Session s;
    s.from_client(part + kFlush);
    s.from_server(message('1'));
    EXPECT_EQ(s.client.due(), 0u);
    EXPECT_FALSE(s.is_idle());
    s.from_client(kSync);
    s.from_server(ready());
    EXPECT_TRUE(s.is_idle());
  }
}

TEST(Idle, ErrorInAnExtendedQuerySkipsToTheSync) {
  Session s;
  s.from_client(kExtended + kExtended + kSync);
  s.from_server(kError);
  EXPECT_FALSE(s.is_idle());
  s.from_server(ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(Idle, DespiteNoticesParametersAndNotifications) {
  Session s;
  s.from_server(report('N', "NOTICE", "00000") + parameter("TimeZone", "UTC") +
                message('A', u32(1) + "channel\0payload\0"s));
  EXPECT_TRUE(s.is_idle());
  s.from_server("N");  // an incomplete message does
  EXPECT_FALSE(s.is_idle());
}

TEST(Idle, QueryThatTheServerSkipsStaysBusy) {
  Session s;
  s.from_client(kParse + query() + kSync);  // the Parse fails, the Query is skipped
  s.from_server(kError + ready());
  EXPECT_FALSE(s.is_idle());
}

TEST(Idle, UnexpectedAnswerMakesTheCountUncertainForever) {
  Session s;
  s.from_server(ready());
  EXPECT_FALSE(s.client.certain());
  EXPECT_FALSE(s.is_idle());
  s.from_client(query());
  s.from_server(kReply);
  EXPECT_FALSE(s.is_idle());
  EXPECT_TRUE(s.server.can_send_error());
}

TEST(Idle, NeverForReplication) {
  Session s;
  s.from_client(query("START_REPLICATION 0/0"));
  s.from_server(kCopyBoth + kData + kData);
  EXPECT_FALSE(s.is_idle());
  EXPECT_TRUE(s.server.replicating());
  s.from_client(kCopyDone);
  s.from_server(kCopyDone + complete("START_STREAMING") + ready());
  EXPECT_FALSE(s.is_idle());
}

TEST(Idle, TerminateIsRemembered) {
  Session s;
  EXPECT_FALSE(s.client.terminated());
  s.from_client(message('X'));
  EXPECT_TRUE(s.client.terminated());
}

// --- COPY FROM STDIN -----------------------------------------------------------------------------

TEST(CopyIn, SimpleQueryHasOneAnswer) {
  for (const std::string& end : {kCopyDone, kCopyFail}) {
    Session s;
    s.from_client(query("copy t from stdin"));
    s.from_server(kCopyIn);
    EXPECT_TRUE(s.client.copy_in());
    s.from_client(kData + kData + end);
    EXPECT_FALSE(s.is_idle());
    s.from_server(complete("COPY 2") + ready());
    EXPECT_TRUE(s.is_idle());
  }
}

TEST(CopyIn, SyncThatTheServerIgnoresIsNotCounted) {
  Session s;  // libpq's PQexecParams
  s.from_client(kExtended + kSync);
  s.from_server(message('1') + message('2') + kCopyIn);
  s.from_client(kData + kCopyDone);
  EXPECT_FALSE(s.is_idle());
  s.from_client(kSync);
  EXPECT_EQ(s.client.due(), 1u);
  EXPECT_FALSE(s.is_idle());
  s.from_server(complete("COPY 1") + ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, WithoutAnEarlySyncNothingIsSubtracted) {
  Session s;
  s.from_client(kExtended + kFlush);
  s.from_server(message('1') + message('2') + kCopyIn);
  s.from_client(kData + kCopyDone + kSync);
  EXPECT_EQ(s.client.due(), 1u);
  s.from_server(complete("COPY 1") + ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, EarlierPipelinedRequestKeepsItsAnswer) {
  Session s;
  s.from_client(kExtended + kSync + kExtended + kSync);
  s.from_server(kReply + kCopyIn);
  s.from_client(kData + kCopyDone + kSync);
  EXPECT_EQ(s.client.due(), 1u);
  s.from_server(complete("COPY 1") + ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, TwoInOneQuery) {
  Session s;
  s.from_client(query("copy a from stdin; copy b from stdin"));
  s.from_server(kCopyIn);
  s.from_client(kData + kCopyDone);
  s.from_server(complete("COPY 1") + kCopyIn);
  s.from_client(kData + kCopyDone);
  s.from_server(complete("COPY 1"));
  EXPECT_FALSE(s.is_idle());
  s.from_server(ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, BadRowEndsItWhileTheClientStillSends) {
  Session s;
  s.from_client(query("copy t from stdin"));
  s.from_server(kCopyIn);
  s.from_client(kData);
  s.from_server(kError + ready());
  EXPECT_TRUE(s.is_idle());
  s.from_client(kData + kCopyDone);  // the server ignores these
  EXPECT_TRUE(s.is_idle());
  EXPECT_TRUE(s.client.certain());
}

TEST(CopyIn, BadRowInAnExtendedQuery) {
  Session s;
  s.from_client(kExtended);
  s.from_server(kCopyIn);
  s.from_client(kData);
  s.from_server(kError);
  s.from_client(kCopyDone);
  EXPECT_FALSE(s.is_idle());
  s.from_client(kSync);
  EXPECT_FALSE(s.is_idle());
  s.from_server(ready());
  EXPECT_TRUE(s.is_idle());
}

// The server ignored the first Sync, or failed before it read that: then a second answer follows.
TEST(CopyIn, BadRowAfterAnEarlySyncStaysBusy) {
  const std::string end = kCopyDone + kSync;
  for (const std::size_t sent_before_the_error : {std::size_t{0}, end.size() / 2, end.size()}) {
    Session s;
    s.from_client(kExtended + kSync);
    s.from_server(kCopyIn);
    s.from_client(kData + end.substr(0, sent_before_the_error));
    s.from_server(kError);
    s.from_client(end.substr(sent_before_the_error));
    s.from_server(ready());
    EXPECT_FALSE(s.is_idle());
    s.from_client(query());
    s.from_server(ready());
    EXPECT_FALSE(s.is_idle());  // the query may be running
    s.from_server(kReply);
    EXPECT_TRUE(s.is_idle());
  }
}

TEST(CopyIn, EndedBeforeTheEarlySyncIsReadTheSyncCounts) {
  Session s;  // a statement trigger fails between CopyInResponse and the first row
  s.from_client(kExtended + kSync);
  s.from_server(kCopyIn + kError + ready());
  EXPECT_TRUE(s.is_idle());
  s.from_client(kCopyFail + kSync);
  EXPECT_FALSE(s.is_idle());
  s.from_server(ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, EndedWhileTheClientsCopyDoneIsInFlightBothSyncsCount) {
  Session s;
  s.from_client(kExtended + kSync);
  s.from_server(kCopyIn);
  s.from_client(kCopyDone + kSync);
  s.from_server(kError + ready());
  EXPECT_FALSE(s.is_idle());
  s.from_server(ready());
  EXPECT_TRUE(s.is_idle());
}

TEST(CopyIn, SeveralEarlySyncsAreUncertain) {
  Session s;
  s.from_client(kExtended + kSync);
  s.from_server(kCopyIn);
  s.from_client(kSync + kCopyDone + kSync);
  EXPECT_FALSE(s.client.certain());
}

TEST(CopyIn, SentWithoutWaitingWithEarlySyncIsUncertain) {
  Session s;
  s.from_client(kExtended + kSync + kData + kCopyDone + kSync);
  EXPECT_FALSE(s.client.certain());
  s.from_server(kCopyIn + complete("COPY 1") + ready());
  EXPECT_FALSE(s.is_idle());
}

TEST(CopyIn, SentWithoutWaitingWithOneSyncIsCounted) {
  Session s;
  s.from_client(kExtended + kData + kCopyDone + kSync);
  s.from_server(kCopyIn + complete("COPY 1") + ready());
  EXPECT_TRUE(s.is_idle());
}

}  // namespace
}  // namespace pgsteer
