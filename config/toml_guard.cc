#include "config/toml_guard.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>

namespace pgsteer {

namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

bool begins_key(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '"' ||
         c == '\'';
}

bool ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// True if the text has an escape such as \u007e that means this character.
bool escaped(std::string_view text, char marker) {
  const auto value = static_cast<unsigned char>(marker);
  for (std::size_t at = text.find("00"); at != std::string_view::npos;
       at = text.find("00", at + 1)) {
    const std::string_view code = text.substr(at + 2, 2);
    if (code.size() < 2) continue;
    const auto upper = [](char c) {
      return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    };
    if (upper(code[0]) == kDigits[value >> 4] && upper(code[1]) == kDigits[value & 15]) return true;
  }
  return false;
}

// A character without a meaning in TOML that does not occur in the text; 0 if all of them do.
char free_marker(std::string_view text) {
  for (const char marker : std::string_view("~^`|@!$%&*;?<>()/")) {
    if (text.find(marker) == std::string_view::npos && !escaped(text, marker)) return marker;
  }
  return 0;
}

// The length in bytes of the first character of `text`, 0 if it is not UTF-8.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(text[i] & 0xff); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (text.size() < size) return 0;
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3f);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return overlong || surrogate || code > 0x10ffff ? 0 : size;
}

}  // namespace

AsciiForm ascii_form(std::string_view toml) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (toml.starts_with(kMark)) toml.remove_prefix(kMark.size());
  AsciiForm form;
  if (std::all_of(toml.begin(), toml.end(), ascii)) {
    form.text = toml;
    return form;
  }
  form.marker = free_marker(toml);
  if (form.marker == 0) {
    form.error_line = 1;
    form.error =
        "pgsteer cannot read a file that has non-ASCII characters and all of ~^`|@!$%&*;?<>()/";
    return form;
  }
  for (std::size_t at = 0; at < toml.size();) {
    const std::size_t size = character(toml.substr(at));
    if (size == 0) {
      const auto lines = std::count(form.text.begin(), form.text.end(), '\n');
      form.error_line = 1 + static_cast<unsigned>(lines);
      form.error = "not UTF-8; save the file as UTF-8";
      return form;
    }
    for (const std::size_t end = at + size; at < end; ++at) {
      const auto value = static_cast<unsigned char>(toml[at]);
      if (value < 0x80) {
        form.text.push_back(toml[at]);
      } else {
        form.text.append({form.marker, kDigits[value >> 4], kDigits[value & 15]});
      }
    }
  }
  return form;
}

std::string original(std::string_view text, char marker) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (marker == 0 || text[at] != marker || at + 2 >= text.size()) {
      out.push_back(text[at]);
      continue;
    }
    // Only ascii_form() writes the marker, so two digits follow.
    const std::size_t high = kDigits.find(text[at + 1]), low = kDigits.find(text[at + 2]);
    out.push_back(static_cast<char>((high << 4 | low) & 0xff));
    at += 2;
  }
  return out;
}

unsigned bad_header(std::string_view toml) {
  unsigned line = 1;
  for (std::size_t at = 0; at <= toml.size(); ++line) {
    const std::size_t end = std::min(toml.find('\n', at), toml.size());
    const std::string_view text = toml.substr(at, end - at);
    const std::size_t first = text.find_first_not_of(" \t");
    if (first != std::string_view::npos && text[first] == '[') {
      const std::size_t name = text.find_first_not_of("[ \t", first);
      if (name == std::string_view::npos || !begins_key(text[name])) return line;
    }
    at = end + 1;
  }
  return 0;
}

}  // namespace pgsteer
