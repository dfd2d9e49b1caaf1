#include "proxy/wire/first_packet.h"

#include <algorithm>
#include <cstring>

#include "proxy/wire/bytes.h"

namespace pgsteer {
namespace {

constexpr std::uint8_t kTlsHandshakeRecord = 0x16;  // RFC 8446, section 5.1
constexpr std::uint32_t kRequestMajor = 1234;
constexpr std::size_t kFieldsAt = 8;  // after length and protocol version
constexpr std::string_view kApplicationName = "application_name";

FirstPacket malformed(const char* problem, std::size_t size = 0) {
  FirstPacket packet;
  packet.kind = PacketKind::kMalformed;
  packet.problem = problem;
  packet.size = size;
  return packet;
}

// The packet is whole, and its sender speaks the protocol: ProcessStartupPacket reports these.
FirstPacket refused(const char* problem, std::size_t size) {
  FirstPacket packet = malformed(problem, size);
  packet.answerable = true;
  return packet;
}

FirstPacket need(std::size_t size) {
  FirstPacket packet;
  packet.size = size;
  return packet;
}

bool text_like(std::byte b) {
  const auto c = static_cast<std::uint8_t>(b);
  return (c >= 0x20 && c <= 0x7e) || c == '\r' || c == '\n' || c == '\t';
}

// Whether these first bytes of a length (up to four) can still become an allowed length.
bool length_possible(std::span<const std::byte> bytes) {
  std::size_t least = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const bool known = i < bytes.size();
    least = least << 8 | (known ? static_cast<std::size_t>(bytes[i]) : 0x00);
    most = most << 8 | (known ? static_cast<std::size_t>(bytes[i]) : 0xff);
  }
  return most >= kMinStartupPacket && least <= kMaxStartupPacket;
}

// One field of a startup packet; `at` is the offset of its name in the packet.
struct Field {
  std::string_view name;
  std::string_view value;
  std::size_t at = 0;
  std::size_t value_end = 0;  // offset of the value's terminator
};

// Iterates over the fields like ProcessStartupPacket and calls visit(Field) for each. True if the
// list's terminator is the packet's last byte.
template <class Visit>
bool walk_fields(std::span<const std::byte> packet, Visit&& visit) {
  const std::string_view all = text(packet);
  std::size_t at = kFieldsAt;
  while (at < all.size()) {
    if (all[at] == '\0') return at + 1 == all.size();
    const std::size_t name_end = all.find('\0', at);
    if (name_end == std::string_view::npos) return false;
    const std::size_t value_end = all.find('\0', name_end + 1);
    if (value_end == std::string_view::npos) return false;
    visit(Field{all.substr(at, name_end - at), all.substr(name_end + 1, value_end - name_end - 1),
                at, value_end});
    at = value_end + 1;
  }
  return false;
}

bool protocol_3(std::span<const std::byte> packet) {
  return packet.size() > kFieldsAt && packet.size() <= kMaxStartupPacket &&
         load_u32(packet.data()) == packet.size() && load_u32(packet.data() + 4) >> 16 == 3;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

// utils/adt/bool.c parse_bool: any prefix of true or yes, on, or 1; nothing else is true. The
// server itself refuses a value that is not a boolean.
bool true_value(std::string_view value) {
  if (value.empty()) return false;
  const auto begins = [&](std::string_view word) {
    return value.size() <= word.size() && same_ignoring_case(value, word.substr(0, value.size()));
  };
  return begins("true") || begins("yes") || (value.size() == 2 && begins("on")) || value == "1";
}

FirstPacket startup(std::span<const std::byte> packet, std::uint32_t code) {
  if (code >> 16 == kRequestMajor) return refused("protocol_version", packet.size());
  if (code >> 16 == 3 && !walk_fields(packet, [](const Field&) {})) {
    return refused("unterminated", packet.size());
  }
  FirstPacket result;
  result.kind = PacketKind::kStartup;
  result.size = packet.size();
  result.protocol = code;
  return result;
}

FirstPacket bare_request(PacketKind kind, std::size_t size) {
  if (size != kMinStartupPacket) return malformed("length", size);
  FirstPacket packet;
  packet.kind = kind;
  packet.size = size;
  return packet;
}

FirstPacket cancel_request(std::span<const std::byte> bytes, std::size_t size) {
  if (size <= kCancelRequestHead || size > kCancelRequestHead + kMaxCancelKey) {
    return malformed("length", size);
  }
  if (bytes.size() < size) return need(size);
  FirstPacket packet;
  packet.kind = PacketKind::kCancelRequest;
  packet.size = size;
  packet.cancel_pid = load_u32(bytes.data() + 8);
  packet.cancel_key = bytes.subspan(kCancelRequestHead, size - kCancelRequestHead);
  return packet;
}

// How many bytes of `name` leave room for a suffix of this size. PostgreSQL 16 and later shows each
// byte that is not printable ASCII as four, "\xc3", before it cuts (pg_clean_ascii()).
std::size_t beside_suffix(std::string_view name, std::size_t suffix) {
  std::size_t room = kMaxApplicationName - std::min(kMaxApplicationName, suffix);
  std::size_t end = 0;
  for (; end < name.size(); ++end) {
    const std::size_t shown = name[end] >= 0x20 && name[end] <= 0x7e ? 1 : 4;
    if (shown > room) break;
    room -= shown;
  }
  // Not inside a UTF-8 character (continuation bytes are 10xxxxxx).
  while (end > 0 && end < name.size() && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80)
    --end;
  return end;
}

}  // namespace

FirstPacket decode_first_packet(std::span<const std::byte> bytes) {
  if (bytes.empty()) return need(kMinStartupPacket);
  if (static_cast<std::uint8_t>(bytes[0]) == kTlsHandshakeRecord) {
    FirstPacket packet;
    packet.kind = PacketKind::kTlsHello;
    return packet;
  }
  if (!length_possible(bytes)) return malformed(text_like(bytes[0]) ? "not_postgresql" : "length");
  if (bytes.size() < 4) return need(kMinStartupPacket);
  const std::size_t size = load_u32(bytes.data());
  if (bytes.size() < kMinStartupPacket) return need(size);

  const std::uint32_t code = load_u32(bytes.data() + 4);
  switch (code) {
    case kSslRequestCode:
      return bare_request(PacketKind::kSslRequest, size);
    case kGssRequestCode:
      return bare_request(PacketKind::kGssRequest, size);
    case kCancelRequestCode:
      return cancel_request(bytes, size);
    default:
      if (bytes.size() < size) return need(size);
      return startup(bytes.first(size), code);
  }
}

StartupFields startup_fields(std::span<const std::byte> packet) {
  StartupFields fields;
  if (!protocol_3(packet)) return fields;
  fields.valid = walk_fields(packet, [&](const Field& field) {
    if (field.name == "user") {
      fields.user = field.value;
    } else if (field.name == "database") {
      fields.database = field.value;
    } else if (field.name == "replication") {
      fields.replication = field.value == "database" ? Replication::kLogical
                           : true_value(field.value) ? Replication::kPhysical
                                                     : Replication::kNone;
    } else if (same_ignoring_case(field.name, kApplicationName)) {
      fields.application = field.value;  // any case, unlike the names above
    }
  });
  if (!fields.valid) return {};
  if (fields.replication == Replication::kPhysical) {
    fields.database = {};  // the server ignores it
  } else if (fields.database.empty()) {
    fields.database = fields.user;
  }
  return fields;
}

std::optional<std::vector<std::byte>> with_application_suffix(std::span<const std::byte> packet,
                                                              std::string_view suffix) {
  std::optional<std::size_t> value_end;
  std::size_t cut = 0;
  if (!protocol_3(packet) || suffix.find('\0') != std::string_view::npos) return std::nullopt;
  const bool valid = walk_fields(packet, [&](const Field& field) {
    if (!same_ignoring_case(field.name, kApplicationName)) return;
    value_end = field.value_end;
    cut = field.value.size() - beside_suffix(field.value, suffix.size());
  });
  if (!valid) return std::nullopt;

  const std::size_t extra = suffix.size() + (value_end ? 0 : kApplicationName.size() + 2);
  if (suffix.size() > kMaxStartupPacket || packet.size() - cut + extra > kMaxStartupPacket) {
    return std::nullopt;
  }
  std::vector<std::byte> result;
  result.reserve(packet.size() - cut + extra);
  const auto add = [&](std::string_view part) {
    const auto* at = reinterpret_cast<const std::byte*>(part.data());
    result.insert(result.end(), at, at + part.size());
  };
  const std::string_view all = text(packet);
  const std::size_t split = value_end.value_or(packet.size() - 1);
  add(all.substr(0, split - cut));
  if (!value_end) {
    add(kApplicationName);
    result.push_back(std::byte{0});
  }
  add(suffix);
  if (!value_end) result.push_back(std::byte{0});
  add(all.substr(split));

  const std::uint32_t length = htobe32(static_cast<std::uint32_t>(result.size()));
  std::memcpy(result.data(), &length, sizeof length);
  return result;
}

}  // namespace pgsteer
