// Idle or busy: counts requests and answers; COPY; gaps in the observed bytes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proxy/wire/message.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;

const std::string kSync = message('S');
const std::string kFlush = message('H');
const std::string kParse = message('P', "\0select 1\0\0\0"s);
const std::string kBind = message('B', std::string(8, '\0'));
const std::string kExecute = message('E', std::string(5, '\0'));
const std::string kExtended = kParse + kBind + kExecute;
const std::string kCopyIn = message('G', std::string(3, '\0'));
const std::string kCopyBoth = message('W', std::string(3, '\0'));
const std::string kData = message('d', "1\tone\n");
const std::string kCopyDone = message('c');
const std::string kCopyFail = message('f', "no\0"s);
const std::string kError = report('E', "ERROR", "22P02");
const std::string kRows = message('T', "columns") + message('D', "row");
const std::string kReply = kRows + complete() + ready();

// A session after its login.
struct Session {
  ServerStream server;
  ClientStream client;

  Session() { from_server(message('R', u32(0)) + message('K', u32(1) + "keys") + ready()); }
  void from_client(std::string_view text) { client.advance(bytes(text)); }
  void from_server(std::string_view text) { server.advance(bytes(text), client); }
  bool is_idle() const { return idle(server, client); }
};

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

// --- Gaps ----------------------------------------------------------------------------------------

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
