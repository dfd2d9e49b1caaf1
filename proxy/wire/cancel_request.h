// The packet that asks a server to cancel a session's statement. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pgsteer {

// The whole packet. `pid` and `key` are those of BackendKeyData.
std::vector<std::byte> encode_cancel_request(std::uint32_t pid, std::span<const std::byte> key);

}  // namespace pgsteer
