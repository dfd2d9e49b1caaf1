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

#include "config/toml_guard.h"
#include "config/toml_value.h"

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

TomlValue raw_value(const toml::node& node);

TomlValue raw_table(const toml::table& table) {
  TomlValue raw;
  for (const auto& [key, node] : table) {
    raw.entries.push_back({std::string(key.str()), key.source().begin.line, raw_value(node)});
  }
  // toml++ keeps keys in alphabetical order; faults and suggestions follow the file.
  std::stable_sort(raw.entries.begin(), raw.entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return raw;
}

TomlValue raw_array(const toml::array& array) {
  TomlValue raw;
  raw.kind = TomlKind::kArray;
  for (const toml::node& item : array) raw.items.push_back(raw_value(item));
  return raw;
}

TomlValue raw_value(const toml::node& node) {
  TomlValue raw;
  if (const toml::table* table = node.as_table()) {
    raw = raw_table(*table);
  } else if (const toml::array* array = node.as_array()) {
    raw = raw_array(*array);
  } else if (const auto* text = node.as_string()) {
    raw.kind = TomlKind::kText;
    raw.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    raw.kind = TomlKind::kInteger;
    raw.integer = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    raw.kind = TomlKind::kBoolean;
    raw.boolean = boolean->get();
  } else {
    raw.kind = node.is_floating_point() ? TomlKind::kFraction : TomlKind::kTime;
  }
  raw.line = node.source().begin.line;
  return raw;
}

// Puts back what ascii_form() replaced.
void restore(TomlValue& raw, char marker) {
  raw.text = original(raw.text, marker);
  for (TomlValue& item : raw.items) restore(item, marker);
  for (TomlEntry& entry : raw.entries) {
    entry.key = original(entry.key, marker);
    restore(entry.value, marker);
  }
}

}  // namespace

const TomlEntry* TomlValue::find(std::string_view key) const {
  for (const TomlEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const char* TomlValue::kind_name() const {
  switch (kind) {
    case TomlKind::kText:
      return "a string";
    case TomlKind::kInteger:
      return "a whole number";
    case TomlKind::kFraction:
      return "a fraction";
    case TomlKind::kBoolean:
      return boolean ? "true" : "false";
    case TomlKind::kTime:
      return "a date or time";
    case TomlKind::kArray:
      return "an array";
    case TomlKind::kTable:
      return "a table";
  }
  return "a value";
}

TomlDocument read_toml(std::string_view toml) {
  TomlDocument document;
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
