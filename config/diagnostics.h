// Collects the errors and warnings of one config file and remembers the line of each key. One run
// of the parser owns it.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/parse.h"

namespace pgsteer {

class Diagnostics {
 public:
  explicit Diagnostics(std::string file) : file_(std::move(file)) {}

  // Keys are dotted: "health", "health.timeout", "listen[0].bind". Indices count from 0.
  void set_line(const std::string& key, unsigned line) { lines_[key] = line; }
  bool is_set(const std::string& key) const { return lines_.count(key) > 0; }
  // Keys whose value differs from the default. A default is never reported as having no effect.
  void mark_changed(const std::string& key) { changed_.insert(key); }
  bool changed(const std::string& key) const { return changed_.count(key) > 0; }
  // The line of the key; of its section if the key is missing; 0 if neither is in the file.
  unsigned line_of(const std::string& key) const;
  std::string where(const std::string& key) const;  // "line 12"

  void error(const std::string& key, std::string message);
  void error_at(unsigned line, const std::string& key, std::string message);
  void warning(const std::string& key, std::string message);

  // True if no error so far names one of these keys or a part of one. Only then can their values be
  // compared with others.
  bool valid(std::initializer_list<std::string> keys) const;

  std::vector<Diagnostic> in_order() &&;

 private:
  void add(unsigned line, const std::string& key, std::string message, bool warning);

  std::string file_;
  std::map<std::string, unsigned> lines_;
  std::set<std::string> changed_;
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace pgsteer
