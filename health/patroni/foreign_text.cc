#include "health/patroni/foreign_text.h"

#include <algorithm>

namespace pgsteer {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

// The size in bytes of the harmful character that `text` begins with; 0 if it begins with another.
std::size_t harmful(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  const unsigned second = byte_at(text, 1);
  const unsigned third = byte_at(text, 2);
  if (first < 0x20 || first == 0x7f) return 1;
  if (first == 0xc2 && second >= 0x80 && second <= 0x9f) return 2;  // U+0080 to U+009F
  if (first != 0xe2) return 0;
  // U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069
  const bool general =
      second == 0x80 && (third == 0x8e || third == 0x8f || (third >= 0xa8 && third <= 0xae));
  const bool isolate = second == 0x81 && third >= 0xa6 && third <= 0xa9;
  return general || isolate ? 3 : 0;
}

}  // namespace

std::string foreign_text(std::string_view text) {
  if (text.size() > kMaxForeignText) {
    std::size_t end = kMaxForeignText;
    while (end > 0 && (byte_at(text, end) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = harmful(text);
    out.push_back(size > 0 ? '?' : text.front());
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

}  // namespace pgsteer
