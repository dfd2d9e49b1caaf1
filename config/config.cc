#include "config/config.h"

#include <ostream>

#include "config/enum_names.h"

namespace pgsteer {

namespace {

template <class E>
const char* find_name(E wanted) {
  for (const auto& [value, name] : EnumNames<E>::kAll) {
    if (value == wanted) return name;
  }
  return "?";
}

}  // namespace

const char* to_string(Target value) { return find_name(value); }
const char* to_string(Balance value) { return find_name(value); }
const char* to_string(WhenNoNode value) { return find_name(value); }
const char* to_string(ClientTls value) { return find_name(value); }
const char* to_string(ClientCertificate value) { return find_name(value); }
const char* to_string(NodeTls value) { return find_name(value); }
const char* to_string(TlsVersion value) { return find_name(value); }
const char* to_string(ErrorDetail value) { return find_name(value); }
const char* to_string(LogFormat value) { return find_name(value); }
const char* to_string(LogLevel value) { return find_name(value); }

std::ostream& operator<<(std::ostream& out, const Secret& secret) {
  return out << (secret.value.empty() ? "" : "***");
}

bool Network::contains(const IpAddress& address) const {
  unsigned left = prefix;
  for (std::size_t i = 0; i < base.size() && left > 0; ++i) {
    const unsigned bits = left < 8 ? left : 8;
    const unsigned mask = 0xffU & ~(0xffU >> bits);
    if ((base[i] & mask) != (address[i] & mask)) return false;
    left -= bits;
  }
  return true;
}

}  // namespace pgsteer
