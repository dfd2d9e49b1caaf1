// What stands between the quotes: durations and sizes. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace pgsteer {

// A value, or what is wrong with the text and what would be right.
template <class T>
struct ParseResult {
  std::optional<T> value;
  std::string wrong;  // set exactly if there is no value

  static ParseResult good(T read) { return {std::move(read), {}}; }
  static ParseResult bad(std::string why) { return {std::nullopt, std::move(why)}; }
};

// "100ms", "1s", "5min", "1h", "7d", "0". Whole numbers; PostgreSQL's units, spelt as it spells
// them.
ParseResult<Duration> read_duration(std::string_view text);

// "512kB", "16MB", "1GB", "0". PostgreSQL's units: powers of 1024, and case matters.
ParseResult<std::uint64_t> read_size(std::string_view text);

// The same, written with the largest unit that leaves a whole number.
std::string duration_text(Duration duration);
std::string size_text(std::uint64_t bytes);

// The text in quotes, fit for a line of a log: control characters replaced, long text cut.
std::string in_quotes(std::string_view text);

}  // namespace pgsteer
