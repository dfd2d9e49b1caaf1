// A rule defines the values of one setting: how to check and read them from TOML, and how to write
// them. The table in settings.cc consists of rules. Any thread. Pure, except the rules for files,
// which look at the file.
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

// One error in a value. `suffix` locates it: "[2]" is the third item of an array.
struct ValueError {
  unsigned line = 0;
  std::string suffix;
  std::string message;
};

// Input and output of all rules that read one file.
struct ReadContext {
  std::string directory;  // relative paths start here
  std::vector<ValueError> errors;

  void report(const TomlValue& at, std::string message, std::string suffix = {}) {
    errors.push_back({at.line, std::move(suffix), std::move(message)});
  }
};

inline constexpr std::size_t kMaxPasswordSize = 1024;

template <class T>
struct Rule {
  // Sets the value, or reports an error.
  std::function<void(const TomlValue&, T&, ReadContext&)> read;
  std::function<std::string(const T&)> write;  // as TOML
};

Rule<std::string> name_rule();
Rule<std::string> name_or_nothing_rule();
Rule<std::string> host_rule();
Rule<std::string> rest_rule();
Rule<std::string> text_rule(std::size_t max_size);
Rule<std::string> file_rule();
Rule<std::string> secret_file_rule();  // refuses a file that everybody may read
Rule<Secret> secret_rule();
Rule<bool> bool_rule();
Rule<bool> choice_rule(const char* when_false, const char* when_true);
Rule<Duration> duration_rule(Duration min, Duration max);
Rule<Duration> seconds_rule(Duration min, Duration max);  // whole seconds only
Rule<std::optional<std::uint64_t>> size_limit_rule();
Rule<std::vector<BindAddress>> bind_rule(bool unix_sockets, bool may_be_empty);
Rule<std::vector<Network>> networks_rule();
Rule<std::map<std::string, std::string>> tags_rule();
Rule<ShowSessions> show_sessions_rule();
Rule<std::vector<std::string>> host_names_rule();

// Shared by the numeric rules: a TOML integer within the limits, or an error.
std::optional<std::int64_t> read_integer(const TomlValue& toml, std::int64_t min, std::int64_t max,
                                         ReadContext& context);
// Shared by the rules with a fixed list of values.
std::optional<std::string> read_choice(const TomlValue& toml,
                                       const std::vector<std::string>& choices,
                                       ReadContext& context);
std::string toml_string(std::string_view text);
inline constexpr std::size_t kMaxItems = 64;  // of any array

template <class T>
Rule<T> number_rule(std::int64_t min, std::int64_t max) {
  return {[=](const TomlValue& toml, T& value, ReadContext& context) {
            const auto read = read_integer(toml, min, max, context);
            if (read) value = static_cast<T>(*read);
          },
          [](const T& value) { return std::to_string(value); }};
}

template <class E>
Rule<E> enum_rule() {
  return {[](const TomlValue& toml, E& value, ReadContext& context) {
            const auto read = read_choice(toml, all_names<E>(), context);
            if (read) value = *from_string<E>(*read);
          },
          [](const E& value) { return toml_string(to_string(value)); }};
}

}  // namespace pgsteer
