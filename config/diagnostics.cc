#include "config/diagnostics.h"

#include <algorithm>
#include <utility>

namespace pgsteer {

namespace {

// Keys and toml++'s messages hold what the file holds; a fault is one line all the same.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string shown_key(const std::string& key) {
  constexpr std::size_t kShown = 160;
  return printable(key.substr(0, kShown)) + (key.size() > kShown ? "..." : "");
}

// Is `part` the key itself, or something within it: "a.b" and "a.b[1]" within "a.b"?
bool within(std::string_view part, std::string_view key) {
  if (!part.starts_with(key)) return false;
  return part.size() == key.size() || part[key.size()] == '.' || part[key.size()] == '[';
}

}  // namespace

unsigned Diagnostics::line_of(const std::string& key) const {
  for (std::string_view part = key; !part.empty();) {
    const auto found = lines_.find(std::string(part));
    if (found != lines_.end()) return found->second;
    const std::size_t cut = part.find_last_of(".[");
    part = cut == std::string_view::npos ? std::string_view() : part.substr(0, cut);
  }
  return 0;
}

std::string Diagnostics::where(const std::string& key) const {
  return "line " + std::to_string(line_of(key));
}

void Diagnostics::fault(const std::string& key, std::string message) {
  add(line_of(key), key, std::move(message), false);
}

void Diagnostics::fault_at(unsigned line, const std::string& key, std::string message) {
  add(line, key, std::move(message), false);
}

void Diagnostics::warn(const std::string& key, std::string message) {
  add(line_of(key), key, std::move(message), true);
}

bool Diagnostics::sound(std::initializer_list<std::string> keys) const {
  return std::none_of(faults_.begin(), faults_.end(), [&](const Diagnostic& fault) {
    return !fault.warning && std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return within(fault.key, key);
    });
  });
}

std::vector<Diagnostic> Diagnostics::in_order() && {
  std::stable_sort(faults_.begin(), faults_.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return a.line < b.line; });
  return std::move(faults_);
}

void Diagnostics::add(unsigned line, const std::string& key, std::string message, bool warning) {
  faults_.push_back({file_, line, shown_key(key), printable(std::move(message)), warning});
}

std::string Diagnostic::text() const {
  std::string out = file;
  if (line > 0) out += ":" + std::to_string(line);
  if (!key.empty()) out += ": " + key;
  return out + ": " + (warning ? "warning: " : "") + message;
}

bool Parsed::ok() const {
  return std::all_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& each) { return each.warning; });
}

}  // namespace pgsteer
