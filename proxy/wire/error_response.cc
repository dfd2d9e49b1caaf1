#include "proxy/wire/error_response.h"

#include <endian.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "proxy/wire/bytes.h"

namespace pgsteer {
namespace {

// Cuts at a NUL, which would end the field early, and at `most` bytes without splitting a UTF-8
// sequence (continuation bytes are 10xxxxxx).
std::string_view fitting(std::string_view text, std::size_t most) {
  text = text.substr(0, text.find('\0'));
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

void add_field(std::vector<std::byte>& out, char name, std::string_view text) {
  out.push_back(static_cast<std::byte>(name));
  const std::string_view cut = fitting(text, kMaxErrorText);
  const auto* at = reinterpret_cast<const std::byte*>(cut.data());
  out.insert(out.end(), at, at + cut.size());
  out.push_back(std::byte{0});
}

std::vector<std::byte> encode(char type, const ErrorFields& fields) {
  std::vector<std::byte> out;
  out.reserve(64 + fields.message.size() + fields.detail.size() + fields.hint.size());
  out.push_back(static_cast<std::byte>(type));
  out.resize(5);  // the length is known at the end
  add_field(out, 'S', fields.severity);
  add_field(out, 'V', fields.severity);
  add_field(out, 'C', fields.sqlstate);
  add_field(out, 'M', fields.message);
  if (!fields.detail.empty()) add_field(out, 'D', fields.detail);
  if (!fields.hint.empty()) add_field(out, 'H', fields.hint);
  out.push_back(std::byte{0});
  const std::uint32_t length = htobe32(static_cast<std::uint32_t>(out.size() - 1));
  std::memcpy(out.data() + 1, &length, sizeof length);
  return out;
}

}  // namespace

std::vector<std::byte> encode_error_response(const ErrorFields& fields) {
  return encode('E', fields);
}

std::vector<std::byte> encode_notice_response(const ErrorFields& fields) {
  return encode('N', fields);
}

std::optional<ErrorFields> decode_error_fields(std::span<const std::byte> body) {
  std::string_view rest = text(body);
  ErrorFields fields;
  std::string_view localised;
  while (!rest.empty() && rest.front() != '\0') {
    const std::size_t end = rest.find('\0', 1);
    if (end == std::string_view::npos) break;  // cut short
    const std::string_view value = rest.substr(1, end - 1);
    switch (rest.front()) {
      case 'S':
        localised = value;
        break;
      case 'V':
        fields.severity = value;
        break;
      case 'C':
        fields.sqlstate = value;
        break;
      case 'M':
        fields.message = value;
        break;
      case 'D':
        fields.detail = value;
        break;
      case 'H':
        fields.hint = value;
        break;
      default:
        break;
    }
    rest.remove_prefix(end + 1);
  }
  if (fields.severity.empty()) fields.severity = localised;
  if (fields.sqlstate.size() != 5) return std::nullopt;
  return fields;
}

}  // namespace pgsteer
