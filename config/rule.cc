#include "config/rule.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/address.h"
#include "config/suggest.h"

namespace pgsteer {

namespace {

constexpr std::size_t kMaxNameSize = 63;  // as PostgreSQL's identifiers; also a metric label
constexpr const char* kUnlimited = "unlimited";

std::string must_be(const TomlValue& toml, const std::string& what) {
  return "is " + std::string(toml.kind_name()) + "; it must be " + what;
}

const std::string* text_of(const TomlValue& toml, const std::string& what, ReadContext& context,
                           const std::string& suffix = {}) {
  if (toml.kind == TomlKind::kText) return &toml.text;
  context.report(toml, must_be(toml, what), suffix);
  return nullptr;
}

template <class T>
void assign(const TomlValue& toml, ParseResult<T> result, T& value, ReadContext& context) {
  if (result.value) {
    value = std::move(*result.value);
  } else {
    context.report(toml, result.error);
  }
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Why `path` cannot be used as a certificate or key file; empty if it can. Opens it, because
// access() would check the real user instead of the effective one.
std::string why_unreadable(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::strerror(errno);
  struct stat status {};
  const bool known = fstat(file, &status) == 0;
  close(file);
  if (!known || !S_ISREG(status.st_mode)) return "not a regular file";
  return status.st_size == 0 ? "the file is empty" : "";
}

// The items of an array. A single value counts as an array of one.
std::vector<const TomlValue*> items_of(const TomlValue& toml, ReadContext& context) {
  std::vector<const TomlValue*> items;
  if (toml.kind != TomlKind::kArray) {
    items.push_back(&toml);
  } else if (toml.items.size() > kMaxItems) {
    context.report(toml, "has " + std::to_string(toml.items.size()) + " items; at most " +
                             std::to_string(kMaxItems) + " are allowed");
  } else {
    for (const TomlValue& item : toml.items) items.push_back(&item);
  }
  return items;
}

// Reads each item with `parse`. Errors name the index of the item.
template <class T, class Parse>
void read_items(const TomlValue& toml, const std::string& what, const Parse& parse,
                std::vector<T>& values, ReadContext& context) {
  const std::size_t before = context.errors.size();
  std::vector<T> read;
  std::size_t index = 0;
  for (const TomlValue* item : items_of(toml, context)) {
    const std::string suffix =
        toml.kind == TomlKind::kArray ? "[" + std::to_string(index) + "]" : std::string();
    ++index;
    const std::string* text = text_of(*item, what, context, suffix);
    if (text == nullptr) continue;
    ParseResult<T> result = parse(*text);
    if (result.value) {
      read.push_back(std::move(*result.value));
    } else {
      context.report(*item, result.error, suffix);
    }
  }
  if (context.errors.size() == before) values = std::move(read);
}

template <class T>
std::string write_items(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ", ") + toml_string(value.text);
  return "[" + out + "]";
}

Rule<Duration> any_duration(Duration min, Duration max, bool whole_seconds) {
  const std::string range = duration_text(min) + " to " + duration_text(max);
  return {
      [=](const TomlValue& toml, Duration& value, ReadContext& context) {
        if (toml.kind == TomlKind::kInteger && toml.integer != 0) {
          const std::string written = std::to_string(toml.integer);
          context.report(toml, "a bare number has no unit; write \"" + written + "s\" or \"" +
                                   written + "ms\" (allowed: " + range + ")");
          return;
        }
        static const std::string kZero = "0";
        const std::string* text = toml.kind == TomlKind::kInteger
                                      ? &kZero
                                      : text_of(toml, "a duration such as \"10s\"", context);
        if (text == nullptr) return;
        const ParseResult<Duration> read = read_duration(*text);
        if (!read.value) {
          context.report(toml, read.error);
        } else if (*read.value < min || *read.value > max) {
          context.report(toml, in_quotes(*text) + " is out of range; allowed: " + range);
        } else if (whole_seconds && read.value->count() % 1000 != 0) {
          context.report(
              toml,
              in_quotes(*text) +
                  " is not a whole number of seconds, which the kernel requires here; allowed: " +
                  range);
        } else {
          value = *read.value;
        }
      },
      [](const Duration& value) { return toml_string(duration_text(value)); }};
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

std::optional<std::int64_t> read_integer(const TomlValue& toml, std::int64_t min, std::int64_t max,
                                         ReadContext& context) {
  const std::string range = std::to_string(min) + " to " + std::to_string(max);
  if (toml.kind != TomlKind::kInteger) {
    const bool digits = toml.kind == TomlKind::kText && !toml.text.empty() &&
                        toml.text.find_first_not_of("0123456789") == std::string::npos;
    context.report(
        toml, must_be(toml, "a whole number, " + range) + (digits ? " (without the quotes)" : ""));
  } else if (toml.integer < min || toml.integer > max) {
    context.report(toml, std::to_string(toml.integer) + " is out of range; allowed: " + range);
  } else {
    return toml.integer;
  }
  return std::nullopt;
}

std::optional<std::string> read_choice(const TomlValue& toml,
                                       const std::vector<std::string>& choices,
                                       ReadContext& context) {
  const std::string* text = text_of(toml, "one of " + join(choices) + " (in quotes)", context);
  if (text == nullptr) return std::nullopt;
  if (std::find(choices.begin(), choices.end(), *text) != choices.end()) return *text;
  context.report(toml, in_quotes(*text) + " is unknown" + did_you_mean(*text, choices) +
                           "; allowed: " + join(choices));
  return std::nullopt;
}

Rule<std::string> name_rule() {
  return {
      [](const TomlValue& toml, std::string& value, ReadContext& context) {
        const std::string* text = text_of(toml, "a string", context);
        if (text == nullptr) return;
        const bool valid = std::all_of(text->begin(), text->end(), [](unsigned char c) {
          return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
        });
        if (text->empty() || text->size() > kMaxNameSize || !valid) {
          context.report(
              toml,
              in_quotes(*text) +
                  " is not a valid name; allowed: 1 to 63 letters (a to z, A to Z), digits, . _ -");
          return;
        }
        value = *text;
      },
      toml_string};
}

Rule<std::string> name_or_nothing_rule() {
  Rule<std::string> rule = name_rule();
  rule.read = [name = rule.read](const TomlValue& toml, std::string& value, ReadContext& context) {
    if (toml.kind != TomlKind::kText || !toml.text.empty()) return name(toml, value, context);
    value.clear();
  };
  return rule;
}

Rule<std::string> host_rule() {
  return {[](const TomlValue& toml, std::string& value, ReadContext& context) {
            const std::string* text = text_of(toml, "a host name or an address", context);
            if (text != nullptr) assign(toml, read_host(*text), value, context);
          },
          toml_string};
}

Rule<std::string> rest_rule() {
  return {[](const TomlValue& toml, std::string& value, ReadContext& context) {
            const std::string* text = text_of(toml, "a URL such as \"http://pg-1:8008\"", context);
            if (text == nullptr || text->empty()) return;
            assign(toml, read_rest_url(*text), value, context);
          },
          toml_string};
}

Rule<std::string> text_rule(std::size_t max_size) {
  return {[max_size](const TomlValue& toml, std::string& value, ReadContext& context) {
            const std::string* text = text_of(toml, "a string", context);
            if (text == nullptr) return;
            if (text->size() > max_size || has_control_characters(*text)) {
              context.report(toml, "is too long or contains control characters; allowed: " +
                                       std::to_string(max_size) +
                                       " bytes without control characters");
              return;
            }
            value = *text;
          },
          toml_string};
}

Rule<std::string> file_rule() {
  return {[](const TomlValue& toml, std::string& value, ReadContext& context) {
            const std::string* text = text_of(toml, "a path", context);
            if (text == nullptr || text->empty()) return;
            if (has_control_characters(*text)) {
              context.report(toml,
                             in_quotes(*text) + " is not a path: it contains control characters");
              return;
            }
            const std::filesystem::path path(*text);
            value = (path.is_absolute() ? path : std::filesystem::path(context.directory) / path)
                        .lexically_normal()
                        .string();
            const std::string why = why_unreadable(value);
            if (!why.empty()) context.report(toml, "cannot read " + in_quotes(value) + ": " + why);
          },
          toml_string};
}

// Error messages never show the secret.
Rule<Secret> secret_rule() {
  return {[](const TomlValue& toml, Secret& value, ReadContext& context) {
            const std::string* text = text_of(toml, "a string", context);
            if (text == nullptr) return;
            if (text->size() > kMaxPasswordSize || has_control_characters(*text)) {
              context.report(toml, "is too long or contains control characters");
              return;
            }
            value.value = *text;
          },
          [](const Secret& value) { return toml_string(value.value.empty() ? "" : "***"); }};
}

Rule<bool> bool_rule() {
  return {[](const TomlValue& toml, bool& value, ReadContext& context) {
            if (toml.kind == TomlKind::kBoolean) {
              value = toml.boolean;
            } else {
              context.report(toml, must_be(toml, "true or false (without quotes)"));
            }
          },
          [](const bool& value) { return std::string(value ? "true" : "false"); }};
}

Rule<bool> choice_rule(const char* when_false, const char* when_true) {
  const std::vector<std::string> choices{when_false, when_true};
  return {[choices](const TomlValue& toml, bool& value, ReadContext& context) {
            const auto read = read_choice(toml, choices, context);
            if (read) value = *read == choices[1];
          },
          [choices](const bool& value) { return toml_string(choices[value ? 1 : 0]); }};
}

Rule<Duration> duration_rule(Duration min, Duration max) { return any_duration(min, max, false); }

Rule<Duration> seconds_rule(Duration min, Duration max) { return any_duration(min, max, true); }

Rule<std::optional<std::uint64_t>> size_limit_rule() {
  return {[](const TomlValue& toml, std::optional<std::uint64_t>& value, ReadContext& context) {
            if (toml.kind == TomlKind::kInteger) {
              const std::string written = std::to_string(toml.integer);
              context.report(toml, "a bare number has no unit; write \"" + written + "B\", \"" +
                                       written + "kB\" or \"" + written + "MB\"");
              return;
            }
            const std::string* text =
                text_of(toml, "a size such as \"16MB\", or \"unlimited\"", context);
            if (text == nullptr) return;
            if (*text == kUnlimited) {
              value.reset();
              return;
            }
            const ParseResult<std::uint64_t> read = read_size(*text);
            if (read.value) {
              value = *read.value;
            } else {
              context.report(toml, read.error + ", or \"" + kUnlimited + "\"");
            }
          },
          [](const std::optional<std::uint64_t>& value) {
            return toml_string(value ? size_text(*value) : kUnlimited);
          }};
}

Rule<std::vector<BindAddress>> bind_rule(bool unix_sockets, bool may_be_empty) {
  return {[=](const TomlValue& toml, std::vector<BindAddress>& value, ReadContext& context) {
            const auto parse = [&](std::string_view text) {
              if (!unix_sockets && text.starts_with('/')) {
                return ParseResult<BindAddress>::failure(
                    in_quotes(text) +
                    " is a Unix socket; only TCP is supported here, such as \"127.0.0.1:7000\"");
              }
              return read_bind(text);
            };
            if (!may_be_empty && toml.kind == TomlKind::kArray && toml.items.empty()) {
              context.report(toml, "is empty; at least one address is needed, such as \"*:5000\"");
              return;
            }
            read_items(toml, "an address such as \"*:5000\", or an array of them", parse, value,
                       context);
          },
          write_items<BindAddress>};
}

Rule<std::vector<Network>> networks_rule() {
  return {[](const TomlValue& toml, std::vector<Network>& value, ReadContext& context) {
            read_items(toml, "a network such as \"10.0.0.0/8\", or an array of them", read_network,
                       value, context);
          },
          write_items<Network>};
}

Rule<std::map<std::string, std::string>> tags_rule() {
  using Tags = std::map<std::string, std::string>;
  return {[](const TomlValue& toml, Tags& value, ReadContext& context) {
            if (toml.kind != TomlKind::kTable) {
              context.report(toml, must_be(toml, "a table such as { region = \"eu\" }"));
              return;
            }
            if (toml.entries.size() > kMaxItems) {
              context.report(toml, "has " + std::to_string(toml.entries.size()) +
                                       " tags; at most " + std::to_string(kMaxItems) +
                                       " are allowed");
              return;
            }
            Tags tags;
            for (const auto& [name, line, each] : toml.entries) {
              // Patroni sends its tags as JSON. true and 5 are compared by their text.
              if (each.kind == TomlKind::kBoolean) {
                tags[name] = each.boolean ? "true" : "false";
              } else if (each.kind == TomlKind::kInteger) {
                tags[name] = std::to_string(each.integer);
              } else if (each.kind == TomlKind::kText) {
                tags[name] = each.text;
              } else {
                context.report(each, must_be(each, "a string, a whole number, true or false"),
                               "." + name);
              }
            }
            if (tags.size() == toml.entries.size()) value = std::move(tags);
          },
          [](const Tags& value) {
            std::string out;
            for (const auto& [name, wanted] : value) {
              out += (out.empty() ? " " : ", ") + toml_string(name) + " = " + toml_string(wanted);
            }
            return "{" + out + (out.empty() ? "}" : " }");
          }};
}

}  // namespace pgsteer
