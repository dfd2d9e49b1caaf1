#include "proxy/wire/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/wire/bytes.h"

namespace pgsteer {
namespace {

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kHead2 = 16;       // signature, version and command, family, length
constexpr std::size_t kLine1Least = 15;  // "PROXY UNKNOWN\r\n"

using Kind = ProxyHeaderKind;

ProxyHeader malformed(const char* problem) {
  ProxyHeader header;
  header.kind = Kind::kMalformed;
  header.problem = problem;
  return header;
}

ProxyHeader need(std::size_t size) {
  ProxyHeader header;
  header.size = size;
  return header;
}

// --- Version 1 -----------------------------------------------------------------------------------

// Removes the next word from `line`. Words are separated by exactly one space (section 2.1).
std::string_view next_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<IpAddress> parse_address(std::string_view word, int family) {
  IpAddress bytes{};
  if (word.size() > 45 || word.find('\0') != std::string_view::npos) return std::nullopt;
  if (inet_pton(family, std::string(word).c_str(), bytes.data()) != 1) return std::nullopt;
  return family == AF_INET ? map_ipv4(bytes.data()) : bytes;
}

// Section 2.1: 0 to 65535, no leading zeros.
std::optional<std::uint16_t> parse_port(std::string_view word) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  if (word.size() > 1 && word.front() == '0') return std::nullopt;
  return port;
}

// `line` is the text between the signature and the CRLF.
ProxyHeader decode_line(std::string_view line, std::size_t size) {
  ProxyHeader header;
  header.size = size;
  const std::string_view family = next_word(line);
  if (family == "UNKNOWN") {  // the rest must be ignored
    header.kind = Kind::kLocal;
    return header;
  }
  if (family != "TCP4" && family != "TCP6") return malformed("family");
  const int af = family == "TCP4" ? AF_INET : AF_INET6;
  const auto source = parse_address(next_word(line), af);
  const auto destination = parse_address(next_word(line), af);
  const auto source_port = parse_port(next_word(line));
  // The whole rest must be the port, so a fifth word makes it invalid.
  const auto destination_port = parse_port(line);
  if (!source || !destination || !source_port || !destination_port) return malformed("address");
  header.kind = Kind::kAddress;
  header.source = {*source, *source_port};
  header.destination = {*destination, *destination_port};
  return header;
}

ProxyHeader decode_v1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kMaxProxyV1);
  const std::size_t end = window.find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxProxyV1) return malformed("length");
    return need(std::max(bytes.size() + 1, kLine1Least));
  }
  return decode_line(window.substr(kSignature1.size(), end - kSignature1.size()), end + 2);
}

// --- Version 2 -----------------------------------------------------------------------------------

std::uint16_t load_u16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

// `at` points after the head. The caller guarantees that both addresses and ports exist.
void take_addresses(const std::uint8_t* at, std::size_t width, ProxyHeader& header) {
  const auto address = [&](const std::uint8_t* from) {
    if (width == 4) return map_ipv4(from);
    IpAddress v6{};
    std::copy_n(from, 16, v6.begin());
    return v6;
  };
  header.source = {address(at), load_u16(at + 2 * width)};
  header.destination = {address(at + width), load_u16(at + 2 * width + 2)};
}

ProxyHeader decode_v2(std::string_view bytes) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(bytes.data());
  if (bytes.size() > 12 && raw[12] >> 4 != 2) return malformed("version");
  if (bytes.size() > 12 && (raw[12] & 0x0f) > 1) return malformed("command");
  if (bytes.size() < kHead2) return need(kHead2);
  const std::size_t payload = load_u16(raw + 14);
  const std::size_t size = kHead2 + payload;
  if (size > kMaxProxyV2) return malformed("length");
  const std::uint8_t family = raw[13] >> 4;     // 0 unspecified, 1 IPv4, 2 IPv6, 3 Unix
  const std::uint8_t transport = raw[13] & 15;  // 0 unspecified, 1 stream, 2 datagram
  if (family > 3 || transport > 2) return malformed("family");
  if (bytes.size() < size) return need(size);

  ProxyHeader header;
  header.kind = Kind::kLocal;
  header.size = size;
  const bool local = (raw[12] & 0x0f) == 0;
  if (local || transport != 1 || family == 0 || family == 3) return header;
  const std::size_t width = family == 1 ? 4 : 16;
  if (payload < 2 * width + 4) return malformed("address");
  header.kind = Kind::kAddress;
  take_addresses(raw + kHead2, width, header);
  return header;
}

bool begins(std::string_view bytes, std::string_view signature) {
  const std::size_t common = std::min(bytes.size(), signature.size());
  return bytes.substr(0, common) == signature.substr(0, common);
}

}  // namespace

ProxyHeader decode_proxy_header(std::span<const std::byte> span) {
  const std::string_view bytes = text(span);
  if (begins(bytes, kSignature1)) {
    return bytes.size() < kSignature1.size() ? need(kLine1Least) : decode_v1(bytes);
  }
  if (begins(bytes, kSignature2)) {
    return bytes.size() < kSignature2.size() ? need(kHead2) : decode_v2(bytes);
  }
  return malformed("signature");
}

}  // namespace pgsteer
