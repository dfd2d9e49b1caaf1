// Keeps away from toml++ 3.3.0 the input that it cannot handle. Pure; any thread.
//
// Its test for white space has undefined behaviour for most non-ASCII characters (the switch in
// is_non_ascii_horizontal_whitespace ends in __builtin_unreachable). A malformed value gets there
// even from within quotes: `a = [9{b = "<a umlaut>"`. So toml++ receives ASCII only: each byte
// above 0x7f becomes a marker and two hex digits, and original() restores it in the strings and
// keys that toml++ returns. Where TOML forbids non-ASCII characters, it forbids the marker too.
#pragma once

#include <string>
#include <string_view>

namespace pgsteer {

struct AsciiForm {
  std::string text;
  char marker = 0;          // 0: nothing was replaced
  unsigned error_line = 0;  // 0: no error
  const char* error = "";
};

// The document in ASCII with the same lines, without a byte order mark. Fails if the document is
// not UTF-8 (RFC 3629), which TOML requires.
AsciiForm ascii_form(std::string_view toml);

// Restores the characters in a string or key.
std::string original(std::string_view text, char marker);

// The first line with an invalid table header, or 0. Used to locate a failed assertion of toml++.
// It looks at single lines, so a line of a multi-line string may look like a header.
unsigned bad_header(std::string_view toml);

}  // namespace pgsteer
