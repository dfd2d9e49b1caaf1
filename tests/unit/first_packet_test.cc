#include "proxy/wire/first_packet.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;

constexpr std::uint32_t k30 = protocol_version(3, 0);

FirstPacket decode(std::string_view text) { return decode_first_packet(bytes(text)); }

std::string problem(const FirstPacket& packet) { return packet.problem ? packet.problem : ""; }

const std::string kPlain = startup(k30, {{"user", "alice"}, {"database", "shop"}});
const std::string kCancel = packet(kCancelRequestCode, u32(4711) + "abcd");

struct Case {
  const char* name;
  std::string wire;
  PacketKind kind;
};

std::vector<Case> whole_packets() {
  return {
      {"SslRequest", packet(kSslRequestCode), PacketKind::kSslRequest},
      {"GssRequest", packet(kGssRequestCode), PacketKind::kGssRequest},
      {"CancelShortestKey", packet(kCancelRequestCode, u32(1) + "k"), PacketKind::kCancelRequest},
      {"CancelKeyOf4", kCancel, PacketKind::kCancelRequest},
      {"CancelKeyOf32", packet(kCancelRequestCode, u32(1) + std::string(32, 'k')),
       PacketKind::kCancelRequest},
      {"CancelKeyOf256", packet(kCancelRequestCode, u32(1) + std::string(256, 'k')),
       PacketKind::kCancelRequest},
      {"Startup30", kPlain, PacketKind::kStartup},
      {"Startup32", startup(protocol_version(3, 2), {{"user", "a"}}), PacketKind::kStartup},
      {"Startup39999", startup(protocol_version(3, 9999), {{"user", "a"}, {"_pq_.test", "1"}}),
       PacketKind::kStartup},
      {"StartupWithoutFields", packet(k30, "\0"s), PacketKind::kStartup},
      {"StartupEmptyValue", startup(k30, {{"user", ""}}), PacketKind::kStartup},
      {"Startup20IsTheServersToRefuse", packet(protocol_version(2, 0), std::string(288, 'x')),
       PacketKind::kStartup},
      {"Startup40", packet(protocol_version(4, 0), "whatever it holds"), PacketKind::kStartup},
      {"StartupLargest", startup(k30, {{"user", std::string(9989, 'u')}}), PacketKind::kStartup},
  };
}

TEST(FirstPacket, CompletePacketIsRecognisedWithItsExactSize) {
  for (const Case& c : whole_packets()) {
    const FirstPacket packet = decode(c.wire);
    EXPECT_EQ(packet.kind, c.kind) << c.name << " " << problem(packet);
    EXPECT_EQ(packet.size, c.wire.size()) << c.name;
  }
}

TEST(FirstPacket, CutAtEveryOffsetNeedsMoreButNeverTooMuch) {
  for (const Case& c : whole_packets()) {
    for (std::size_t cut = 0; cut < c.wire.size(); ++cut) {
      const FirstPacket packet = decode(std::string_view(c.wire).substr(0, cut));
      ASSERT_EQ(packet.kind, PacketKind::kNeedMore) << c.name << " at " << cut;
      ASSERT_GT(packet.size, cut) << c.name;
      ASSERT_LE(packet.size, c.wire.size()) << c.name << " at " << cut;
      ASSERT_EQ(packet.size, cut < 4 ? 8 : c.wire.size()) << c.name << " at " << cut;
    }
  }
}

TEST(FirstPacket, PipelinedBytesAreNotPartOfThePacket) {
  for (const Case& c : whole_packets()) {
    for (const std::string& behind : {"x"s, c.wire, std::string(20000, '\x16')}) {
      const FirstPacket packet = decode(c.wire + behind);
      EXPECT_EQ(packet.kind, c.kind) << c.name;
      EXPECT_EQ(packet.size, c.wire.size()) << c.name;
    }
  }
}

TEST(FirstPacket, LargestStartupIs10004Bytes) {
  const std::string largest = startup(k30, {{"user", std::string(9989, 'u')}});
  ASSERT_EQ(largest.size(), kMaxStartupPacket);
  EXPECT_EQ(decode(largest).kind, PacketKind::kStartup);
  const FirstPacket larger = decode(startup(k30, {{"user", std::string(9990, 'u')}}));
  EXPECT_EQ(larger.kind, PacketKind::kMalformed);
  EXPECT_EQ(problem(larger), "length");
}

TEST(FirstPacket, ProtocolVersionIsReported) {
  EXPECT_EQ(decode(kPlain).protocol, 196608u);
  EXPECT_EQ(decode(startup(protocol_version(3, 2), {{"user", "a"}})).protocol, 196610u);
  EXPECT_EQ(decode(startup(protocol_version(3, 9999), {{"user", "a"}})).protocol, 206607u);
  EXPECT_EQ(decode(packet(protocol_version(2, 0), "x")).protocol, 131072u);
}

TEST(FirstPacket, CancelKeyPointsIntoTheBuffer) {
  const std::string wire = kCancel + "pipelined";
  const FirstPacket packet = decode(wire);
  EXPECT_EQ(packet.cancel_pid, 4711u);
  EXPECT_EQ(str(packet.cancel_key), "abcd");
}

TEST(FirstPacket, TlsRecordIsDirectTlsFromItsFirstByte) {
  EXPECT_EQ(decode("\x16").kind, PacketKind::kTlsHello);
  const FirstPacket packet = decode("\x16\x03\x01\x02\x00"s);
  EXPECT_EQ(packet.kind, PacketKind::kTlsHello);
  EXPECT_EQ(packet.size, 0u);
}

struct Bad {
  const char* name;
  std::string wire;
  const char* problem;
};

TEST(FirstPacket, MalformedIsRefusedWithItsProblem) {
  const std::vector<Bad> table = {
      {"ZeroLength", u32(0), "length"},
      {"AllZero", std::string(16, '\0'), "length"},
      {"LengthOf7", u32(7) + u32(k30), "length"},
      {"LengthOf10005", u32(10005) + u32(k30), "length"},
      {"NegativeLength", u32(0xffffffff), "length"},
      {"Sslv2Hello", "\x80\x2e\x01\x00\x02"s, "length"},
      {"Http", "GET / HTTP/1.1\r\n", "not_postgresql"},
      {"Ssh", "SSH-2.0-OpenSSH_9.2", "not_postgresql"},
      {"ProxyV1", "PROXY TCP4 1.2.3.4 ", "not_postgresql"},
      {"ProxyV2", "\r\n\r\n\0\r\nQUIT\n"s, "not_postgresql"},
      {"SslRequestTooLong", u32(9) + u32(kSslRequestCode) + "x", "length"},
      {"GssRequestTooLong", u32(16) + u32(kGssRequestCode), "length"},
      {"CancelWithoutKey", packet(kCancelRequestCode, u32(1)), "length"},
      {"CancelWithoutPid", packet(kCancelRequestCode), "length"},
      {"CancelKeyOf257", packet(kCancelRequestCode, u32(1) + std::string(257, 'k')), "length"},
      {"UnknownRequest", packet(protocol_version(1234, 5681)), "protocol_version"},
      {"StartupOf8", packet(k30), "unterminated"},
      {"NoTerminator", packet(k30, "user\0alice\0"s), "unterminated"},
      {"NameWithoutValue", packet(k30, "user\0"s), "unterminated"},
      {"NameWithoutEnd", packet(k30, "user"), "unterminated"},
      {"ValueWithoutEnd", packet(k30, "user\0alice"s), "unterminated"},
      {"BytesBehindTerminator", packet(k30, "user\0a\0\0x\0"s), "unterminated"},
      {"TwoTerminators", packet(k30, "user\0a\0\0\0"s), "unterminated"},
  };
  for (const Bad& bad : table) {
    const FirstPacket packet = decode(bad.wire);
    EXPECT_EQ(packet.kind, PacketKind::kMalformed) << bad.name;
    EXPECT_EQ(problem(packet), bad.problem) << bad.name;
  }
}

TEST(FirstPacket, OtherProtocolsAreRefusedAtTheFirstImpossibleByte) {
  for (int first = 0; first < 256; ++first) {
    const FirstPacket packet = decode(std::string(1, static_cast<char>(first)));
    const PacketKind expected = first == 0      ? PacketKind::kNeedMore
                                : first == 0x16 ? PacketKind::kTlsHello
                                                : PacketKind::kMalformed;
    EXPECT_EQ(packet.kind, expected) << first;
  }
  EXPECT_EQ(decode("\0\1"s).kind, PacketKind::kMalformed);  // 64 KiB or more
  EXPECT_EQ(decode("\0\0\x27"s).kind, PacketKind::kNeedMore);
  EXPECT_EQ(decode("\0\0\x28"s).kind, PacketKind::kMalformed);  // 10240 or more
}

TEST(FirstPacket, MalformedStaysMalformedWhateverFollows) {
  for (const std::string& wire : {u32(10005), "G"s, u32(9) + u32(kSslRequestCode)}) {
    EXPECT_EQ(decode(wire).kind, PacketKind::kMalformed);
    EXPECT_EQ(decode(wire + kPlain).kind, PacketKind::kMalformed);
  }
}

// --- Fields --------------------------------------------------------------------------------------

StartupFields fields(std::string_view text) { return startup_fields(bytes(text)); }

TEST(StartupFields, AreRead) {
  const std::string wire = startup(k30, {{"user", "alice"},
                                         {"database", "shop"},
                                         {"application_name", "till"},
                                         {"options", "-c x=y"}});
  const StartupFields f = fields(wire);
  EXPECT_TRUE(f.valid);
  EXPECT_EQ(f.user, "alice");
  EXPECT_EQ(f.database, "shop");
  EXPECT_EQ(f.application, "till");
  EXPECT_EQ(f.replication, Replication::kNone);
}

TEST(StartupFields, DatabaseDefaultsToTheUser) {
  EXPECT_EQ(fields(startup(k30, {{"user", "alice"}})).database, "alice");
  EXPECT_EQ(fields(startup(k30, {{"user", "alice"}, {"database", ""}})).database, "alice");
}

TEST(StartupFields, LastOfSeveralEqualNamesCounts) {
  const std::string wire =
      startup(k30, {{"user", "a"}, {"database", "x"}, {"user", "b"}, {"database", "y"}});
  EXPECT_EQ(fields(wire).user, "b");
  EXPECT_EQ(fields(wire).database, "y");
}

TEST(StartupFields, ValueThatLooksLikeANameIsNoName) {
  const std::string wire = startup(k30, {{"options", "user"}, {"user", "database"}});
  EXPECT_EQ(fields(wire).user, "database");
  EXPECT_EQ(fields(wire).database, "database");
}

TEST(StartupFields, ReplicationIsReadAsByTheServer) {
  const std::vector<std::pair<std::string, Replication>> table = {
      {"true", Replication::kPhysical},
      {"TRUE", Replication::kPhysical},
      {"t", Replication::kPhysical},
      {"yes", Replication::kPhysical},
      {"ye", Replication::kPhysical},
      {"on", Replication::kPhysical},
      {"On", Replication::kPhysical},
      {"1", Replication::kPhysical},
      {"database", Replication::kLogical},
      {"Database", Replication::kNone},  // not a boolean: the server refuses it
      {"false", Replication::kNone},
      {"off", Replication::kNone},
      {"o", Replication::kNone},
      {"no", Replication::kNone},
      {"0", Replication::kNone},
      {"11", Replication::kNone},
      {"trueish", Replication::kNone},
      {"", Replication::kNone},
  };
  for (const auto& [value, expected] : table) {
    const std::string wire = startup(k30, {{"user", "a"}, {"replication", value}});
    EXPECT_EQ(fields(wire).replication, expected) << value;
  }
}

TEST(StartupFields, PhysicalReplicationHasNoDatabase) {
  const std::string physical =
      startup(k30, {{"user", "a"}, {"replication", "on"}, {"database", "replication"}});
  EXPECT_EQ(fields(physical).database, "");
  const std::string logical =
      startup(k30, {{"user", "a"}, {"replication", "database"}, {"database", "shop"}});
  EXPECT_EQ(fields(logical).database, "shop");
}

TEST(StartupFields, OtherPacketsHaveNone) {
  for (const std::string& wire :
       {""s, "x"s, packet(kSslRequestCode), kCancel, packet(protocol_version(2, 0), "user\0a\0\0"s),
        packet(k30), packet(k30, "user\0a\0"s), kPlain + "x",
        kPlain.substr(0, kPlain.size() - 1)}) {
    const StartupFields f = fields(wire);
    EXPECT_FALSE(f.valid);
    EXPECT_EQ(f.user, "");
    EXPECT_EQ(f.database, "");
  }
}

// --- Suffix --------------------------------------------------------------------------------------

std::optional<std::string> suffixed(std::string_view wire, std::string_view suffix) {
  const auto result = with_application_suffix(bytes(wire), suffix);
  if (!result) return std::nullopt;
  return str(*result);
}

TEST(ApplicationSuffix, IsAppendedToTheName) {
  EXPECT_EQ(suffixed(startup(k30, {{"application_name", "till"}, {"user", "a"}}), " - 10.0.0.7"),
            startup(k30, {{"application_name", "till - 10.0.0.7"}, {"user", "a"}}));
}

TEST(ApplicationSuffix, NameIsAddedIfAbsent) {
  EXPECT_EQ(
      suffixed(kPlain, "10.0.0.7"),
      startup(k30, {{"user", "alice"}, {"database", "shop"}, {"application_name", "10.0.0.7"}}));
  EXPECT_EQ(suffixed(packet(k30, "\0"s), "x"), startup(k30, {{"application_name", "x"}}));
}

TEST(ApplicationSuffix, LastNameInAnyCaseCounts) {
  EXPECT_EQ(suffixed(startup(k30, {{"application_name", "a"}, {"Application_Name", "b"}}), "!"),
            startup(k30, {{"application_name", "a"}, {"Application_Name", "b!"}}));
}

// PostgreSQL cuts the name after 63 bytes: it is the client's part that has to give way.
TEST(ApplicationSuffix, IsNotPushedOutByALongName) {
  const auto named = [](const std::string& name) {
    return startup(k30, {{"application_name", name}, {"user", "a"}});
  };
  const std::string suffix = " [10.0.0.7:5432]";
  const std::string fits(63 - suffix.size(), 'x');
  EXPECT_EQ(suffixed(named(fits), suffix), named(fits + suffix));
  EXPECT_EQ(suffixed(named(fits + "y"), suffix), named(fits + suffix));
  EXPECT_EQ(suffixed(named(std::string(5'000, 'x')), suffix), named(fits + suffix));
  EXPECT_EQ(suffixed(named("name"), std::string(80, 's')), named(std::string(80, 's')));
}

// PostgreSQL 16 shows "é" as "\xc3\xa9".
TEST(ApplicationSuffix, BytesBeyondAsciiTakeFourPlacesAndAreNotCutInTwo) {
  const auto named = [](const std::string& name) {
    return startup(k30, {{"application_name", name}, {"user", "a"}});
  };
  const std::string suffix(50, 's');  // leaves 13 places
  EXPECT_EQ(suffixed(named("caf\xc3\xa9"), suffix), named("caf\xc3\xa9" + suffix));
  EXPECT_EQ(suffixed(named("caf\xc3\xa9\xc3\xa9"), suffix), named("caf\xc3\xa9" + suffix));
  EXPECT_EQ(suffixed(named("cafes\xc3\xa9\xc3\xa9"), suffix), named("cafes\xc3\xa9" + suffix));
  EXPECT_EQ(suffixed(named("cafeteria\xc3\xa9"), suffix), named("cafeteria" + suffix));
}

TEST(ApplicationSuffix, AllOtherBytesAreUnchanged) {
  const std::string before = startup(protocol_version(3, 9999), {{"_pq_.grease", "\xff\x01"},
                                                                 {"user", "a"},
                                                                 {"user", "b"},
                                                                 {"application_name", ""},
                                                                 {"options", ""}});
  EXPECT_EQ(suffixed(before, "x"), startup(protocol_version(3, 9999), {{"_pq_.grease", "\xff\x01"},
                                                                       {"user", "a"},
                                                                       {"user", "b"},
                                                                       {"application_name", "x"},
                                                                       {"options", ""}}));
  EXPECT_EQ(suffixed(before, ""), before);
}

TEST(ApplicationSuffix, RefusedIfItDoesNotFit) {
  const std::string large =
      startup(k30, {{"user", std::string(9989 - 18 - 4, 'u')}, {"application_name", "till"}});
  ASSERT_EQ(large.size(), kMaxStartupPacket - 0);
  EXPECT_TRUE(suffixed(large, ""));
  EXPECT_FALSE(suffixed(large, "x"));
  EXPECT_FALSE(suffixed(kPlain, std::string(20000, 'x')));
  const std::string nearly = startup(k30, {{"user", std::string(9989 - 19, 'u')}});
  ASSERT_EQ(nearly.size() + 19, kMaxStartupPacket);
  EXPECT_TRUE(suffixed(nearly, "x"));
  EXPECT_FALSE(suffixed(nearly, "xx"));
}

TEST(ApplicationSuffix, RefusedUnlessAStartupPacket) {
  for (const std::string& wire : {""s, packet(kSslRequestCode), kCancel, packet(k30),
                                  packet(protocol_version(2, 0), "x"), kPlain + "x"}) {
    EXPECT_FALSE(suffixed(wire, "x"));
  }
  EXPECT_FALSE(suffixed(kPlain, "a\0b"s));
}

}  // namespace
}  // namespace pgsteer
