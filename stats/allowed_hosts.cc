#include "stats/allowed_hosts.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

namespace pgsteer {
namespace {

// In lower case, without the dot that may end a full name.
std::string plain(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string out(name);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool is_port(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "name:7000" is "name"; "[::1]:7000" is "::1". Anything else stays, and is no name that is
// allowed.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return host;
    const std::string_view rest = host.substr(end + 1);
    const bool valid = rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
    return valid ? host.substr(1, end - 1) : host;
  }
  const std::size_t colon = host.find(':');
  if (colon == std::string_view::npos || !is_port(host.substr(colon + 1))) return host;
  return host.substr(0, colon);
}

bool is_address(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

}  // namespace

AllowedHosts::AllowedHosts(const std::vector<std::string>& names) : names_{"localhost"} {
  for (const std::string& name : names) {
    all_ = all_ || name == "*";
    if (!name.empty()) names_.push_back(plain(name));
  }
}

bool AllowedHosts::allow(std::string_view host) const {
  if (all_) return true;
  const std::string name = plain(without_port(host));
  return is_address(name) || std::find(names_.begin(), names_.end(), name) != names_.end();
}

}  // namespace pgsteer
