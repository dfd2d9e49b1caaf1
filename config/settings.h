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

enum class Section : std::uint8_t { kNode, kListen, kNodeTls, kHealth, kStats, kServer, kLog };

struct SectionInfo {
  Section section;
  const char* name;  // as in the file
  bool repeated;     // [[name]], may occur more than once
};

// In the order of the reference file.
const std::vector<SectionInfo>& sections();

struct Setting {
  Section section;
  std::string key;
  std::string example;  // a value for required settings; empty: the setting is optional
  // `index` counts the [[node]] or [[listen]] entries; the other sections ignore it.
  std::function<void(const TomlValue&, Config&, std::size_t index, ReadContext&)> read;
  std::function<std::string(const Config&, std::size_t index)> write;  // as TOML

  bool required() const { return !example.empty(); }
};

// All settings, grouped by section.
const std::vector<Setting>& settings();

// The keys of one section, in order.
std::vector<std::string> keys_of(Section section);

// A config with one node and one listener, every setting at its default.
const Config& defaults();

// Appends an empty [[node]] or [[listen]], whose settings are then read.
void add_entry(Config& config, Section section);

}  // namespace pgsteer
