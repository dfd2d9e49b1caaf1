// Bytes that nobody looked at: when framing is lost, and when it comes back.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/message_session.h"

namespace pgsteer {
namespace {

using namespace message_test;

TEST(Gap, InsideOneLargeMessageKeepsFraming) {
  Session s;
  const std::string large = query(std::string(100000, ' '));
  for (const std::size_t copied : {std::size_t{5}, std::size_t{6}, std::size_t{5000}}) {
    s.from_client(std::string_view(large).substr(0, copied));
    s.client.skip(large.size() - copied - 10);
    s.from_client(std::string_view(large).substr(large.size() - 10));
    EXPECT_EQ(s.client.due(), 1u) << copied;
    const std::string row = message('D', std::string(100000, 'x'));
    s.from_server(std::string_view(row).substr(0, copied));
    EXPECT_FALSE(s.server.can_send_error());
    s.server.skip(row.size() - copied);
    EXPECT_TRUE(s.server.can_send_error());
    s.from_server(complete() + ready());
    EXPECT_TRUE(s.is_idle()) << copied;
  }
}

TEST(Gap, AcrossBoundariesMakesAStreamOpaque) {
  Session s;
  s.from_client(query());
  s.from_server(kRows);
  s.server.skip(1);
  EXPECT_TRUE(s.server.opaque());
  EXPECT_FALSE(s.server.can_send_error());
  s.from_server(kReply);
  EXPECT_FALSE(s.server.can_send_error());
  EXPECT_FALSE(s.is_idle());
}

TEST(Gap, SkippedStatusOrErrorMakesTheServerOpaque) {
  for (const std::string& head : {ready().substr(0, 5), kError.substr(0, 8)}) {
    Session s;
    s.from_server(head);
    s.server.skip(1);
    EXPECT_TRUE(s.server.opaque());
  }
}

TEST(Gap, DuringTheLoginIsOpaqueForever) {
  ServerStream server;
  ClientStream client;
  server.advance(bytes(message('R', u32(0))), client);
  server.make_opaque();
  EXPECT_FALSE(server.resync_after_gap(bytes(kReply), client));
  EXPECT_FALSE(server.login_done());
  EXPECT_EQ(server.login(), nullptr);
}

TEST(Gap, OfZeroBytesHasNoEffect) {
  Session s;
  s.server.skip(0);
  s.client.skip(0);
  EXPECT_TRUE(s.is_idle());
}

TEST(Resync, AfterALongAnswerThatEndsWithReadyForQuery) {
  for (const std::string& tail :
       {ready(), complete("COPY 1000000") + ready(), "last row" + complete() + ready(),
        "last row" + kError + ready(), "row" + message('s') + ready(),
        complete() + message('3') + ready()}) {
    Session s;
    s.from_client(query("copy t to stdout"));
    s.from_server(kRows);
    s.server.make_opaque();
    EXPECT_FALSE(s.server.resync_after_gap(bytes(kRows), s.client));
    EXPECT_TRUE(s.server.resync_after_gap(bytes(tail), s.client));
    EXPECT_TRUE(s.is_idle());
    EXPECT_TRUE(s.server.can_send_error());
    s.from_client(query());
    EXPECT_FALSE(s.is_idle());
    s.from_server(kReply);
    EXPECT_TRUE(s.is_idle());
  }
}

TEST(Resync, KeepsTheTransactionStatus) {
  Session s;
  s.from_client(query());
  s.server.make_opaque();
  EXPECT_TRUE(s.server.resync_after_gap(bytes(complete() + ready('T')), s.client));
  EXPECT_EQ(s.server.status(), 'T');
  EXPECT_FALSE(s.is_idle());
}

TEST(Resync, OnlyExactMessagesAreAccepted) {
  const std::vector<std::string> table = {
      "", "Z", ready().substr(1), ready('x'), "x" + ready(), kRows + ready(), "Z"s + u32(6) + "I",
      ready() + "x",
      // no ErrorResponse: unterminated, another type, wrong length
      message('E', "SERROR\0"s) + ready(), message('N', kError.substr(5)) + ready(),
      kError + "x" + ready(),
      // no CommandComplete: wrong length, no terminator, unprintable, too long
      "C"s + u32(9) + "abc\0"s + ready(), "C"s + u32(8) + "abcd" + ready(),
      message('C', "a\nb\0"s) + ready(), complete(std::string(64, 'A')) + ready()};
  for (std::size_t i = 0; i < table.size(); ++i) {
    Session s;
    s.from_client(query());
    s.server.make_opaque();
    EXPECT_FALSE(s.server.resync_after_gap(bytes(table[i]), s.client)) << i;
    EXPECT_TRUE(s.server.opaque());
    EXPECT_FALSE(s.is_idle());
  }
}

// The gap may hold the first answer, or the client may have sent ahead and wait for both.
TEST(Resync, RequestSentIntoTheGapMakesTheCountUncertain) {
  Session s;
  s.from_client(query("a long result"));
  s.server.make_opaque();
  s.from_client(query("sent ahead"));
  EXPECT_EQ(s.client.due(), 2u);
  EXPECT_TRUE(s.server.resync_after_gap(bytes(kReply), s.client));
  EXPECT_TRUE(s.server.can_send_error());
  EXPECT_FALSE(s.is_idle());  // the second one may be running
  s.from_server(kReply);
  EXPECT_FALSE(s.is_idle());
}

TEST(Resync, FatalErrorAtTheEndIsNoted) {
  Session s;
  s.from_client(query());
  s.server.make_opaque();
  EXPECT_FALSE(s.server.resync_after_gap(
      bytes("row" + report('E', "FATAL", "57P01", "terminating connection")), s.client));
  EXPECT_EQ(s.server.ending(), ServerStream::Ending::kFatal);
  EXPECT_EQ(s.server.sqlstate(), "57P01");
  EXPECT_FALSE(s.server.resync_after_gap(bytes("row" + kError), s.client));
  EXPECT_EQ(s.server.sqlstate(), "57P01");
}

TEST(Resync, StreamWithFramingIsJustAdvanced) {
  Session s;
  s.from_client(query());
  EXPECT_TRUE(s.server.resync_after_gap(bytes(kReply), s.client));
  EXPECT_TRUE(s.is_idle());
}

struct CopySession : Session {
  // A COPY whose data were not observed.
  explicit CopySession(const std::string& request = query("copy t from stdin")) {
    from_client(request);
    from_server(kCopyIn);
    from_client(kData);
    client.skip(100000);
  }
};

TEST(CopyGap, ClientIsFramedAgainWhenTheCopyThatItEndedIsAnswered) {
  for (const std::string& end : {kCopyDone, "\t1\n" + kCopyDone}) {
    CopySession s;
    EXPECT_TRUE(s.client.opaque());
    s.from_client(end);
    EXPECT_TRUE(s.client.opaque());
    EXPECT_FALSE(s.is_idle());
    s.from_server(complete("COPY 9") + ready());
    EXPECT_TRUE(s.is_idle());
    s.from_client(query());
    EXPECT_EQ(s.client.due(), 1u);
    EXPECT_FALSE(s.is_idle());
    s.from_server(kReply);
    EXPECT_TRUE(s.is_idle());
  }
}

TEST(CopyGap, EarlySyncOfTheCopyIsNotCounted) {
  CopySession s(kExtended + kSync);
  s.from_client(kCopyDone + kSync);
  s.from_server(complete("COPY 9") + ready());
  EXPECT_TRUE(s.is_idle());
}

// A Sync that nobody needs; it used to be taken for answered together with the COPY.
TEST(CopyGap, SyncBehindTheCopyOfAQueryHasAnAnswerOfItsOwn) {
  for (const std::string& outcome : {complete("COPY 9"), kError}) {
    CopySession s;
    s.from_client(kCopyDone + kSync);
    s.from_server(outcome + ready());
    EXPECT_FALSE(s.is_idle());
    s.from_client(query());
    s.from_server(ready());
    EXPECT_FALSE(s.is_idle());  // the query may be running
  }
}

// The gap may hold a Sync: the server has ignored it, or has read it after the error and answers.
TEST(CopyGap, CopyThatFailsStaysOpaque) {
  for (const std::string& request : {query("copy t from stdin"), kExtended, kExtended + kSync}) {
    for (const std::string& end : {kCopyDone, kCopyFail, kCopyDone + kSync, kCopyFail + kSync}) {
      CopySession s(request);
      s.from_client(end);
      s.from_server(kError + ready());
      EXPECT_TRUE(s.client.opaque());
      s.from_client(query("copy t from stdin"));
      s.from_server(kCopyIn);
      s.from_client(kCopyDone);
      s.from_server(complete("COPY 0") + ready());
      EXPECT_TRUE(s.client.opaque());
    }
  }
}

TEST(CopyGap, ErrorThatPassedUnseenKeepsItOpaque) {
  CopySession s;
  s.server.make_opaque();
  s.from_client(kCopyDone);
  EXPECT_TRUE(s.server.resync_after_gap(bytes(complete("COPY 9") + ready()), s.client));
  EXPECT_TRUE(s.client.opaque());
  EXPECT_FALSE(s.is_idle());
}

TEST(CopyGap, UncertainCountStaysUncertain) {
  Session s;
  s.from_server(ready());
  s.from_client(query("copy t from stdin"));
  s.from_server(kCopyIn);
  s.client.skip(100000);
  s.from_client(kCopyDone);
  s.from_server(complete("COPY 9") + ready());
  EXPECT_FALSE(s.is_idle());
}

TEST(CopyGap, CopyThatTheServerFailsWhileTheClientSendsStaysOpaque) {
  CopySession s;
  s.from_server(kError + ready());
  EXPECT_TRUE(s.client.opaque());
  s.from_client(kData + kCopyDone);
  s.from_server(kReply);
  EXPECT_TRUE(s.client.opaque());
  EXPECT_FALSE(s.is_idle());
}

// A row of a binary COPY can look like CopyDone. What follows shows that it was none.
TEST(CopyGap, BytesAfterTheCopyDoneTakeItBack) {
  CopySession s;
  s.from_client(kCopyDone);
  s.from_client("\x01");
  s.from_server(kError + ready());
  EXPECT_TRUE(s.client.opaque());
  CopySession t;
  t.from_client(kCopyDone);
  t.client.skip(10);
  t.from_server(kError + ready());
  EXPECT_TRUE(t.client.opaque());
}

TEST(CopyGap, OnlyTheExactEndOfACopyIsAccepted) {
  for (const std::string& chunk : {""s, "c"s, query(), kSync, kCopyDone + kFlush, kData,
                                   kCopyDone + query(), kCopyDone + kSync + kSync}) {
    CopySession s;
    s.from_client(chunk);
    s.from_server(complete("COPY 9") + ready());
    EXPECT_TRUE(s.client.opaque());
  }
}

// The request behind the copy is in the gap or pipelined into it: the first answer is the copy's.
TEST(CopyGap, RequestPipelinedIntoTheGapIsNeverTakenForAnswered) {
  CopySession s;
  s.from_client("data" + kCopyDone + query("sent ahead"));
  s.from_server(complete("COPY 9") + ready());
  s.from_client(query());
  EXPECT_FALSE(s.is_idle());
  s.from_server(kReply);
  EXPECT_FALSE(s.is_idle());  // only the one that was sent ahead is answered
  s.from_server(kReply);
  EXPECT_TRUE(s.client.opaque());
}

TEST(CopyGap, OutsideACopyFramingStaysLost) {
  Session s;
  s.from_client(query());
  s.client.skip(100000);
  s.from_client(kCopyDone);
  s.from_server(kReply);
  EXPECT_TRUE(s.client.opaque());
}

TEST(CopyGap, RequestPipelinedBehindTheCopyKeepsItOpaque) {
  Session s;
  s.from_client(query("copy t from stdin"));
  s.from_server(kCopyIn);
  s.from_client(kData + kCopyDone + query() + query());
  s.client.skip(100000);
  s.from_client(kCopyDone);
  s.from_server(complete("COPY 1") + ready());
  EXPECT_TRUE(s.client.opaque());
}

TEST(CopyGap, ClientThatSendsNonsenseIsNotFramedByTheEndOfACopy) {
  Session s;
  s.from_client(query("copy t from stdin"));
  s.from_server(kCopyIn);
  s.from_client("\x01nonsense");
  s.from_client(kCopyDone);
  s.from_server(complete("COPY 9") + ready());
  EXPECT_TRUE(s.client.opaque());
  EXPECT_FALSE(s.is_idle());
}

}  // namespace
}  // namespace pgsteer
