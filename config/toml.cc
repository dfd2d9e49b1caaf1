// The one file that includes toml++.
#include <algorithm>

#include "config/raw.h"

#define TOML_EXCEPTIONS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace pgsteer {

namespace {

static_assert(TOML_MAX_NESTED_VALUES == kMaxDepth);

Raw raw_value(const toml::node& node);

Raw raw_table(const toml::table& table) {
  Raw raw;
  for (const auto& [key, node] : table) {
    raw.entries.push_back({std::string(key.str()), key.source().begin.line, raw_value(node)});
  }
  // toml++ keeps keys in alphabetical order; faults and suggestions follow the file.
  std::stable_sort(raw.entries.begin(), raw.entries.end(),
                   [](const RawEntry& a, const RawEntry& b) { return a.line < b.line; });
  return raw;
}

Raw raw_array(const toml::array& array) {
  Raw raw;
  raw.kind = RawKind::kArray;
  for (const toml::node& item : array) raw.items.push_back(raw_value(item));
  return raw;
}

Raw raw_value(const toml::node& node) {
  Raw raw;
  if (const toml::table* table = node.as_table()) {
    raw = raw_table(*table);
  } else if (const toml::array* array = node.as_array()) {
    raw = raw_array(*array);
  } else if (const auto* text = node.as_string()) {
    raw.kind = RawKind::kText;
    raw.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    raw.kind = RawKind::kInteger;
    raw.integer = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    raw.kind = RawKind::kBoolean;
    raw.boolean = boolean->get();
  } else {
    raw.kind = node.is_floating_point() ? RawKind::kFraction : RawKind::kTime;
  }
  raw.line = node.source().begin.line;
  return raw;
}

}  // namespace

const RawEntry* Raw::find(std::string_view key) const {
  for (const RawEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const char* Raw::kind_name() const {
  switch (kind) {
    case RawKind::kText:
      return "a string";
    case RawKind::kInteger:
      return "a whole number";
    case RawKind::kFraction:
      return "a fraction";
    case RawKind::kBoolean:
      return boolean ? "true" : "false";
    case RawKind::kTime:
      return "a date or time";
    case RawKind::kArray:
      return "an array";
    case RawKind::kTable:
      return "a table";
  }
  return "a value";
}

RawDocument read_toml(std::string_view toml) {
  const toml::parse_result result = toml::parse(toml);
  RawDocument document;
  if (result.succeeded()) {
    document.root = raw_table(result.table());
  } else {
    document.ok = false;
    document.error_line = result.error().source().begin.line;
    document.error = std::string(result.error().description());
  }
  return document;
}

}  // namespace pgsteer
