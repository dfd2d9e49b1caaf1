// The sessions of one worker by the key of their backend, so that a cancel finds its session
// without asking every one of them. Owned by a worker, used on its thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "proxy/net/address.h"
#include "proxy/net/seeded_hash.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

// Where the session with a key is: the node, and the address that it is connected to.
struct KeyOwner {
  std::size_t node = 0;
  Address address;
};

// A session that has a key.
class KeyHolder {
 public:
  virtual bool has_key(std::uint32_t pid, std::span<const std::byte> key) const = 0;
  // Empty: it is not connected any more.
  virtual std::optional<KeyOwner> key_owner() const = 0;
  virtual ~KeyHolder() = default;
};

class KeyIndex {
 public:
  // Strangers choose what they ask for, so it is hashed with a seed.
  static std::uint64_t hash(std::uint32_t pid, std::span<const std::byte> key) {
    std::array<std::byte, sizeof pid + kMaxCancelKey> bytes;
    const std::size_t size = std::min(key.size(), kMaxCancelKey);
    std::memcpy(bytes.data(), &pid, sizeof pid);
    std::copy_n(key.begin(), size, bytes.begin() + sizeof pid);
    return seeded_hash(std::span<const std::byte>(bytes).first(sizeof pid + size));
  }

  void add(std::uint64_t hash, const KeyHolder& holder) { holders_.emplace(hash, &holder); }
  void remove(std::uint64_t hash, const KeyHolder& holder) {
    const auto [first, last] = holders_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      if (at->second != &holder) continue;
      holders_.erase(at);
      return;
    }
  }
  std::optional<KeyOwner> find(std::uint32_t pid, std::span<const std::byte> key) const {
    const auto [first, last] = holders_.equal_range(hash(pid, key));
    for (auto at = first; at != last; ++at) {
      if (at->second->has_key(pid, key)) return at->second->key_owner();
    }
    return std::nullopt;
  }

 private:
  std::unordered_multimap<std::uint64_t, const KeyHolder*> holders_;
};

}  // namespace pgsteer
