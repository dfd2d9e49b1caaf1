// Any bytes as the start of a connection, and any startup packet with a suffix.
#include <algorithm>
#include <cstdint>
#include <string>

#include "proxy/wire/first_packet.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;

// Invariants of a result, for any bytes.
void examine(std::span<const std::byte> bytes, const FirstPacket& packet) {
  FUZZ_EXPECT((packet.kind == PacketKind::kMalformed) == (packet.problem != nullptr));
  FUZZ_EXPECT(packet.size <= kMaxStartupPacket);
  switch (packet.kind) {
    case PacketKind::kNeedMore:
      FUZZ_EXPECT(packet.size > bytes.size());
      break;
    case PacketKind::kCancelRequest:
      FUZZ_EXPECT(!packet.cancel_key.empty() && packet.cancel_key.size() <= kMaxCancelKey);
      FUZZ_EXPECT(packet.size == kCancelRequestHead + packet.cancel_key.size());
      FUZZ_EXPECT(packet.cancel_key.data() + packet.cancel_key.size() ==
                  bytes.data() + packet.size);
      break;
    case PacketKind::kSslRequest:
    case PacketKind::kGssRequest:
      FUZZ_EXPECT(packet.size == kMinStartupPacket);
      break;
    case PacketKind::kStartup:
      FUZZ_EXPECT(packet.size >= kMinStartupPacket && packet.size <= bytes.size());
      break;
    case PacketKind::kTlsHello:
      FUZZ_EXPECT(packet.size == 0);
      break;
    case PacketKind::kMalformed:
      break;
  }
}

void examine_startup(std::span<const std::byte> packet, std::uint32_t protocol) {
  const StartupFields fields = startup_fields(packet);
  FUZZ_EXPECT(fields.valid == (protocol >> 16 == 3));
  const std::string_view suffix = " [::1]:5000";
  const auto suffixed = with_application_suffix(packet, suffix);
  FUZZ_EXPECT(!suffixed || fields.valid);
  if (!suffixed) return;
  const FirstPacket again = decode_first_packet(*suffixed);
  FUZZ_EXPECT(again.kind == PacketKind::kStartup && again.size == suffixed->size());
  FUZZ_EXPECT(again.protocol == protocol);
  const StartupFields changed = startup_fields(*suffixed);
  FUZZ_EXPECT(changed.user == fields.user && changed.database == fields.database);
  FUZZ_EXPECT(changed.replication == fields.replication);
  FUZZ_EXPECT(changed.application.ends_with(suffix));
  const auto kept = changed.application.substr(0, changed.application.size() - suffix.size());
  FUZZ_EXPECT(fields.application.starts_with(kept));
  FUZZ_EXPECT(changed.application.size() <= kMaxApplicationName);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const FirstPacket whole = decode_first_packet(bytes);
  examine(bytes, whole);
  // A prefix either needs more or already gives the same result. Only cuts near the start and near
  // the end are tried, because those in between do not matter.
  for (std::size_t cut = 0; cut <= size; cut = cut < 16 || cut + 2 >= size ? cut + 1 : size - 2) {
    const FirstPacket part = decode_first_packet(bytes.first(cut));
    examine(bytes.first(cut), part);
    if (part.kind == PacketKind::kNeedMore) continue;
    FUZZ_EXPECT(part.kind == whole.kind && part.protocol == whole.protocol);
    FUZZ_EXPECT(part.size == whole.size && part.cancel_pid == whole.cancel_pid);
  }
  startup_fields(bytes);
  with_application_suffix(bytes, "x");
  if (whole.kind == PacketKind::kStartup) examine_startup(bytes.first(whole.size), whole.protocol);
  return 0;
}
