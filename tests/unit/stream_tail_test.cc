// The last bytes of a stream whose messages could not be followed.
#include "proxy/wire/stream_tail.h"

#include <gtest/gtest.h>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;

std::string record(char type, std::size_t body) {
  return type + "\x03\x03"s + u16(static_cast<std::uint32_t>(body)) + std::string(body, 'x');
}

TEST(StreamTail, TlsAlertsOfEveryCipherAreRecognised) {
  for (const std::size_t body : {18U, 26U, 48U, 64U}) {
    EXPECT_TRUE(ends_with_tls_alert(bytes(record(0x15, body)))) << body;
    EXPECT_TRUE(ends_with_tls_alert(bytes(record(0x17, 22) + record(0x15, body)))) << body;
  }
  EXPECT_TRUE(ends_with_tls_alert(bytes(record(0x17, 22) + record(0x17, 19))));
}

TEST(StreamTail, OtherTlsRecordsAreNoAlerts) {
  for (const std::string& tail :
       {""s, record(0x17, 22), record(0x17, 26), record(0x17, 19) + "x", record(0x15, 18).substr(1),
        record(0x15, 19), record(0x16, 26), "\x17\x03\x03\x00\x13"s}) {
    EXPECT_FALSE(ends_with_tls_alert(bytes(tail)));
  }
}

TEST(StreamTail, TheLastErrorIsFoundBehindRows) {
  const std::string error =
      report('E', "ERROR", "57014", "canceling statement due to user request");
  for (const std::string& before : {""s, "row"s, std::string(2000, 'E')}) {
    EXPECT_EQ(str(last_error_body(bytes(before + error))), error.substr(5));
  }
  EXPECT_TRUE(last_error_body(bytes(error + "x")).empty());
  EXPECT_TRUE(last_error_body(bytes(error.substr(1))).empty());
  EXPECT_TRUE(last_error_body({}).empty());
}

}  // namespace
}  // namespace pgsteer
