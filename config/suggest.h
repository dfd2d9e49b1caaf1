// Did you mean? Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The one of `known` that `wrong` most likely stands for: at most a third of it mistyped, or it is
// the beginning of exactly one. Empty: none comes near.
std::string nearest(std::string_view wrong, const std::vector<std::string>& known);

// "a, b, c"
std::string join(const std::vector<std::string>& words);

// ` (did you mean "X"?)` or nothing.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known);

}  // namespace pgsteer
