#include "proxy/wire/stream_tail.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "proxy/wire/bytes.h"
#include "proxy/wire/message_cursor.h"

namespace pgsteer {
namespace {

constexpr std::size_t kMaxCompletionTag = 64;  // tcop/cmdtag.h COMPLETION_TAG_BUFSIZE

// The body of the message of `type` that `bytes` end with, if its body has `body` bytes.
bool ends_with_message(std::span<const std::byte> bytes, char type, std::size_t body) {
  if (kMessageHead + body > bytes.size()) return false;
  const std::byte* const at = bytes.data() + bytes.size() - kMessageHead - body;
  return *at == static_cast<std::byte>(type) && load_u32(at + 1) == 4 + body;
}

// Its tag is short printable text.
bool ends_with_command_complete(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.back() != std::byte{0}) return false;
  for (std::size_t body = 1; body <= kMaxCompletionTag && body < bytes.size(); ++body) {
    if (ends_with_message(bytes, 'C', body)) return true;
    const std::byte first = bytes[bytes.size() - body];
    if (body > 1 && (first < std::byte{' '} || first > std::byte{'~'})) return false;
  }
  return false;
}

}  // namespace

std::span<const std::byte> last_error_body(std::span<const std::byte> bytes) {
  const auto tail = bytes.last(std::min(bytes.size(), kStreamTail));
  // A body begins with the severity and ends with the end of a text and the end of the fields.
  constexpr std::size_t kLeast = 3;
  for (std::size_t body = kLeast; body + kMessageHead <= tail.size(); ++body) {
    if (!ends_with_message(tail, 'E', body)) continue;
    const auto found = tail.last(body);
    const bool closed = found[body - 1] == std::byte{0} && found[body - 2] == std::byte{0};
    if (closed && found[0] == std::byte{'S'}) return found;
  }
  return {};
}

bool ends_with_answer(std::span<const std::byte> bytes) {
  return ends_with_command_complete(bytes) || ends_with_message(bytes, 's', 0) ||
         ends_with_message(bytes, '3', 0) || !last_error_body(bytes).empty();
}

bool ends_with_copy_done(std::span<const std::byte> bytes, bool and_sync) {
  if (and_sync) {
    if (!ends_with_message(bytes, 'S', 0)) return false;
    bytes = bytes.first(bytes.size() - kMessageHead);
  }
  return ends_with_message(bytes, 'c', 0);
}

bool ends_with_tls_alert(std::span<const std::byte> bytes) {
  constexpr std::size_t kHead = 5;
  constexpr std::string_view kTls13("\x17\x03\x03\x00\x13", 5);
  constexpr std::string_view kTls12("\x15\x03\x03\x00", 4);
  constexpr std::size_t kTls13Alert = 19;  // two bytes, the type, the tag
  // ChaCha20, AES-GCM and -CCM, and the paddings of CBC with any MAC.
  constexpr std::array<std::size_t, 6> kTls12Alerts{18, 26, 48, 64, 80, 96};
  const auto record = [&](std::size_t body) {
    return bytes.size() < kHead + body ? std::string_view{} : text(bytes.last(kHead + body));
  };
  if (record(kTls13Alert).starts_with(kTls13)) return true;
  return std::ranges::any_of(kTls12Alerts, [&](std::size_t body) {
    const std::string_view last = record(body);
    return last.starts_with(kTls12) && static_cast<std::size_t>(last[4]) == body;
  });
}

}  // namespace pgsteer
