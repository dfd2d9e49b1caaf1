// What toml++ 3.3.0 does not look at itself, or looks at with undefined behaviour. Pure; any
// thread.
#pragma once

#include <string_view>

namespace pgsteer {

// The first line with a character outside of ASCII that stands neither in a string nor in a
// comment, or 0. TOML permits none there; toml++ takes some for white space and on U+FB26 to U+FEFE
// runs into
// __builtin_unreachable (is_non_ascii_horizontal_whitespace). A byte order mark at the start is
// fine.
unsigned stray_character(std::string_view toml);

// The first line with a table header whose name cannot be one, or 0. Taken for the place where an
// assertion of toml++ failed, so it looks at lines alone and not at what strings they may be part
// of.
unsigned bad_header(std::string_view toml);

}  // namespace pgsteer
