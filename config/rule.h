// A rule says what one setting may hold: how to read it from TOML, how to write it, what is
// allowed. The table in settings.cc is made of these. Pure, but for file_path(), which looks
// whether the file can be read. Any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/enum_names.h"
#include "config/toml_value.h"
#include "config/value.h"

namespace pgsteer {

// One thing wrong with a value; `suffix` points into it: "[2]" for the third item of an array.
struct ValueError {
  unsigned line = 0;
  std::string suffix;
  std::string message;
};

// What reading needs and leaves behind.
struct Reader {
  std::string directory;  // relative paths start here
  std::vector<ValueError> errors;

  void report(const TomlValue& at, std::string message, std::string suffix = {}) {
    errors.push_back({at.line, std::move(suffix), std::move(message)});
  }
};

template <class T>
struct Rule {
  std::string type;     // "duration", "word", ...
  std::string allowed;  // "0 to 1h"
  std::function<void(const TomlValue&, T&, Reader&)>
      read;                                    // leaves the value alone if it complains
  std::function<std::string(const T&)> write;  // as in TOML
};

Rule<std::string> name_rule();
Rule<std::string> host_rule();
Rule<std::string> rest_rule();
Rule<std::string> text_rule(std::size_t longest);
Rule<std::string> file_rule();
Rule<Secret> secret_rule();
Rule<bool> bool_rule();
Rule<bool> either_rule(const char* when_false, const char* when_true);
Rule<Duration> duration_rule(Duration least, Duration most);
Rule<Duration> seconds_rule(Duration least, Duration most);  // whole seconds
Rule<std::optional<std::uint64_t>> size_limit_rule();
Rule<std::vector<BindAddress>> bind_rule(bool unix_sockets, bool may_be_empty);
Rule<std::vector<Network>> networks_rule();
Rule<std::map<std::string, std::string>> tags_rule();

// Shared by the numeric rules: a TOML integer within the limits, or a complaint.
std::optional<std::int64_t> read_integer(const TomlValue& raw, std::int64_t least,
                                         std::int64_t most, Reader& reader);
// Shared by the word rules.
std::optional<std::string> read_word(const TomlValue& raw, const std::vector<std::string>& words,
                                     Reader& reader);
std::string toml_string(std::string_view text);

template <class T>
Rule<T> number_rule(std::int64_t least, std::int64_t most) {
  return {"number", std::to_string(least) + " to " + std::to_string(most),
          [=](const TomlValue& raw, T& value, Reader& reader) {
            const auto read = read_integer(raw, least, most, reader);
            if (read) value = static_cast<T>(*read);
          },
          [](const T& value) { return std::to_string(value); }};
}

template <class E>
Rule<E> word_rule() {
  std::string allowed;
  for (const std::string& each : all_names<E>()) {
    allowed += (allowed.empty() ? "" : ", ") + toml_string(each);
  }
  return {"word", allowed,
          [](const TomlValue& raw, E& value, Reader& reader) {
            const auto read = read_word(raw, all_names<E>(), reader);
            if (read) value = *from_string<E>(*read);
          },
          [](const E& value) { return toml_string(to_string(value)); }};
}

}  // namespace pgsteer
