#include "config/parse.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "config/address.h"
#include "config/check.h"
#include "config/clusters.h"
#include "config/diagnostics.h"
#include "config/rule.h"
#include "config/secret_file.h"
#include "config/settings.h"
#include "config/suggest.h"
#include "config/toml_value.h"

namespace pgsteer {

namespace {

constexpr std::size_t kMaxFileSize = 1024 * 1024;  // 64 nodes and 64 listeners need 5 % of it

std::string brackets(const SectionInfo& info) {
  const std::string name = info.name;
  return info.repeated ? "[[" + name + "]]" : "[" + name + "]";
}

// The most common TOML mistake is a value without quotes. Says so if the line looks like that.
std::string quote_hint(std::string_view toml, unsigned line) {
  for (unsigned at = 1; at < line && !toml.empty(); ++at) {
    const std::size_t end = toml.find('\n');
    toml = end == std::string_view::npos ? std::string_view() : toml.substr(end + 1);
  }
  toml = toml.substr(0, toml.find('\n'));
  const std::size_t equals = toml.find('=');
  if (equals == std::string_view::npos) return {};
  std::string_view value = toml.substr(equals + 1);
  value = value.substr(0, value.find('#'));
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0) {
    value.remove_prefix(1);
  }
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) {
    value.remove_suffix(1);
  }
  if (value.empty() || value.find_first_of("\"'[]{}\\") != std::string_view::npos) return {};
  const bool secret = toml.substr(0, equals).find("password") != std::string_view::npos;
  return "; put text and values with a unit in quotes" + (secret ? "" : ": " + in_quotes(value));
}

// Parses one file.
class Parser {
 public:
  explicit Parser(const std::string& file) : diagnostics_(file) {
    context_.directory = std::filesystem::path(file).parent_path().string();
  }

  // `not_secret`: why the file itself may hold no password; empty: it may.
  Parsed run(std::string_view toml, const std::string& not_secret = {}) {
    const TomlDocument document = read_toml(toml);
    if (document.ok) {
      read_root(document.root);
      if (!not_secret.empty() && !config_.health.password.value.empty()) {
        diagnostics_.error("health.password", "stands in a file that is not secret: " + not_secret);
      }
      read_password_file();
      fill_in_rest_urls();
      fill_in_clusters(config_);
      check_config(config_, diagnostics_);
    } else {
      diagnostics_.error_at(
          document.error_line, "",
          "not valid TOML: " + document.error + quote_hint(toml, document.error_line));
    }
    return {std::move(config_), std::move(diagnostics_).in_order()};
  }

 private:
  void read_root(const TomlValue& root) {
    for (const auto& [key, line, value] : root.entries) {
      diagnostics_.set_line(key, line);
      const auto info =
          std::find_if(sections().begin(), sections().end(),
                       [&name = key](const SectionInfo& each) { return name == each.name; });
      if (info == sections().end()) {
        unknown_section(key, line);
      } else if (info->repeated) {
        read_many(*info, value);
      } else if (value.kind == TomlKind::kTable) {
        diagnostics_.set_line(key, value.line);
        read_section(*info, value, key, 0);
      } else {
        diagnostics_.error(key, "must be a single table, with one pair of brackets: [" + key + "]");
      }
    }
    for (const SectionInfo& info : sections()) {
      if (!info.required || diagnostics_.is_set(info.name)) continue;
      diagnostics_.error(info.name, "is missing; at least one " + brackets(info) + " is needed");
    }
  }

  void unknown_section(const std::string& key, unsigned line) {
    std::vector<std::string> names;
    std::string all;
    for (const SectionInfo& info : sections()) {
      names.emplace_back(info.name);
      all += (all.empty() ? "" : ", ") + brackets(info);
    }
    diagnostics_.error_at(line, key,
                          "is unknown" + did_you_mean(key, names) + elsewhere(key, nullptr) +
                              "; known sections: " + all);
  }

  void read_many(const SectionInfo& info, const TomlValue& value) {
    const std::string name = info.name;
    if (value.kind != TomlKind::kArray) {
      diagnostics_.error(
          name, "must be written with two pairs of brackets, once per entry: [[" + name + "]]");
      return;
    }
    if (value.items.empty()) diagnostics_.error(name, "is empty; at least one is needed");
    clear_entries(config_, info.section);
    std::size_t index = 0;
    for (const TomlValue& item : value.items) {
      const std::string key = name + "[" + std::to_string(index) + "]";
      diagnostics_.set_line(key, item.line);
      if (index == info.most) {
        diagnostics_.error(
            key, "is one too many; at most " + std::to_string(info.most) + " are allowed");
        return;
      }
      add_entry(config_, info.section);
      if (item.kind == TomlKind::kTable) {
        read_section(info, item, key, index);
      } else {
        diagnostics_.error(
            key, std::string("is ") + item.kind_name() + "; it must be a table: [[" + name + "]]");
      }
      ++index;
    }
  }

  void read_section(const SectionInfo& info, const TomlValue& table, const std::string& prefix,
                    std::size_t index) {
    for (const auto& [key, line, value] : table.entries) {
      const std::string dotted = prefix + "." + key;
      diagnostics_.set_line(dotted, line);
      const auto setting = std::find_if(settings().begin(), settings().end(),
                                        [&name = key, &info](const Setting& each) {
                                          return each.section == info.section && each.key == name;
                                        });
      if (setting == settings().end()) {
        unknown_key(info, key, dotted);
        continue;
      }
      context_.errors.clear();
      setting->read(value, config_, index, context_);
      const bool is_default = setting->write(config_, index) == setting->write(defaults(), 0);
      if (!is_default) diagnostics_.mark_changed(dotted);
      for (const ValueError& each : context_.errors) {
        diagnostics_.error_at(each.line > 0 ? each.line : line, dotted + each.suffix, each.message);
      }
    }
    for (const Setting& each : settings()) {
      if (each.section != info.section || !each.required() || table.find(each.key)) continue;
      diagnostics_.error(
          prefix + "." + each.key,
          "is missing; every " + brackets(info) + " needs one: " + each.key + " = " + each.example);
    }
  }

  void unknown_key(const SectionInfo& info, const std::string& key, const std::string& dotted) {
    const std::vector<std::string> keys = keys_of(info.section);
    std::string meant = did_you_mean(key, keys);
    if (meant.empty()) meant = elsewhere(key, &info);
    if (meant.empty()) meant = "; " + brackets(info) + " has " + join(keys);
    diagnostics_.error(dotted, "is unknown" + meant);
  }

  // Names the section that a misplaced key belongs to.
  static std::string elsewhere(const std::string& key, const SectionInfo* here) {
    std::string places;
    for (const Setting& each : settings()) {
      if (each.key != key || (here != nullptr && each.section == here->section)) continue;
      const auto& info = *std::find_if(sections().begin(), sections().end(),
                                       [&](const auto& s) { return s.section == each.section; });
      places += (places.empty() ? "" : " or ") + brackets(info);
    }
    return places.empty() ? std::string() : " here (it belongs under " + places + ")";
  }

  void read_password_file() {
    HealthConfig& health = config_.health;
    if (health.password_file.empty() || !diagnostics_.valid({"health.password_file"})) return;
    if (!health.password.value.empty()) {
      diagnostics_.error("health.password_file", "password is set as well (" +
                                                     diagnostics_.where("health.password") +
                                                     "); keep one of the two");
      return;
    }
    std::ifstream in(health.password_file);
    std::string line;
    std::getline(in, line);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.size() > kMaxPasswordSize) {
      diagnostics_.error("health.password_file",
                         "the first line of the file must be the password: 1 to " +
                             std::to_string(kMaxPasswordSize) + " bytes");
      return;
    }
    health.password.value = line;
  }

  void fill_in_rest_urls() {
    for (NodeConfig& node : config_.nodes) {
      if (node.rest.empty() && !node.host.empty()) node.rest = default_rest_url(node.host);
    }
  }

  Config config_;
  Diagnostics diagnostics_;
  ReadContext context_;
};

Parsed unreadable(const std::string& file, const std::string& why) {
  Parsed parsed;
  parsed.diagnostics.push_back({file, 0, "", why, false});
  return parsed;
}

}  // namespace

Parsed parse_text(std::string_view toml, const std::string& file) { return Parser(file).run(toml); }

Parsed parse_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return unreadable(path, "is a directory");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return unreadable(path, std::string("cannot be read: ") + std::strerror(errno));
  // Reads one byte more than allowed, so that an endless file (a device) is refused too.
  std::string text(kMaxFileSize + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return unreadable(path, "reading failed");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxFileSize)
    return unreadable(path, "is larger than 1MB; this is not a configuration file");
  return Parser(path).run(text, why_not_secret(path));
}

}  // namespace pgsteer
