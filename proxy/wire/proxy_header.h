// The PROXY protocol, version 1 (a line of text) and 2 (binary), with which a balancer in front of
// pgsteer sends the client's address. Pure. Any thread. Facts: haproxy doc/proxy-protocol.txt.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config/ip_address.h"

namespace pgsteer {

// Section 2.1: the longest line, including CRLF.
constexpr std::size_t kMaxProxyV1 = 107;
// Section 2.2 allows 16 + 65535 bytes. Addresses take at most 216; the rest are TLVs, which
// are skipped. 2 KiB are enough for TLVs with certificate names.
constexpr std::size_t kMaxProxyV2 = 16 + 2048;

enum class ProxyHeaderKind : std::uint8_t {
  kNeedMore,
  kMalformed,
  kLocal,    // no client address: LOCAL (a health check), UNKNOWN, or a family other than IP
  kAddress,  // source and destination are set
};

struct ProxyEndpoint {
  IpAddress address{};
  std::uint16_t port = 0;  // host order

  friend bool operator==(const ProxyEndpoint&, const ProxyEndpoint&) = default;
};

struct ProxyHeader {
  ProxyHeaderKind kind = ProxyHeaderKind::kNeedMore;
  // Size of the header in bytes; the client's bytes follow it. kNeedMore: total bytes needed as far
  // as known, at least one more than available.
  std::size_t size = 0;
  // kMalformed: "signature" (no PROXY header at all), "version", "command", "family", "address",
  // "length".
  const char* problem = nullptr;
  ProxyEndpoint source;       // the client
  ProxyEndpoint destination;  // the address that the client connected to
};

ProxyHeader decode_proxy_header(std::span<const std::byte> bytes);

}  // namespace pgsteer
