// The unencrypted part of a TLS ClientHello: the server name and the offered protocols (ALPN). Used
// in pass mode for the log, and to check whether direct TLS offers "postgresql". Pure. Any thread.
// Facts: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

// The handshake message may be split into several records. Real ones have 200 to 2000 bytes;
// anything longer than this limit counts as malformed.
constexpr std::size_t kMaxClientHello = 16 * 1024;
// More protocols than any client offers; further ones are ignored.
constexpr std::size_t kMaxAlpn = 8;

enum class ClientHelloKind : std::uint8_t {
  kNeedMore,
  kNotTls,     // not a handshake record, or not a ClientHello
  kMalformed,  // starts like a ClientHello but is invalid, or longer than kMaxClientHello
  kFound,
};

struct ClientHello {
  ClientHelloKind kind = ClientHelloKind::kNeedMore;
  std::string server_name;        // empty: none. At most 255 bytes, printable ASCII without spaces
  std::vector<std::string> alpn;  // in the client's order; at most kMaxAlpn

  bool offers(std::string_view protocol) const;
};

ClientHello decode_client_hello(std::span<const std::byte> bytes);

}  // namespace pgsteer
