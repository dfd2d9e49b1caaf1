// Reads and writes the values of a config that have a unit: durations and sizes. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace pgsteer {

// A value, or a message that says what is wrong with the text and what is allowed.
template <class T>
struct ParseResult {
  std::optional<T> value;
  std::string error;  // set exactly if there is no value

  static ParseResult ok(T value) { return {std::move(value), {}}; }
  static ParseResult failure(std::string error) { return {std::nullopt, std::move(error)}; }
};

// "100ms", "1s", "5min", "1h", "7d", "0". Whole numbers with PostgreSQL's units and its spelling.
ParseResult<Duration> read_duration(std::string_view text);

// "512kB", "16MB", "1GB", "0". PostgreSQL's units: powers of 1024, and case matters.
ParseResult<std::uint64_t> read_size(std::string_view text);

// The reverse, with the largest unit that gives a whole number.
std::string duration_text(Duration duration);
std::string size_text(std::uint64_t bytes);

// The text in quotes for one line of a log. Replaces control characters and shortens long text.
std::string in_quotes(std::string_view text);

}  // namespace pgsteer
