// Suggestions for misspelt names: "did you mean ...?". Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The entry of `known` that `wrong` most likely means: at most a third of it is mistyped, or
// `wrong` is the beginning of exactly one entry. Empty if nothing is close.
std::string nearest(std::string_view wrong, const std::vector<std::string>& known);

// "a, b, c"
std::string join(const std::vector<std::string>& items);

// ` (did you mean "X"?)`, or empty.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known);

}  // namespace pgsteer
