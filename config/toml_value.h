// A TOML document as a plain tree that remembers its lines, so that only toml.cc has to include
// toml++ (it costs more to compile than the rest of config together). Values; any thread.
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

  const TomlEntry* find(std::string_view key) const;  // null: not there
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
  unsigned error_line = 0;  // unless ok
  std::string error;
};

// Arrays and tables may be nested this deep; a config needs 3.
inline constexpr std::size_t kMaxDepth = 32;

// A document that is not TOML comes back with the first error; TOML defines no way to go on after
// it.
TomlDocument read_toml(std::string_view toml);

}  // namespace pgsteer
