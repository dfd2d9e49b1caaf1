// IP addresses as 16 bytes: IPv6 as it is, IPv4 in its mapped form (::ffff:a.b.c.d, RFC 4291
// section 2.5.5.2), so that one comparison and one table serve both. Pure; any thread.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace pgsteer {

using IpAddress = std::array<std::uint8_t, 16>;

inline constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0,    0,
                                                            0, 0, 0, 0, 0xff, 0xff};

// `v4` points to four bytes in network order.
inline IpAddress map_ipv4(const void* v4) {
  IpAddress address{};
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin());
  std::copy_n(static_cast<const std::uint8_t*>(v4), 4, address.begin() + kMappedPrefix.size());
  return address;
}

inline bool is_mapped_ipv4(const IpAddress& address) {
  return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin());
}

// "10.0.0.5", "2001:db8::1"
inline std::string ip_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v4 = is_mapped_ipv4(address);
  inet_ntop(v4 ? AF_INET : AF_INET6, address.data() + (v4 ? kMappedPrefix.size() : 0), text,
            sizeof text);
  return text;
}

}  // namespace pgsteer
