#include "proxy/net/seeded_hash.h"

#include <bit>
#include <random>

namespace pgsteer {

namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

// At most eight bytes, the first one lowest.
std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return word;
}

HashSeed draw_seed() {
  std::random_device random;
  const auto word = [&random] { return std::uint64_t{random()} << 32 | random(); };
  return {word(), word()};
}

}  // namespace

std::uint64_t seeded_hash(std::span<const std::byte> bytes, const HashSeed& seed) {
  SipState state{seed[0] ^ 0x736f6d6570736575U, seed[1] ^ 0x646f72616e646f6dU,
                 seed[0] ^ 0x6c7967656e657261U, seed[1] ^ 0x7465646279746573U};
  const std::uint64_t size = bytes.size();
  while (bytes.size() >= 8) {
    state.take(little_endian(bytes.first(8)));
    bytes = bytes.subspan(8);
  }
  state.take(size << 56 | little_endian(bytes));
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::uint64_t seeded_hash(std::span<const std::byte> bytes) {
  static const HashSeed seed = draw_seed();
  return seeded_hash(bytes, seed);
}

}  // namespace pgsteer
