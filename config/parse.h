// From TOML to Config. Pure apart from parse_file's reading of the file, the look whether named
// certificate files can be read, and the reading of health.password_file. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace pgsteer {

// One thing that is wrong (or doubtful) and where.
struct Diagnostic {
  std::string file;
  unsigned line = 0;     // 1-based; 0: the file as a whole
  std::string key;       // dotted, counted from 0: "listen[1].max_lag"; empty: not TOML at all
  std::string message;   // what is wrong, and what is allowed
  bool warning = false;  // true: pgsteer runs all the same

  std::string text()
      const;  // "FILE:LINE: KEY: MESSAGE"; a warning's message begins with "warning: "
};

struct Parsed {
  Config config;                        // meaningful only if ok()
  std::vector<Diagnostic> diagnostics;  // all of them, in order of line
  bool ok() const;                      // no fault but warnings
};

// Parses `toml`; `file` is used in messages and to resolve relative certificate paths.
Parsed parse_text(std::string_view toml, const std::string& file);

// The same for a file. One that cannot be read is a fault.
Parsed parse_file(const std::string& path);

}  // namespace pgsteer
