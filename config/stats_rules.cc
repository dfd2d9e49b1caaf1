#include <algorithm>

#include "config/address.h"
#include "config/rule.h"

namespace pgsteer {

namespace {

constexpr const char* kLoopback = "loopback";
constexpr const char* kAnyName = "*";

// As a list: one name stands for a list of one.
std::vector<const TomlValue*> items_of(const TomlValue& toml) {
  if (toml.kind != TomlKind::kArray) return {&toml};
  std::vector<const TomlValue*> items;
  for (const TomlValue& item : toml.items) items.push_back(&item);
  return items;
}

std::string read_name(const TomlValue& item, std::string& name) {
  if (item.kind != TomlKind::kText) {
    return "is " + std::string(item.kind_name()) +
           "; it must be a name such as \"pgsteer.example\"";
  }
  if (item.text == kAnyName) {
    name = item.text;
    return {};
  }
  if (item.text.find(':') != std::string::npos) {
    return in_quotes(item.text) + " is not a name; write it without a port";
  }
  ParseResult<std::string> host = read_host(item.text);
  if (host.value) name = *host.value;
  return host.error;
}

}  // namespace

Rule<ShowSessions> show_sessions_rule() {
  return {[](const TomlValue& toml, ShowSessions& value, ReadContext& context) {
            if (toml.kind == TomlKind::kBoolean) {
              value = toml.boolean ? ShowSessions::kAlways : ShowSessions::kNever;
            } else if (toml.kind == TomlKind::kText && toml.text == kLoopback) {
              value = ShowSessions::kLoopback;
            } else {
              context.report(toml,
                             "must be \"loopback\", true or false (the last two without quotes)");
            }
          },
          [](ShowSessions value) {
            if (value == ShowSessions::kLoopback) return toml_string(kLoopback);
            return std::string(value == ShowSessions::kAlways ? "true" : "false");
          }};
}

Rule<std::vector<std::string>> host_names_rule() {
  using Names = std::vector<std::string>;
  return {[](const TomlValue& toml, Names& value, ReadContext& context) {
            const auto items = items_of(toml);
            if (items.size() > kMaxItems) {
              context.report(toml, "has " + std::to_string(items.size()) + " names; at most " +
                                       std::to_string(kMaxItems) + " are allowed");
              return;
            }
            Names names;
            for (std::size_t i = 0; i < items.size(); ++i) {
              std::string name;
              const std::string problem = read_name(*items[i], name);
              const bool listed = toml.kind == TomlKind::kArray;
              if (problem.empty()) {
                names.push_back(std::move(name));
              } else {
                context.report(*items[i], problem, listed ? "[" + std::to_string(i) + "]" : "");
              }
            }
            if (names.size() == items.size()) value = std::move(names);
          },
          [](const Names& value) {
            std::string out;
            for (const std::string& name : value)
              out += (out.empty() ? "" : ", ") + toml_string(name);
            return "[" + out + "]";
          }};
}

}  // namespace pgsteer
