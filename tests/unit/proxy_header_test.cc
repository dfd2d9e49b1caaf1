#include "proxy/wire/proxy_header.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;
using Kind = ProxyHeaderKind;

ProxyHeader decode(std::string_view text) { return decode_proxy_header(bytes(text)); }

std::string problem(const ProxyHeader& header) { return header.problem ? header.problem : ""; }

ProxyEndpoint v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                 std::uint16_t port) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, port};
}
ProxyEndpoint v6(std::uint8_t last, std::uint16_t port) {
  return {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}, port};
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(char command, char family, std::string_view payload) {
  return kSignature + command + family + u16(static_cast<std::uint32_t>(payload.size())) +
         std::string(payload);
}
std::string v6_bytes(char last) { return "\x20\x01\x0d\xb8"s + std::string(11, '\0') + last; }

const std::string kV4Payload = "\x0a\x00\x00\x07\x0a\x00\x00\x01"s + u16(51000) + u16(5000);
const std::string kV6Payload = v6_bytes(7) + v6_bytes(1) + u16(51000) + u16(5000);
const std::string kLongestV1 =
    "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "
    "65535 65535\r\n";

struct Good {
  const char* name;
  std::string wire;
  Kind kind;
};

std::vector<Good> good() {
  return {
      {"V1Tcp4", "PROXY TCP4 10.0.0.7 10.0.0.1 51000 5000\r\n", Kind::kAddress},
      {"V1Tcp6", "PROXY TCP6 2001:db8::7 2001:db8::1 51000 5000\r\n", Kind::kAddress},
      {"V1Longest", kLongestV1, Kind::kAddress},
      {"V1Unknown", "PROXY UNKNOWN\r\n", Kind::kLocal},
      {"V1UnknownWithRest", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Kind::kLocal},
      {"V1PortZero", "PROXY TCP4 10.0.0.7 10.0.0.1 0 0\r\n", Kind::kAddress},
      {"V2Tcp4", v2('\x21', '\x11', kV4Payload), Kind::kAddress},
      {"V2Tcp6", v2('\x21', '\x21', kV6Payload), Kind::kAddress},
      {"V2Tcp4WithTlvs", v2('\x21', '\x11', kV4Payload + "\x04\x00\x03xyz"s), Kind::kAddress},
      {"V2Local", v2('\x20', '\0', ""), Kind::kLocal},
      {"V2LocalIgnoresItsAddress", v2('\x20', '\x11', kV4Payload), Kind::kLocal},
      {"V2Unspecified", v2('\x21', '\0', ""), Kind::kLocal},
      {"V2Unix", v2('\x21', '\x31', std::string(216, 's')), Kind::kLocal},
      {"V2Datagram", v2('\x21', '\x12', kV4Payload), Kind::kLocal},
      {"V2Largest", v2('\x21', '\x11', kV4Payload + std::string(2048 - 12, 't')), Kind::kAddress},
  };
}

TEST(ProxyHeader, CompleteHeaderIsRecognisedWithItsExactSize) {
  for (const Good& c : good()) {
    for (const std::string& behind : {""s, "x"s, c.wire, "\r\n"s}) {
      const ProxyHeader header = decode(c.wire + behind);
      EXPECT_EQ(header.kind, c.kind) << c.name << " " << problem(header);
      EXPECT_EQ(header.size, c.wire.size()) << c.name;
    }
  }
}

TEST(ProxyHeader, CutAtEveryOffsetNeedsMoreButNeverTooMuch) {
  for (const Good& c : good()) {
    for (std::size_t cut = 0; cut < c.wire.size(); ++cut) {
      const ProxyHeader header = decode(std::string_view(c.wire).substr(0, cut));
      ASSERT_EQ(header.kind, Kind::kNeedMore) << c.name << " at " << cut << problem(header);
      ASSERT_GT(header.size, cut) << c.name;
      ASSERT_LE(header.size, c.wire.size()) << c.name << " at " << cut;
    }
  }
}

TEST(ProxyHeader, AddressesAndPorts) {
  for (const std::string& wire :
       {"PROXY TCP4 10.0.0.7 10.0.0.1 51000 5000\r\n"s, v2('\x21', '\x11', kV4Payload)}) {
    EXPECT_EQ(decode(wire).source, v4(10, 0, 0, 7, 51000));
    EXPECT_EQ(decode(wire).destination, v4(10, 0, 0, 1, 5000));
  }
  for (const std::string& wire :
       {"PROXY TCP6 2001:db8::7 2001:db8::1 51000 5000\r\n"s, v2('\x21', '\x21', kV6Payload)}) {
    EXPECT_EQ(decode(wire).source, v6(7, 51000));
    EXPECT_EQ(decode(wire).destination, v6(1, 5000));
  }
}

TEST(ProxyHeader, LongestLineIs104Bytes) {
  // The limit of 107 bytes allows UNKNOWN with two IPv6 addresses.
  EXPECT_EQ(kLongestV1.size(), 104u);
  const std::string at_limit = "PROXY UNKNOWN " + std::string(kMaxProxyV1 - 16, 'x') + "\r\n";
  ASSERT_EQ(at_limit.size(), kMaxProxyV1);
  EXPECT_EQ(decode(at_limit).kind, Kind::kLocal);
  EXPECT_EQ(decode(std::string_view(at_limit).substr(0, kMaxProxyV1 - 1)).kind, Kind::kNeedMore);
}

struct Bad {
  const char* name;
  std::string wire;
  const char* problem;
};

TEST(ProxyHeader, MalformedIsRefusedWithItsProblem) {
  const std::vector<Bad> table = {
      {"Startup", "\0\0\0\x08"s, "signature"},
      {"LowerCase", "proxy TCP4", "signature"},
      {"WrongAtTheLastByte", "\r\n\r\n\0\r\nQUIT\r"s, "signature"},
      {"V1NoFamily", "PROXY \r\n", "family"},
      {"V1Udp", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "family"},
      {"V1TwoSpaces", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "family"},
      {"V1WrongFamily", "PROXY TCP4 ::1 ::1 1 2\r\n", "address"},
      {"V1WrongFamily6", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "address"},
      {"V1ShortAddress", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "address"},
      {"V1NoPorts", "PROXY TCP4 1.2.3.4 1.2.3.4\r\n", "address"},
      {"V1OnePort", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "address"},
      {"V1ThreePorts", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "address"},
      {"V1TrailingSpace", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "address"},
      {"V1LargePort", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "address"},
      {"V1NegativePort", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "address"},
      {"V1LeadingZero", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "address"},
      {"V1NulInAddress", "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"s, "address"},
      {"V1NeverEnds", "PROXY TCP4 " + std::string(200, '1'), "length"},
      {"V1EndsTooLate", "PROXY UNKNOWN " + std::string(kMaxProxyV1 - 15, 'x') + "\r\n", "length"},
      {"V2Version1", kSignature + "\x11", "version"},
      {"V2Command2", kSignature + "\x22", "command"},
      {"V2Family4", v2('\x21', '\x41', kV4Payload), "family"},
      {"V2Transport3", v2('\x21', '\x13', kV4Payload), "family"},
      {"V2TooShortForV4", v2('\x21', '\x11', std::string(11, 'a')), "address"},
      {"V2TooShortForV6", v2('\x21', '\x21', std::string(35, 'a')), "address"},
      {"V2TooLong", kSignature + "\x21\x11" + u16(2049), "length"},
      {"V2LongestOfAll", kSignature + "\x21\x11\xff\xff", "length"},
  };
  for (const Bad& bad : table) {
    const ProxyHeader header = decode(bad.wire);
    EXPECT_EQ(header.kind, Kind::kMalformed) << bad.name;
    EXPECT_EQ(problem(header), bad.problem) << bad.name;
  }
}

}  // namespace
}  // namespace pgsteer
