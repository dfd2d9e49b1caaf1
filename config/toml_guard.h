// What toml++ 3.3.0 does not look at itself, or looks at with undefined behaviour. Pure; any
// thread.
#pragma once

#include <string_view>

namespace pgsteer {

struct Stray {
  unsigned line = 0;  // 0: none
  const char* what = "";
};

// The first character that may not stand where it does: one outside of ASCII that is neither in a
// string nor in a comment, or a quote where no string can begin. toml++ takes some of the former
// for white space, and on most it runs into __builtin_unreachable
// (is_non_ascii_horizontal_whitespace); `a = 0"\u00e4` is how it gets there behind a quote. A byte
// order mark at the start is fine.
Stray stray_character(std::string_view toml);

// The first line with a table header whose name cannot be one, or 0. Taken for the place where an
// assertion of toml++ failed, so it looks at lines alone and not at what strings they may be part
// of.
unsigned bad_header(std::string_view toml);

}  // namespace pgsteer
