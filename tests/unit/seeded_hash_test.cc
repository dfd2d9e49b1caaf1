#include "proxy/net/seeded_hash.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace pgsteer {
namespace {

std::vector<std::byte> count_up(std::size_t size) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

// Appendix A of the paper, and two of the vectors of the reference implementation.
TEST(SeededHash, IsSipHash24) {
  const HashSeed key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  EXPECT_EQ(seeded_hash(count_up(15), key), 0xa129ca6149be45e5U);
  EXPECT_EQ(seeded_hash(count_up(0), key), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(seeded_hash(count_up(8), key), 0x93f5f5799a932462U);
}

TEST(SeededHash, AnotherSeedGivesAnotherHash) {
  EXPECT_NE(seeded_hash(count_up(4), {1, 2}), seeded_hash(count_up(4), {1, 3}));
}

TEST(SeededHash, TheProcessKeepsItsSeed) {
  EXPECT_EQ(seeded_hash(count_up(16)), seeded_hash(count_up(16)));
  EXPECT_NE(seeded_hash(count_up(16)), seeded_hash(count_up(15)));
}

}  // namespace
}  // namespace pgsteer
