// A TOML document as a plain tree with line numbers. It keeps toml++ out of every file but toml.cc:
// toml++ takes longer to compile than the rest of config. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

enum class TomlKind : std::uint8_t { kText, kInteger, kFraction, kBoolean, kTime, kArray, kTable };

struct TomlEntry;

struct TomlValue {
  TomlKind kind = TomlKind::kTable;
  unsigned line = 0;               // 1-based
  std::string text;                // kText
  std::int64_t integer = 0;        // kInteger
  bool boolean = false;            // kBoolean
  std::vector<TomlValue> items;    // kArray
  std::vector<TomlEntry> entries;  // kTable, in order of line

  const TomlEntry* find(std::string_view key) const;  // null if absent
  const char* kind_name() const;                      // "a string", "a whole number", ...
};

struct TomlEntry {
  std::string key;
  unsigned line = 0;  // of the key
  TomlValue value;
};

struct TomlDocument {
  TomlValue root;
  bool ok = true;
  unsigned error_line = 0;  // if not ok
  std::string error;
};

// The limit for nested arrays and tables. A config needs 3 levels.
inline constexpr std::size_t kMaxDepth = 32;

// Stops at the first syntax error: TOML defines no way to continue after one.
TomlDocument read_toml(std::string_view toml);

}  // namespace pgsteer
