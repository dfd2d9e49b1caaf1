#include "config/config.h"

#include <ostream>

#include "config/word.h"

namespace pgsteer {

namespace {

template <class E>
const char* find_word(E wanted) {
  for (const auto& [value, name] : Words<E>::kAll) {
    if (value == wanted) return name;
  }
  return "?";
}

}  // namespace

const char* word(Target value) { return find_word(value); }
const char* word(Balance value) { return find_word(value); }
const char* word(WhenNoNode value) { return find_word(value); }
const char* word(ClientTls value) { return find_word(value); }
const char* word(ClientCertificate value) { return find_word(value); }
const char* word(NodeTls value) { return find_word(value); }
const char* word(TlsVersion value) { return find_word(value); }
const char* word(LogFormat value) { return find_word(value); }
const char* word(LogLevel value) { return find_word(value); }

std::ostream& operator<<(std::ostream& out, const Secret& secret) {
  return out << (secret.value.empty() ? "" : "***");
}

bool Network::contains(const std::array<std::uint8_t, 16>& address) const {
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
