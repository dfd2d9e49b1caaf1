// The one table that declares every setting: where it stands, what it may hold, how it is read and
// written. Parsing, suggestions for unknown keys and the test of pgsteer.reference.toml all use it;
// defaults are those of the structs in config.h. Immutable; any thread.
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
  const char* word;  // as in the file
  bool many;         // [[word]], any number of times
};

// In the order of the reference file.
const std::vector<SectionInfo>& sections();

struct Setting {
  Section section;
  std::string key;
  std::string type;
  std::string allowed;
  std::string
      example;  // `key = example` where the setting has to be written; empty: it may be left out
  // `index` is the place of the [[node]] or [[listen]], otherwise unused.
  std::function<void(const TomlValue&, Config&, std::size_t index, Reader&)> read;
  std::function<std::string(const Config&, std::size_t index)> write;  // the value as in TOML

  bool required() const { return !example.empty(); }
};

// All of them, those of a section together.
const std::vector<Setting>& settings();

// The keys of one section, in order.
std::vector<std::string> keys_of(Section section);

// A config of one node and one listener with every setting at its default.
const Config& defaults();

// A [[node]] or [[listen]] is made room for before its settings are read.
void add_entry(Config& config, Section section);

}  // namespace pgsteer
