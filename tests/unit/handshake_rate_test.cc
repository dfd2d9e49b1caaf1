// TLS handshakes per client address and second, in a table of fixed size.
#include "proxy/routing/handshake_rate.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kOne = 0x0123456789abcdefU;
constexpr std::uint64_t kOther = 0xfedcba9876543210U;

class HandshakeRateTest : public testing::Test {
 protected:
  unsigned begun(std::uint64_t client, std::uint32_t limit, unsigned tries) {
    unsigned count = 0;
    for (unsigned i = 0; i < tries; ++i) count += rate.begin(client, limit, now) ? 1 : 0;
    return count;
  }

  HandshakeRate rate;
  HandshakeRate::Instant now{std::chrono::hours(1)};
};

TEST_F(HandshakeRateTest, EachAddressHasItsLimit) {
  EXPECT_EQ(begun(kOne, 3, 10), 3U);
  EXPECT_EQ(begun(kOther, 3, 10), 3U);
}

TEST_F(HandshakeRateTest, AnotherSecondBringsTheLimitAgain) {
  EXPECT_EQ(begun(kOne, 3, 10), 3U);
  now += milliseconds(999);
  EXPECT_EQ(begun(kOne, 3, 10), 0U);
  now += milliseconds(1);
  EXPECT_EQ(begun(kOne, 3, 10), 3U);
  now += seconds(100);
  EXPECT_EQ(begun(kOne, 3, 10), 3U);
}

TEST_F(HandshakeRateTest, ZeroIsNoLimit) { EXPECT_EQ(begun(kOne, 0, 1000), 1000U); }

// It may be limited too early only if both of its cells are shared.
TEST_F(HandshakeRateTest, AnAddressThatSharesOneCellIsNotLimited) {
  const std::uint64_t same_first = (kOther & ~UINT64_C(0xffffffff)) | (kOne & 0xffffffffU);
  EXPECT_EQ(begun(kOne, 3, 10), 3U);
  EXPECT_EQ(begun(same_first, 3, 10), 3U);
}

}  // namespace
}  // namespace pgsteer
