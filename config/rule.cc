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

constexpr std::size_t kMostItems = 64;    // of any array
constexpr std::size_t kLongestName = 63;  // as PostgreSQL's identifiers; it is a metric label too
constexpr const char* kUnlimited = "unlimited";

std::string wants(const TomlValue& raw, const std::string& what) {
  return "is " + std::string(raw.kind_name()) + "; it must be " + what;
}

const std::string* text_of(const TomlValue& raw, const std::string& what, Reader& reader,
                           const std::string& suffix = {}) {
  if (raw.kind == TomlKind::kText) return &raw.text;
  reader.report(raw, wants(raw, what), suffix);
  return nullptr;
}

template <class T>
void take(const TomlValue& raw, ParseResult<T> reading, T& value, Reader& reader) {
  if (reading.value) {
    value = std::move(*reading.value);
  } else {
    reader.report(raw, reading.wrong);
  }
}

bool clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Why `path` cannot be used as a file of certificates; empty: it can. Opening is the only true test
// of permission (access() asks for the real user, not the effective one).
std::string unreadable(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::strerror(errno);
  struct stat status {};
  const bool known = fstat(file, &status) == 0;
  close(file);
  if (!known || !S_ISREG(status.st_mode)) return "not a regular file";
  return status.st_size == 0 ? "the file is empty" : "";
}

// The items of an array, or the one value that stands for an array of one.
std::vector<const TomlValue*> items_of(const TomlValue& raw, Reader& reader) {
  std::vector<const TomlValue*> items;
  if (raw.kind != TomlKind::kArray) {
    items.push_back(&raw);
  } else if (raw.items.size() > kMostItems) {
    reader.report(raw, "has " + std::to_string(raw.items.size()) + " items; at most " +
                           std::to_string(kMostItems) + " are allowed");
  } else {
    for (const TomlValue& item : raw.items) items.push_back(&item);
  }
  return items;
}

// Reads each item with `parse`; complaints name the item's place.
template <class T, class Parse>
void read_items(const TomlValue& raw, const std::string& what, const Parse& parse,
                std::vector<T>& values, Reader& reader) {
  const std::size_t before = reader.errors.size();
  std::vector<T> read;
  std::size_t place = 0;
  for (const TomlValue* item : items_of(raw, reader)) {
    const std::string suffix =
        raw.kind == TomlKind::kArray ? "[" + std::to_string(place) + "]" : std::string();
    ++place;
    const std::string* text = text_of(*item, what, reader, suffix);
    if (text == nullptr) continue;
    ParseResult<T> reading = parse(*text);
    if (reading.value) {
      read.push_back(std::move(*reading.value));
    } else {
      reader.report(*item, reading.wrong, suffix);
    }
  }
  if (reader.errors.size() == before) values = std::move(read);
}

template <class T>
std::string write_items(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ", ") + toml_string(value.text);
  return "[" + out + "]";
}

Rule<Duration> any_duration(Duration least, Duration most, bool whole_seconds) {
  const std::string range = duration_text(least) + " to " + duration_text(most);
  return {"duration", range + (whole_seconds ? ", whole seconds" : ""),
          [=](const TomlValue& raw, Duration& value, Reader& reader) {
            if (raw.kind == TomlKind::kInteger && raw.integer != 0) {
              const std::string written = std::to_string(raw.integer);
              reader.report(raw, "a bare number has no unit; write \"" + written + "s\" or \"" +
                                     written + "ms\" (allowed: " + range + ")");
              return;
            }
            static const std::string kZero = "0";
            const std::string* text = raw.kind == TomlKind::kInteger
                                          ? &kZero
                                          : text_of(raw, "a duration such as \"10s\"", reader);
            if (text == nullptr) return;
            const ParseResult<Duration> read = read_duration(*text);
            if (!read.value) {
              reader.report(raw, read.wrong);
            } else if (*read.value < least || *read.value > most) {
              reader.report(raw, in_quotes(*text) + " is out of range; allowed: " + range);
            } else if (whole_seconds && read.value->count() % 1000 != 0) {
              reader.report(raw, in_quotes(*text) +
                                     " is not a whole number of seconds, and the kernel counts "
                                     "this in seconds; allowed: " +
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

std::optional<std::int64_t> read_integer(const TomlValue& raw, std::int64_t least,
                                         std::int64_t most, Reader& reader) {
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  if (raw.kind != TomlKind::kInteger) {
    const bool digits = raw.kind == TomlKind::kText && !raw.text.empty() &&
                        raw.text.find_first_not_of("0123456789") == std::string::npos;
    reader.report(raw,
                  wants(raw, "a whole number, " + range) + (digits ? " (without the quotes)" : ""));
  } else if (raw.integer < least || raw.integer > most) {
    reader.report(raw, std::to_string(raw.integer) + " is out of range; allowed: " + range);
  } else {
    return raw.integer;
  }
  return std::nullopt;
}

std::optional<std::string> read_word(const TomlValue& raw, const std::vector<std::string>& words,
                                     Reader& reader) {
  const std::string* text = text_of(raw, "one of " + join(words) + " (in quotes)", reader);
  if (text == nullptr) return std::nullopt;
  if (std::find(words.begin(), words.end(), *text) != words.end()) return *text;
  reader.report(raw, in_quotes(*text) + " is unknown" + did_you_mean(*text, words) +
                         "; allowed: " + join(words));
  return std::nullopt;
}

Rule<std::string> name_rule() {
  return {"name", "1 to 63 letters, digits, . _ -",
          [](const TomlValue& raw, std::string& value, Reader& reader) {
            const std::string* text = text_of(raw, "a string", reader);
            if (text == nullptr) return;
            const bool good = std::all_of(text->begin(), text->end(), [](unsigned char c) {
              return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
            });
            if (text->empty() || text->size() > kLongestName || !good) {
              reader.report(raw, in_quotes(*text) +
                                     " is not a name; allowed: 1 to 63 of the letters a to z and "
                                     "A to Z, digits, . _ -");
              return;
            }
            value = *text;
          },
          toml_string};
}

Rule<std::string> host_rule() {
  return {"host", "a host name or an address",
          [](const TomlValue& raw, std::string& value, Reader& reader) {
            const std::string* text = text_of(raw, "a host name or an address", reader);
            if (text != nullptr) take(raw, read_host(*text), value, reader);
          },
          toml_string};
}

Rule<std::string> rest_rule() {
  return {"URL",
          "http://HOST:PORT or https://HOST:PORT; empty: http://HOST:8008 of the node's host",
          [](const TomlValue& raw, std::string& value, Reader& reader) {
            const std::string* text = text_of(raw, "a URL such as \"http://pg-1:8008\"", reader);
            if (text == nullptr || text->empty()) return;
            take(raw, read_rest_url(*text), value, reader);
          },
          toml_string};
}

Rule<std::string> text_rule(std::size_t longest) {
  return {"string", "at most " + std::to_string(longest) + " bytes",
          [longest](const TomlValue& raw, std::string& value, Reader& reader) {
            const std::string* text = text_of(raw, "a string", reader);
            if (text == nullptr) return;
            if (text->size() > longest || !clean(*text)) {
              reader.report(raw, "is too long or has control characters in it; allowed: " +
                                     std::to_string(longest) + " bytes of plain text");
              return;
            }
            value = *text;
          },
          toml_string};
}

Rule<std::string> file_rule() {
  return {"file", "a path, from the config's directory if relative; empty: none",
          [](const TomlValue& raw, std::string& value, Reader& reader) {
            const std::string* text = text_of(raw, "a path", reader);
            if (text == nullptr || text->empty()) return;
            if (!clean(*text)) {
              reader.report(raw,
                            in_quotes(*text) + " is not a path: it has control characters in it");
              return;
            }
            const std::filesystem::path path(*text);
            value = (path.is_absolute() ? path : std::filesystem::path(reader.directory) / path)
                        .lexically_normal()
                        .string();
            const std::string why = unreadable(value);
            if (!why.empty()) reader.report(raw, "cannot read " + in_quotes(value) + ": " + why);
          },
          toml_string};
}

// What is wrong with a secret is said without showing it.
Rule<Secret> secret_rule() {
  return {"secret", "a string; never shown",
          [](const TomlValue& raw, Secret& value, Reader& reader) {
            const std::string* text = text_of(raw, "a string", reader);
            if (text == nullptr) return;
            if (text->size() > 1024 || !clean(*text)) {
              reader.report(raw, "is too long or has control characters in it");
              return;
            }
            value.value = *text;
          },
          [](const Secret& value) { return toml_string(value.value.empty() ? "" : "***"); }};
}

Rule<bool> bool_rule() {
  return {"switch", "true or false",
          [](const TomlValue& raw, bool& value, Reader& reader) {
            if (raw.kind == TomlKind::kBoolean) {
              value = raw.boolean;
            } else {
              reader.report(raw, wants(raw, "true or false (without quotes)"));
            }
          },
          [](const bool& value) { return std::string(value ? "true" : "false"); }};
}

Rule<bool> either_rule(const char* when_false, const char* when_true) {
  const std::vector<std::string> words{when_false, when_true};
  return {"word", toml_string(when_false) + ", " + toml_string(when_true),
          [words](const TomlValue& raw, bool& value, Reader& reader) {
            const auto read = read_word(raw, words, reader);
            if (read) value = *read == words[1];
          },
          [words](const bool& value) { return toml_string(words[value ? 1 : 0]); }};
}

Rule<Duration> duration_rule(Duration least, Duration most) {
  return any_duration(least, most, false);
}

Rule<Duration> seconds_rule(Duration least, Duration most) {
  return any_duration(least, most, true);
}

Rule<std::optional<std::uint64_t>> size_limit_rule() {
  return {"size", std::string("a size, or ") + toml_string(kUnlimited),
          [](const TomlValue& raw, std::optional<std::uint64_t>& value, Reader& reader) {
            if (raw.kind == TomlKind::kInteger) {
              const std::string written = std::to_string(raw.integer);
              reader.report(raw, "a bare number has no unit; write \"" + written + "B\", \"" +
                                     written + "kB\" or \"" + written + "MB\"");
              return;
            }
            const std::string* text =
                text_of(raw, "a size such as \"16MB\", or \"unlimited\"", reader);
            if (text == nullptr) return;
            if (*text == kUnlimited) {
              value.reset();
              return;
            }
            const ParseResult<std::uint64_t> read = read_size(*text);
            if (read.value) {
              value = *read.value;
            } else {
              reader.report(raw, read.wrong + ", or \"" + kUnlimited + "\"");
            }
          },
          [](const std::optional<std::uint64_t>& value) {
            return toml_string(value ? size_text(*value) : kUnlimited);
          }};
}

Rule<std::vector<BindAddress>> bind_rule(bool unix_sockets, bool may_be_empty) {
  return {
      "addresses",
      std::string("one, or an array of at most 64") +
          (unix_sockets ? "; an absolute path is a Unix socket" : ""),
      [=](const TomlValue& raw, std::vector<BindAddress>& value, Reader& reader) {
        const auto parse = [&](std::string_view text) {
          if (!unix_sockets && text.starts_with('/')) {
            return ParseResult<BindAddress>::bad(in_quotes(text) +
                                                 " is a Unix socket; this is served over TCP only, "
                                                 "such as \"127.0.0.1:7000\"");
          }
          return read_bind(text);
        };
        if (!may_be_empty && raw.kind == TomlKind::kArray && raw.items.empty()) {
          reader.report(raw, "is empty; at least one address is needed, such as \"*:5000\"");
          return;
        }
        read_items(raw, "an address such as \"*:5000\", or an array of them", parse, value, reader);
      },
      write_items<BindAddress>};
}

Rule<std::vector<Network>> networks_rule() {
  return {"networks", "an array of at most 64 networks or single addresses",
          [](const TomlValue& raw, std::vector<Network>& value, Reader& reader) {
            read_items(raw, "a network such as \"10.0.0.0/8\", or an array of them", read_network,
                       value, reader);
          },
          write_items<Network>};
}

Rule<std::map<std::string, std::string>> tags_rule() {
  using Tags = std::map<std::string, std::string>;
  return {
      "tags", "a table of at most 64 tags, { name = \"value\" }",
      [](const TomlValue& raw, Tags& value, Reader& reader) {
        if (raw.kind != TomlKind::kTable) {
          reader.report(raw, wants(raw, "a table such as { region = \"eu\" }"));
          return;
        }
        if (raw.entries.size() > kMostItems) {
          reader.report(
              raw, "has " + std::to_string(raw.entries.size()) + " tags; at most 64 are allowed");
          return;
        }
        Tags tags;
        for (const auto& [name, line, each] : raw.entries) {
          // Patroni writes its tags as JSON: true and 5 are compared as the words they print
          // as.
          if (each.kind == TomlKind::kBoolean) {
            tags[name] = each.boolean ? "true" : "false";
          } else if (each.kind == TomlKind::kInteger) {
            tags[name] = std::to_string(each.integer);
          } else if (each.kind == TomlKind::kText) {
            tags[name] = each.text;
          } else {
            reader.report(each, wants(each, "a string, a whole number, true or false"), "." + name);
          }
        }
        if (tags.size() == raw.entries.size()) value = std::move(tags);
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
