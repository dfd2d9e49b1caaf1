// Configurations as text, for tests of the parser and its checks.
#pragma once

#include <string>

#include "config/parse.h"

namespace pgsteer {

inline constexpr const char* kNode = "[[node]]\nname = \"pg-1\"\nhost = \"127.0.0.11\"\n";
inline constexpr const char* kListen =
    "[[listen]]\nname = \"read_write\"\nbind = \"127.0.0.1:5000\"\nto = \"primary\"\n";

inline Parsed parse(const std::string& toml) { return parse_text(toml, "pgsteer.toml"); }

inline std::string texts(const Parsed& parsed) {
  std::string out;
  for (const Diagnostic& diagnostic : parsed.diagnostics) out += diagnostic.text() + "\n";
  return out;
}

}  // namespace pgsteer
