// From TOML to Config. Any thread. Touches only the file system: it reads the config itself
// (parse_file) and health.password_file, and opens certificate and key files to see if they can be
// read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace pgsteer {

// One error or warning, and where it is.
struct Diagnostic {
  std::string file;
  unsigned line = 0;     // 1-based; 0: the whole file
  std::string key;       // dotted, indices from 0: "listen[1].max_lag"; empty: not valid TOML
  std::string message;   // what is wrong, and what is allowed
  bool warning = false;  // true: pgsteer runs anyway

  // "FILE:LINE: KEY: MESSAGE"; the message of a warning begins with "warning: ".
  std::string text() const;
};

struct Parsed {
  Config config;                        // valid only if ok()
  std::vector<Diagnostic> diagnostics;  // all of them, in order of line
  bool ok() const;                      // no errors; warnings are allowed
};

// Parses `toml`. `file` appears in messages; relative paths start at its directory.
Parsed parse_text(std::string_view toml, const std::string& file);

// Reads and parses a file. A file that cannot be read is an error.
Parsed parse_file(const std::string& path);

}  // namespace pgsteer
