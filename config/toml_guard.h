// What toml++ 3.3.0 must not get to see. Pure; any thread.
//
// Outside of ASCII its test for white space is undefined behaviour for most characters (the switch
// in is_non_ascii_horizontal_whitespace ends in __builtin_unreachable), and a malformed value leads
// it there even from within quotes: `a = [9{b = "<a umlaut>"`. So it is given ASCII alone: the
// bytes above are written as a marker and two digits, and read back from the strings and keys that
// it returns. Where TOML does not permit such characters, it does not permit the marker either.
#pragma once

#include <string>
#include <string_view>

namespace pgsteer {

struct AsciiForm {
  std::string text;
  char marker = 0;          // 0: there was nothing to replace
  unsigned error_line = 0;  // 0: all is well
  const char* error = "";
};

// The document in ASCII, line by line where it was, without a byte order mark. An error if it is
// not UTF-8 (RFC 3629), as TOML has to be.
AsciiForm ascii_form(std::string_view toml);

// Undoes it in a string or key.
std::string original(std::string_view text, char marker);

// The first line with a table header whose name cannot be one, or 0. Taken for the place where an
// assertion of toml++ failed, so it looks at lines alone and not at what strings they may be part
// of.
unsigned bad_header(std::string_view toml);

}  // namespace pgsteer
