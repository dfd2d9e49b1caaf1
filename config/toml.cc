// The one file that includes toml++.
//
// toml++ 3.3.0 has assertions that a file can run into: a header such as "[=]" does. In a release
// build they are promises to the compiler instead, so that the same file would be undefined
// behaviour. Here they throw, in every build, and the file is refused like any other that is not
// TOML.
#undef NDEBUG

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "config/raw.h"
#include "config/toml_guard.h"

namespace pgsteer {

namespace {

struct Unexpected : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void assertion_failed() { throw Unexpected("toml++ assertion"); }

}  // namespace

}  // namespace pgsteer

#define TOML_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::pgsteer::assertion_failed())
#define TOML_EXCEPTIONS 1
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

// Puts back what ascii_form() replaced.
void restore(Raw& raw, char marker) {
  raw.text = original(raw.text, marker);
  for (Raw& item : raw.items) restore(item, marker);
  for (RawEntry& entry : raw.entries) {
    entry.key = original(entry.key, marker);
    restore(entry.value, marker);
  }
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
  RawDocument document;
  const auto refuse = [&](unsigned line, std::string why) {
    document.ok = false;
    document.error_line = line;
    document.error = std::move(why);
  };
  const AsciiForm form = ascii_form(toml);
  if (form.error_line > 0) {
    refuse(form.error_line, form.error);
    return document;
  }
  try {
    document.root = raw_table(toml::parse(form.text));
    if (form.marker != 0) restore(document.root, form.marker);
  } catch (const toml::parse_error& error) {
    const std::string_view why = error.description();
    const bool foreign =
        form.marker != 0 && why.find(std::string{'\'', form.marker, '\''}) != why.npos;
    refuse(error.source().begin.line,
           foreign ? "a character outside of ASCII may stand in strings and comments only"
                   : std::string(why));
  } catch (const Unexpected&) {
    refuse(bad_header(toml), "a table is written [name], with a name of letters, digits, _ and -");
  }
  return document;
}

}  // namespace pgsteer
