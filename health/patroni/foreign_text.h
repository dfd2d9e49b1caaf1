// Text that another program chose, made fit for log lines, metrics labels, error messages and the
// page. Pure. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace pgsteer {

// No name, state or version of Patroni comes near it.
inline constexpr std::size_t kMaxForeignText = 256;

// `text`, which is UTF-8, with a question mark for every character that could forge a line or hide
// a part of it: control characters (C0, DEL, C1), line and paragraph separators, and those that
// change the direction of writing. Cut at kMaxForeignText bytes, never inside a character.
std::string foreign_text(std::string_view text);

}  // namespace pgsteer
