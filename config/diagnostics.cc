#include "config/diagnostics.h"

#include <algorithm>
#include <utility>

namespace pgsteer {

namespace {

// Keys and the messages of toml++ may contain any character of the file. A diagnostic is one line.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string shown_key(const std::string& key) {
  constexpr std::size_t kMaxShown = 160;
  return printable(key.substr(0, kMaxShown)) + (key.size() > kMaxShown ? "..." : "");
}

// True if `part` is the key itself or lies within it: "a.b" and "a.b[1]" lie within "a.b".
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

void Diagnostics::error(const std::string& key, std::string message) {
  add(line_of(key), key, std::move(message), false);
}

void Diagnostics::error_at(unsigned line, const std::string& key, std::string message) {
  add(line, key, std::move(message), false);
}

void Diagnostics::warning(const std::string& key, std::string message) {
  add(line_of(key), key, std::move(message), true);
}

bool Diagnostics::valid(std::initializer_list<std::string> keys) const {
  return std::none_of(diagnostics_.begin(), diagnostics_.end(), [&](const Diagnostic& each) {
    return !each.warning && std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return within(each.key, key);
    });
  });
}

std::vector<Diagnostic> Diagnostics::in_order() && {
  std::stable_sort(diagnostics_.begin(), diagnostics_.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return a.line < b.line; });
  return std::move(diagnostics_);
}

void Diagnostics::add(unsigned line, const std::string& key, std::string message, bool warning) {
  diagnostics_.push_back({file_, line, shown_key(key), printable(std::move(message)), warning});
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
