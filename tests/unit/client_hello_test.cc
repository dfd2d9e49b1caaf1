#include "proxy/wire/client_hello.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;
using Kind = ClientHelloKind;

ClientHello decode(std::string_view text) { return decode_client_hello(bytes(text)); }

std::string u8(std::size_t value) { return std::string(1, static_cast<char>(value)); }
std::string len16(std::string_view text) {
  return u16(static_cast<std::uint32_t>(text.size())) + std::string(text);
}
std::string extension(std::uint32_t type, std::string_view data) { return u16(type) + len16(data); }
std::string server_name(std::string_view name) { return extension(0, len16(u8(0) + len16(name))); }
std::string alpn(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += u8(name.size()) + name;
  return extension(16, len16(list));
}
std::string body(std::string_view extensions) {
  return "\x03\x03" + std::string(32, 'r') + u8(32) + std::string(32, 's') + len16("\x13\x01") +
         u8(1) + "\0"s + len16(extensions);
}
std::string handshake(std::string_view hello, char type = 1) {
  return type + u8(hello.size() >> 16) + u16(static_cast<std::uint32_t>(hello.size() & 0xffff)) +
         std::string(hello);
}
std::string record(std::string_view payload) { return "\x16\x03\x01" + len16(payload); }
// `payload` in records of at most `size` bytes each.
std::string records(std::string_view payload, std::size_t size) {
  std::string out;
  for (; !payload.empty(); payload.remove_prefix(std::min(size, payload.size()))) {
    out += record(payload.substr(0, size));
  }
  return out;
}

const std::string kHello = handshake(body(extension(0x2a2a, "") + server_name("db.example.com") +
                                          extension(43, "\x02\x03\x04") + alpn({"postgresql"})));

TEST(ClientHello, ServerNameAndAlpnAreRead) {
  const ClientHello hello = decode(record(kHello));
  EXPECT_EQ(hello.kind, Kind::kFound);
  EXPECT_EQ(hello.server_name, "db.example.com");
  EXPECT_EQ(hello.alpn, std::vector<std::string>{"postgresql"});
  EXPECT_TRUE(hello.offers("postgresql"));
  EXPECT_FALSE(hello.offers("h2"));
}

TEST(ClientHello, CutAtEveryOffsetNeedsMore) {
  for (const std::string& wire : {record(kHello), records(kHello, 50), records(kHello, 1)}) {
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
      ASSERT_EQ(decode(std::string_view(wire).substr(0, cut)).kind, Kind::kNeedMore) << cut;
    }
    EXPECT_EQ(decode(wire).server_name, "db.example.com");
    EXPECT_EQ(decode(wire + "\x14\x03\x03\x00\x01\x01 whatever follows"s).kind, Kind::kFound);
  }
}

TEST(ClientHello, RecordsOfEverySizeAreJoined) {
  for (std::size_t size = 1; size <= kHello.size(); ++size) {
    const ClientHello hello = decode(records(kHello, size));
    ASSERT_EQ(hello.kind, Kind::kFound) << size;
    ASSERT_EQ(hello.server_name, "db.example.com") << size;
    ASSERT_TRUE(hello.offers("postgresql")) << size;
  }
}

TEST(ClientHello, WithoutExtensionsNameAndAlpnAreEmpty) {
  const std::string none = body("").substr(0, body("").size() - 2);
  for (const std::string& hello : {none, body("")}) {
    const ClientHello result = decode(record(handshake(hello)));
    EXPECT_EQ(result.kind, Kind::kFound);
    EXPECT_EQ(result.server_name, "");
    EXPECT_TRUE(result.alpn.empty());
  }
}

TEST(ClientHello, AlpnKeepsTheClientsOrderAndIsBounded) {
  EXPECT_EQ(decode(record(handshake(body(alpn({"h2", "postgresql"}))))).alpn,
            (std::vector<std::string>{"h2", "postgresql"}));
  const ClientHello many =
      decode(record(handshake(body(alpn(std::vector<std::string>(500, "x"))))));
  EXPECT_EQ(many.kind, Kind::kFound);
  EXPECT_EQ(many.alpn.size(), kMaxAlpn);
}

TEST(ClientHello, InvalidHostNameIsDropped) {
  for (const std::string& name :
       {"a b"s, "a\nb"s, "a\0b"s, "\x1b[31m"s, "\xc3\xa4"s, std::string(256, 'a')}) {
    const ClientHello hello = decode(record(handshake(body(server_name(name)))));
    EXPECT_EQ(hello.kind, Kind::kFound);
    EXPECT_EQ(hello.server_name, "");
  }
  EXPECT_EQ(decode(record(handshake(body(server_name(std::string(255, 'a')))))).server_name.size(),
            255u);
}

TEST(ClientHello, OtherBytesAreNotTls) {
  for (const std::string& wire : {"\0\0\0\x08"s, "GET /"s, "\x17\x03\x03"s, "\x16\x02"s,
                                  "\x80\x2e\x01"s, record(handshake(body(""), 2))}) {
    EXPECT_EQ(decode(wire).kind, Kind::kNotTls);
  }
}

TEST(ClientHello, Malformed) {
  const std::string whole = body(server_name("a") + alpn({"b"}));
  struct Bad {
    const char* name;
    std::string wire;
  };
  const std::vector<Bad> table = {
      {"EmptyRecord", "\x16\x03\x01\x00\x00"s},
      {"RecordTooLong", "\x16\x03\x01\x40\x01"s},
      {"OtherRecordBetween", record(kHello.substr(0, 9)) + "\x17\x03\x01\x00\x01x"s},
      {"OtherVersionBetween", record(kHello.substr(0, 9)) + "\x16\x02\x01\x00\x01x"s},
      {"HelloTooLong", record("\x01\x01\x00\x00"s)},
      {"HelloJustTooLong", record("\x01\x00\x3f\xfd"s)},
      {"EmptyHello", record(handshake(""))},
      {"BytesAfterExtensions", record(handshake(whole + "x"))},
      {"EmptyProtocol", record(handshake(body(alpn({""}))))},
      {"ServerNameLongerThanItsList", record(handshake(body(extension(0, len16("\0\0\x09"s
                                                                               "abc")))))},
      {"ListLongerThanItsExtension", record(handshake(body(extension(16, u16(50) + "\x01x"))))},
      {"ExtensionLongerThanTheHello", record(handshake(body(u16(43) + u16(50) + "x")))},
  };
  for (const Bad& bad : table) EXPECT_EQ(decode(bad.wire).kind, Kind::kMalformed) << bad.name;
}

TEST(ClientHello, ShortenedHelloIsMalformedExceptWithoutExtensions) {
  // The handshake's length field matches the cut, so more bytes cannot help.
  const std::string whole = body(server_name("a"));
  const std::size_t extensions_at = whole.size() - server_name("a").size() - 2;
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const Kind kind = decode(record(handshake(std::string_view(whole).substr(0, cut)))).kind;
    EXPECT_EQ(kind, cut == extensions_at ? Kind::kFound : Kind::kMalformed) << cut;
  }
}

TEST(ClientHello, WaitsForNoMoreThanTheLimit) {
  const std::string huge = handshake(body(extension(21, std::string(12000, '\0'))));
  EXPECT_EQ(decode(records(huge, 4000)).kind, Kind::kFound);
  // Six bytes on the wire for each byte of the hello.
  const std::string tiny_records = records(huge, 1);
  EXPECT_EQ(decode(std::string_view(tiny_records).substr(0, kMaxClientHello - 1)).kind,
            Kind::kNeedMore);
  EXPECT_EQ(decode(std::string_view(tiny_records).substr(0, kMaxClientHello)).kind,
            Kind::kMalformed);
}

}  // namespace
}  // namespace pgsteer
