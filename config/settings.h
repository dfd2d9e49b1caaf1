// The table of all settings: section, key, and how to read and write each one. The parser, the
// suggestions for unknown keys and the test of pgsteer.reference.toml use it. The defaults are in
// the structs of config.h. Immutable; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/rule.h"
#include "config/toml_value.h"

namespace pgsteer {

enum class Section : std::uint8_t {
  kCluster,
  kNode,
  kListen,
  kNodeTls,
  kHealth,
  kStats,
  kServer,
  kLog
};

struct SectionInfo {
  Section section;
  const char* name;  // as in the file
  bool repeated;     // [[name]], may occur more than once
  bool required;     // at least once
  std::size_t most;  // times that it may occur
};

// In the order of the reference file.
const std::vector<SectionInfo>& sections();

// What a reload does with a changed value.
enum class Reload : std::uint8_t {
  kNow,       // it applies at once, to everything
  kClients,   // it applies to clients that connect from now on; sessions keep what they began with
  kIdentity,  // another value is another node or listener: the old one is removed, the new one
              // added
  kRestart,   // nothing; it takes a restart
};
const char* to_string(Reload);  // as in the reference file

struct Setting {
  Section section;
  std::string key;
  std::string example;  // a value for required settings; empty: the setting is optional
  // `index` counts the entries of a repeated section; the other sections ignore it.
  std::function<void(const TomlValue&, Config&, std::size_t index, ReadContext&)> read;
  std::function<std::string(const Config&, std::size_t index)> write;  // as TOML
  // Whether two configurations, each with an index of its own, have the same value.
  std::function<bool(const Config&, std::size_t, const Config&, std::size_t)> same;
  Reload reload = Reload::kNow;

  bool required() const { return !example.empty(); }
};

// All settings, grouped by section.
const std::vector<Setting>& settings();

// The keys of one section, in order.
std::vector<std::string> keys_of(Section section);

// A config with one cluster, one node and one listener, every setting at its default.
const Config& defaults();

// For a repeated section of the file: without entries, and one more, whose settings are then read.
void clear_entries(Config& config, Section section);
void add_entry(Config& config, Section section);

}  // namespace pgsteer
