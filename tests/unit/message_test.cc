// Framing of single messages and the facts of a login. For counting requests see
// message_idle_test.cc.
#include "proxy/wire/message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;
using Ending = ServerStream::Ending;

// --- The cursor ----------------------------------------------------------------------------------

struct Seen {
  char type;
  std::string body;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Assembles messages from the pieces that the cursor visits.
struct Collector {
  MessageCursor cursor;
  std::vector<Seen> seen;
  bool complete = true;

  void feed(std::string_view text) {
    cursor.advance(bytes(text), [this](char type, std::uint32_t size, std::uint32_t offset,
                                       std::span<const std::byte> part) {
      if (offset == 0) {
        EXPECT_TRUE(complete);
        seen.push_back({type, ""});
      }
      ASSERT_FALSE(seen.empty());
      EXPECT_EQ(seen.back().type, type);
      EXPECT_EQ(seen.back().body.size(), offset);
      seen.back().body += str(part);
      complete = offset + part.size() == size;
    });
  }
};

const std::vector<Seen> kThree = {{'T', "columns"}, {'2', ""}, {'Z', "I"}};
const std::string kThreeWire = message('T', "columns") + message('2') + message('Z', "I");

TEST(MessageCursor, MessagesAreFoundHoweverTheyAreCut) {
  for (std::size_t first = 0; first <= kThreeWire.size(); ++first) {
    for (std::size_t second = first; second <= kThreeWire.size(); ++second) {
      Collector c;
      c.feed(std::string_view(kThreeWire).substr(0, first));
      c.feed(std::string_view(kThreeWire).substr(first, second - first));
      c.feed({});
      c.feed(std::string_view(kThreeWire).substr(second));
      ASSERT_EQ(c.seen, kThree) << first << " " << second;
      ASSERT_TRUE(c.cursor.at_boundary());
    }
  }
}

TEST(MessageCursor, BoundaryIsOnlyBetweenMessages) {
  const std::vector<std::size_t> boundaries = {0, 12, 17, 23};
  Collector c;
  for (std::size_t at = 0; at <= kThreeWire.size(); ++at) {
    EXPECT_EQ(c.cursor.at_boundary(), std::ranges::find(boundaries, at) != boundaries.end()) << at;
    if (at < kThreeWire.size()) c.feed(kThreeWire.substr(at, 1));
  }
}

TEST(MessageCursor, ImpossibleHeaderBreaksFramingForever) {
  const std::vector<std::string> table = {
      "Z"s + u32(0), "Z"s + u32(3), "Z"s + u32(0xffffffff), "Z"s + u32(0x80000000),
      "Z"s + u32(kMaxMessageLength + 1), "\0"s + u32(5), " "s + u32(5), "\x7f"s + u32(5),
      "\xff"s + u32(5),
      // The answer of a server that cannot fork.
      "Ecould not fork new process for connection: Cannot allocate memory\n\0"s};
  for (const std::string& bad : table) {
    for (std::size_t cut = 0; cut < 5; ++cut) {
      Collector c;
      c.feed(message('T', "x"));
      c.feed(std::string_view(bad).substr(0, cut));
      EXPECT_FALSE(c.cursor.broken());
      c.feed(bad.substr(cut) + ready());
      c.feed(ready());
      EXPECT_TRUE(c.cursor.broken());
      EXPECT_FALSE(c.cursor.at_boundary());
      EXPECT_EQ(c.cursor.body_left(), 0u);
      EXPECT_EQ(c.seen.size(), 1u);
    }
  }
}

TEST(MessageCursor, LargestMessageIsAccepted) {
  Collector c;
  c.feed("d" + u32(kMaxMessageLength));
  EXPECT_FALSE(c.cursor.broken());
  EXPECT_EQ(c.cursor.body_left(), kMaxMessageLength - 4);
}

TEST(MessageCursor, SkippingInsideABodyKeepsFraming) {
  Collector c;
  c.feed(message('d', std::string(100, 'x')).substr(0, 25));
  c.cursor.skip(70);
  EXPECT_EQ(c.cursor.body_left(), 10u);
  c.cursor.skip(10);
  EXPECT_TRUE(c.cursor.at_boundary());
  c.cursor.skip(0);
  EXPECT_TRUE(c.cursor.at_boundary());
  c.cursor.skip(1);
  EXPECT_TRUE(c.cursor.broken());
}

TEST(MessageCursor, SkippingBeyondTheBodyLosesFraming) {
  Collector c;
  c.feed(message('d', std::string(100, 'x')).substr(0, 25));
  c.cursor.skip(81);
  EXPECT_TRUE(c.cursor.broken());
}

TEST(MessageCursor, StateIsSmall) {
  EXPECT_LE(sizeof(MessageCursor), 16u);
  EXPECT_LE(sizeof(ClientStream), 32u);
  EXPECT_LE(sizeof(ServerStream), 40u);
}

// --- Login ---------------------------------------------------------------------------------------

const std::string kKey32 = "0123456789abcdefghijklmnopqrstuv";
const std::string kLoginWire =
    message('v', u32(protocol_version(3, 0)) + u32(1) + "_pq_.grease\0"s) +
    message('R', u32(10) + "SCRAM-SHA-256\0\0"s) + message('R', u32(11) + "r=nonce") +
    message('R', u32(12) + "v=proof") + message('R', u32(0)) + report('N', "NOTICE", "00000") +
    parameter("in_hot_standby", "on") + parameter("search_path", std::string(2000, 's')) +
    parameter("server_version", "18.3") + message('K', u32(4711) + kKey32) + ready();

struct Login {
  ServerStream server;
  ClientStream client;
  void feed(std::string_view text) { server.advance(bytes(text), client); }
};

void expect_facts(const Login& login) {
  const LoginFacts* facts = login.server.login();
  ASSERT_NE(facts, nullptr);
  EXPECT_TRUE(facts->authenticated);
  EXPECT_EQ(facts->authentication, 0u);
  EXPECT_EQ(facts->in_hot_standby, true);
  EXPECT_EQ(facts->server_version, "18.3");
  EXPECT_EQ(facts->negotiated_protocol, protocol_version(3, 0));
  ASSERT_TRUE(facts->has_key);
  EXPECT_EQ(facts->pid, 4711u);
  EXPECT_EQ(str(facts->key()), kKey32);
}

TEST(LoginFacts, AreReadHoweverTheLoginIsCut) {
  for (std::size_t cut = 0; cut <= kLoginWire.size(); ++cut) {
    Login login;
    login.feed(std::string_view(kLoginWire).substr(0, cut));
    ASSERT_EQ(login.server.login_done(), cut == kLoginWire.size());
    login.feed(std::string_view(kLoginWire).substr(cut));
    ASSERT_TRUE(login.server.login_done()) << cut;
    expect_facts(login);
    ASSERT_EQ(login.server.ending(), Ending::kNone);
    ASSERT_TRUE(idle(login.server, login.client)) << cut;
  }
}

TEST(LoginFacts, AreReadByteByByte) {
  Login login;
  for (const char c : kLoginWire) login.feed(std::string_view(&c, 1));
  expect_facts(login);
  EXPECT_TRUE(idle(login.server, login.client));
}

TEST(LoginFacts, AuthenticationRequestIsTheLastOneSeen) {
  Login login;
  login.feed(message('R', u32(5) + "salt"));
  EXPECT_EQ(login.server.login()->authentication, 5u);
  EXPECT_FALSE(login.server.login()->authenticated);
  login.feed(message('R', u32(0)));
  EXPECT_TRUE(login.server.login()->authenticated);
  EXPECT_FALSE(login.server.login_done());
}

TEST(LoginFacts, StandbyFlagIsUnknownUnlessReported) {
  for (const auto& [wire, expected] : std::vector<std::pair<std::string, std::optional<bool>>>{
           {"", std::nullopt},
           {parameter("in_hot_standby", "on"), true},
           {parameter("in_hot_standby", "off"), false},
           {parameter("in_hot_standby_", "on"), std::nullopt},
           {message('S', "in_hot_standby"), std::nullopt}}) {
    Login login;
    login.feed(wire + ready());
    EXPECT_EQ(login.server.login()->in_hot_standby, expected);
  }
}

TEST(LoginFacts, CancelKeysOf1To256BytesAreAccepted) {
  for (const std::size_t size : {1u, 4u, 32u, 255u, 256u}) {
    const std::string wire = message('K', u32(7) + std::string(size, 'k'));
    for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
      Login login;
      login.feed(std::string_view(wire).substr(0, cut));
      login.feed(std::string_view(wire).substr(cut));
      ASSERT_TRUE(login.server.login()->has_key) << size << " at " << cut;
      ASSERT_EQ(str(login.server.login()->key()), std::string(size, 'k'));
    }
  }
}

TEST(LoginFacts, CancelKeyOfAnotherSizeIsIgnored) {
  for (const std::string& body :
       {""s, "abc"s, u32(7), u32(7) + std::string(257, 'k'), u32(7) + std::string(5000, 'k')}) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{6}}) {
      const std::string wire = message('K', body);
      Login login;
      login.feed(std::string_view(wire).substr(0, std::min(cut, wire.size())));
      login.feed(std::string_view(wire).substr(std::min(cut, wire.size())));
      EXPECT_FALSE(login.server.login()->has_key);
      EXPECT_TRUE(login.server.at_boundary());
    }
  }
}

TEST(LoginFacts, VersionThatIsTooLongIsCut) {
  Login login;
  login.feed(parameter("server_version", std::string(200, '9')));
  EXPECT_EQ(login.server.login()->server_version, std::string(64, '9'));
}

TEST(LoginFacts, AreGoneOnlyAfterRelease) {
  Login login;
  login.server.release_login();
  ASSERT_NE(login.server.login(), nullptr);
  login.feed(kLoginWire);
  login.server.release_login();
  EXPECT_EQ(login.server.login(), nullptr);
  login.feed(parameter("in_hot_standby", "off") + ready());
  EXPECT_EQ(login.server.login(), nullptr);
}

TEST(LoginFacts, SurviveAnErrorInPieces) {
  const std::string error = report('E', "ERROR", "42601");
  Login login;
  login.feed(kLoginWire + error.substr(0, 20));
  login.feed(error.substr(20));
  expect_facts(login);
}

TEST(LoginFacts, AreGoneWhenFramingIsLost) {
  Login login;
  login.feed(message('R', u32(0)) + "Ecould not fork");
  EXPECT_TRUE(login.server.opaque());
  EXPECT_EQ(login.server.login(), nullptr);
  EXPECT_FALSE(login.server.can_send_error());
  EXPECT_FALSE(idle(login.server, login.client));
}

TEST(LoginFacts, BytesAfterTheLoginInTheSameReadAreCounted) {
  Login login;
  login.client.advance(bytes(query()));
  login.feed(kLoginWire + complete() + ready('T'));
  EXPECT_EQ(login.server.status(), 'T');
  EXPECT_EQ(login.client.due(), 0u);
  EXPECT_TRUE(login.client.certain());
}

// --- Errors --------------------------------------------------------------------------------------

struct EndingCase {
  const char* name;
  std::string wire;
  bool during_login;
  Ending ending;
  const char* sqlstate;
};

TEST(ServerEnding, IsKnownHoweverItIsCut) {
  const std::string old = message('E', "SFATAL\0C57P03\0Mx\0\0"s);
  const std::vector<EndingCase> table = {
      {"LoginFatal", report('E', "FATAL", "57P03"), true, Ending::kLoginError, "57P03"},
      {"LoginError", report('E', "ERROR", "08P01"), true, Ending::kLoginError, "08P01"},
      {"LoginOldServer", old, true, Ending::kLoginError, "57P03"},
      {"LoginWithoutCode", message('E', "SFATAL\0\0"s), true, Ending::kLoginError, ""},
      {"LoginEmptyError", message('E'), true, Ending::kLoginError, ""},
      {"LoginNotice", report('N', "WARNING", "01000"), true, Ending::kNone, ""},
      {"Fatal", report('E', "FATAL", "57P01"), false, Ending::kFatal, "57P01"},
      {"Panic", report('E', "PANIC", "XX000"), false, Ending::kFatal, "XX000"},
      {"FatalWithLongText", report('E', "FATAL", "57P05", std::string(70000, 'x')), false,
       Ending::kFatal, "57P05"},
      {"Error", report('E', "ERROR", "25006"), false, Ending::kNone, ""},
      {"ErrorWithEmptyBody", message('E'), false, Ending::kNone, ""},
      {"ImmediateShutdown", report('N', "WARNING", "57P01"), false, Ending::kNotice, "57P01"},
      {"CrashOfAnother", report('N', "WARNING", "57P02"), false, Ending::kNotice, "57P02"},
      {"Notice", report('N', "NOTICE", "00000"), false, Ending::kNone, ""},
  };
  for (const EndingCase& c : table) {
    const std::size_t last = std::min<std::size_t>(c.wire.size(), 400);
    for (std::size_t cut = 0; cut <= last; ++cut) {
      Login login;
      if (!c.during_login) login.feed(kLoginWire);
      login.feed(std::string_view(c.wire).substr(0, cut));
      login.server.release_login();
      login.feed(std::string_view(c.wire).substr(cut));
      ASSERT_EQ(login.server.ending(), c.ending) << c.name << " at " << cut;
      ASSERT_EQ(login.server.sqlstate(), c.sqlstate) << c.name << " at " << cut;
      ASSERT_TRUE(login.server.at_boundary());
      const bool final_error = c.ending == Ending::kFatal || c.ending == Ending::kLoginError;
      ASSERT_EQ(login.server.can_send_error(), !final_error) << c.name;
    }
  }
}

TEST(ServerEnding, ErrorReplacesANoticeAndNothingReplacesAnError) {
  Login login;
  login.feed(kLoginWire + report('N', "WARNING", "57P02"));
  EXPECT_EQ(login.server.sqlstate(), "57P02");
  login.feed(report('E', "FATAL", "57P01"));
  EXPECT_EQ(login.server.ending(), Ending::kFatal);
  EXPECT_EQ(login.server.sqlstate(), "57P01");
  login.feed(report('N', "WARNING", "57P02") + report('E', "FATAL", "57P05"));
  EXPECT_EQ(login.server.ending(), Ending::kFatal);
  EXPECT_EQ(login.server.sqlstate(), "57P01");
}

TEST(ServerEnding, ReadyForQueryWithAnInvalidStatusLosesFraming) {
  for (const std::string& bad : {message('Z'), message('Z', "II"), message('Z', "x")}) {
    Login login;
    login.feed(kLoginWire + bad + ready());
    EXPECT_TRUE(login.server.opaque());
    EXPECT_FALSE(idle(login.server, login.client));
    Login early;
    early.feed(bad + ready());
    EXPECT_TRUE(early.server.opaque());
    EXPECT_FALSE(early.server.login_done());
  }
}

TEST(CanTell, OnlyBetweenTheServersMessages) {
  const std::string reply = message('T', "columns") + message('D', "row");
  Login login;
  login.feed(kLoginWire);
  for (std::size_t at = 0; at < reply.size(); ++at) {
    EXPECT_EQ(login.server.can_send_error(), at == 0 || at == 12) << at;
    login.feed(reply.substr(at, 1));
  }
  EXPECT_TRUE(login.server.can_send_error());
}

}  // namespace
}  // namespace pgsteer
