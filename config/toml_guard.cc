#include "config/toml_guard.h"

#include <algorithm>
#include <cctype>

namespace pgsteer {

namespace {

bool begins_key(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '"' ||
         c == '\'';
}

// Where the string that begins at `at` ends (past its quotes). A string that is not ended, or not
// on its line, runs to the end of the text: toml++ refuses it before it looks at what follows.
std::size_t past_string(std::string_view toml, std::size_t at) {
  const char quote = toml[at];
  const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
  const bool lines = toml.substr(at, 3) == three;
  for (at += lines ? 3 : 1; at < toml.size(); ++at) {
    if (toml[at] == '\\' && quote == '"') {
      ++at;
    } else if (!lines && toml[at] == '\n') {
      return toml.size();
    } else if (!lines && toml[at] == quote) {
      return at + 1;
    } else if (lines && toml.substr(at, 3) == three) {
      // Up to two more quotes belong to the string's own text: """a""""".
      at += 3;
      for (int more = 0; more < 2 && at < toml.size() && toml[at] == quote; ++more) ++at;
      return at;
    }
  }
  return toml.size();
}

}  // namespace

Stray stray_character(std::string_view toml) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  constexpr std::string_view kBeforeString = " \t\r\n=[{,.";
  const auto stray = [&](std::size_t at, const char* what) {
    const std::string_view before = toml.substr(0, at);
    return Stray{1 + static_cast<unsigned>(std::count(before.begin(), before.end(), '\n')), what};
  };
  const std::size_t begin = toml.starts_with(kMark) ? kMark.size() : 0;
  for (std::size_t at = begin; at < toml.size();) {
    const char c = toml[at];
    if (c == '#') {
      at = std::min(toml.find('\n', at), toml.size());
    } else if (c == '"' || c == '\'') {
      if (at > begin && kBeforeString.find(toml[at - 1]) == std::string_view::npos) {
        return stray(at, "a quote where no string can begin");
      }
      at = past_string(toml, at);
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return stray(at,
                   "a character outside of ASCII, which may stand in strings and comments only");
    } else {
      ++at;
    }
  }
  return {};
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
