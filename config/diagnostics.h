// Collects what is wrong with one config, and knows on which line each key stands. Owned by one run
// of the parser.
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
  void place(const std::string& key, unsigned line) { lines_[key] = line; }
  bool written(const std::string& key) const { return lines_.count(key) > 0; }
  // Keys whose value is not the default: only those can be pointless.
  void mark_changed(const std::string& key) { changed_.insert(key); }
  bool changed(const std::string& key) const { return changed_.count(key) > 0; }
  // The line of the key, or of the section that it is missing from, or 0.
  unsigned line_of(const std::string& key) const;
  std::string where(const std::string& key) const;  // "line 12"

  void fault(const std::string& key, std::string message);
  void fault_at(unsigned line, const std::string& key, std::string message);
  void warn(const std::string& key, std::string message);

  // No fault so far names one of these keys or a part of one: comparing their values makes sense.
  bool sound(std::initializer_list<std::string> keys) const;

  std::vector<Diagnostic> in_order() &&;

 private:
  void add(unsigned line, const std::string& key, std::string message, bool warning);

  std::string file_;
  std::map<std::string, unsigned> lines_;
  std::set<std::string> changed_;
  std::vector<Diagnostic> faults_;
};

}  // namespace pgsteer
