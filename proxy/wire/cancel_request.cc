#include "proxy/wire/cancel_request.h"

#include "proxy/wire/bytes.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

std::vector<std::byte> encode_cancel_request(std::uint32_t pid, std::span<const std::byte> key) {
  std::vector<std::byte> packet;
  packet.reserve(kCancelRequestHead + key.size());
  put_u32(packet, static_cast<std::uint32_t>(kCancelRequestHead + key.size()));
  put_u32(packet, kCancelRequestCode);
  put_u32(packet, pid);
  packet.insert(packet.end(), key.begin(), key.end());
  return packet;
}

}  // namespace pgsteer
