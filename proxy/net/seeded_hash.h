// SipHash-2-4 (Aumasson and Bernstein, 2012) for tables that strangers can fill: with a seed that
// they do not know they cannot choose keys that collide. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pgsteer {

using HashSeed = std::array<std::uint64_t, 2>;

std::uint64_t seeded_hash(std::span<const std::byte> bytes, const HashSeed& seed);
// With the seed that this process has drawn at its first use.
std::uint64_t seeded_hash(std::span<const std::byte> bytes);

}  // namespace pgsteer
