// The only file that includes toml++.
//
// Some files trigger assertions in toml++ 3.3.0: a header such as "[=]" does. In a release build
// toml++ turns its assertions into promises to the compiler, so the same file would cause undefined
// behaviour. Here they throw in every build, and pgsteer reports the file as invalid TOML.
#undef NDEBUG

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "config/toml_guard.h"
#include "config/toml_value.h"

namespace pgsteer {

namespace {

struct TomlAssertion : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void assertion_failed() { throw TomlAssertion("toml++ assertion"); }

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

TomlValue convert(const toml::node& node);

TomlValue convert_table(const toml::table& table) {
  TomlValue value;
  for (const auto& [key, node] : table) {
    value.entries.push_back({std::string(key.str()), key.source().begin.line, convert(node)});
  }
  // toml++ sorts keys by name; diagnostics follow the order of the file.
  std::stable_sort(value.entries.begin(), value.entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return value;
}

TomlValue convert_array(const toml::array& array) {
  TomlValue value;
  value.kind = TomlKind::kArray;
  for (const toml::node& item : array) value.items.push_back(convert(item));
  return value;
}

TomlValue convert(const toml::node& node) {
  TomlValue value;
  if (const toml::table* table = node.as_table()) {
    value = convert_table(*table);
  } else if (const toml::array* array = node.as_array()) {
    value = convert_array(*array);
  } else if (const auto* text = node.as_string()) {
    value.kind = TomlKind::kText;
    value.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    value.kind = TomlKind::kInteger;
    value.integer = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    value.kind = TomlKind::kBoolean;
    value.boolean = boolean->get();
  } else {
    value.kind = node.is_floating_point() ? TomlKind::kFraction : TomlKind::kTime;
  }
  value.line = node.source().begin.line;
  return value;
}

// Restores the characters that ascii_form() replaced.
void restore(TomlValue& value, char marker) {
  value.text = original(value.text, marker);
  for (TomlValue& item : value.items) restore(item, marker);
  for (TomlEntry& entry : value.entries) {
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
  const auto fail = [&](unsigned line, std::string message) {
    document.ok = false;
    document.error_line = line;
    document.error = std::move(message);
  };
  const AsciiForm form = ascii_form(toml);
  if (form.error_line > 0) {
    fail(form.error_line, form.error);
    return document;
  }
  try {
    document.root = convert_table(toml::parse(form.text));
    if (form.marker != 0) restore(document.root, form.marker);
  } catch (const toml::parse_error& error) {
    const std::string_view message = error.description();
    const bool foreign =
        form.marker != 0 && message.find(std::string{'\'', form.marker, '\''}) != message.npos;
    fail(error.source().begin.line,
         foreign ? "non-ASCII characters are allowed in strings and comments only"
                 : std::string(message));
  } catch (const TomlAssertion&) {
    fail(bad_header(toml), "invalid table header; write [name] with letters, digits, _ and -");
  }
  return document;
}

}  // namespace pgsteer
