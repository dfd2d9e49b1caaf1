#include "proxy/wire/client_hello.h"

#include <algorithm>

#include "proxy/wire/bytes.h"

namespace pgsteer {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloType = 1;
constexpr std::size_t kRecordHead = 5;     // type, version, length
constexpr std::size_t kHandshakeHead = 4;  // type, length
// RFC 8446, section 5.1: a plaintext record has at most 2^14 bytes.
constexpr std::size_t kMaxRecord = 1 << 14;
constexpr std::size_t kServerNameExtension = 0;
constexpr std::size_t kAlpnExtension = 16;

// Reads big-endian numbers and length-prefixed vectors. Once it has read past the end, it stays
// failed.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool more() const { return ok_ && !bytes_.empty(); }

  std::size_t number(std::size_t width) {
    std::size_t value = 0;
    for (const std::byte b : take(width)) value = value << 8 | static_cast<std::size_t>(b);
    return value;
  }

  std::span<const std::byte> take(std::size_t size) {
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const auto piece = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return piece;
  }

  // A vector, preceded by its length in `width` bytes.
  std::span<const std::byte> vector(std::size_t width) { return take(number(width)); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

ClientHello outcome(ClientHelloKind kind) {
  ClientHello hello;
  hello.kind = kind;
  return hello;
}

// The name goes into the log, so it may contain only printable characters without spaces.
bool is_visible_ascii(std::string_view name) {
  return std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
}

// RFC 6066, section 3: a list of (type, name). Type 0 is a host name; no other type is defined.
bool read_server_name(std::span<const std::byte> data, std::string& name) {
  Reader outer(data);
  Reader list(outer.vector(2));
  while (list.more()) {
    const std::size_t type = list.number(1);
    const std::string_view value = text(list.vector(2));
    if (!list.ok()) return false;
    if (type == 0 && name.empty() && value.size() <= 255 && is_visible_ascii(value)) name = value;
  }
  return outer.ok() && list.ok();
}

// RFC 7301, section 3.1: a list of names of 1 to 255 bytes.
bool read_alpn(std::span<const std::byte> data, std::vector<std::string>& names) {
  Reader outer(data);
  Reader list(outer.vector(2));
  while (list.more()) {
    const std::string_view name = text(list.vector(1));
    if (!list.ok() || name.empty()) return false;
    if (names.size() < kMaxAlpn) names.emplace_back(name);
  }
  return outer.ok() && list.ok();
}

// The body of a ClientHello, RFC 8446 section 4.1.2.
ClientHello read_hello(std::span<const std::byte> body) {
  ClientHello hello;
  hello.kind = ClientHelloKind::kFound;
  Reader reader(body);
  reader.take(2 + 32);  // version, random
  reader.vector(1);     // session id
  reader.vector(2);     // cipher suites
  reader.vector(1);     // compression methods
  if (!reader.ok()) return outcome(ClientHelloKind::kMalformed);
  if (!reader.more()) return hello;  // TLS 1.2 and earlier allow a hello without extensions

  Reader extensions(reader.vector(2));
  bool good = reader.ok() && !reader.more();
  while (good && extensions.more()) {
    const std::size_t type = extensions.number(2);
    const auto data = extensions.vector(2);
    if (!extensions.ok()) {
      good = false;
    } else if (type == kServerNameExtension) {
      good = read_server_name(data, hello.server_name);
    } else if (type == kAlpnExtension) {
      good = read_alpn(data, hello.alpn);
    }
  }
  return good ? hello : outcome(ClientHelloKind::kMalformed);
}

// The payloads of the available records, joined.
struct Gathered {
  ClientHelloKind kind = ClientHelloKind::kNeedMore;
  std::vector<std::byte> handshake;
};

Gathered gather(std::span<const std::byte> bytes) {
  Gathered result;
  while (bytes.size() >= kRecordHead && result.handshake.size() <= kMaxClientHello) {
    Reader head(bytes);
    const std::size_t type = head.number(1);
    const std::size_t major = head.number(1);
    head.number(1);
    const std::size_t length = head.number(2);
    if (type != kHandshakeRecord || major != 3 || length == 0 || length > kMaxRecord) {
      result.kind = ClientHelloKind::kMalformed;
      return result;
    }
    const auto payload = bytes.subspan(kRecordHead, std::min(length, bytes.size() - kRecordHead));
    result.handshake.insert(result.handshake.end(), payload.begin(), payload.end());
    bytes = bytes.subspan(kRecordHead + payload.size());
  }
  return result;
}

}  // namespace

bool ClientHello::offers(std::string_view protocol) const {
  return std::ranges::find(alpn, protocol) != alpn.end();
}

ClientHello decode_client_hello(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  if (static_cast<std::uint8_t>(bytes[0]) != kHandshakeRecord ||
      (bytes.size() > 1 && static_cast<std::uint8_t>(bytes[1]) != 3)) {
    return outcome(ClientHelloKind::kNotTls);
  }
  const Gathered gathered = gather(bytes);
  const std::span<const std::byte> handshake = gathered.handshake;
  if (!handshake.empty() && static_cast<std::uint8_t>(handshake[0]) != kClientHelloType) {
    return outcome(ClientHelloKind::kNotTls);
  }
  if (handshake.size() >= kHandshakeHead) {
    Reader head(handshake.subspan(1));
    const std::size_t length = head.number(3);
    if (length + kHandshakeHead > kMaxClientHello) return outcome(ClientHelloKind::kMalformed);
    const auto body = handshake.subspan(kHandshakeHead);
    if (body.size() >= length) return read_hello(body.first(length));
  }
  // Incomplete, but already too long: many tiny records count as well.
  if (bytes.size() >= kMaxClientHello) return outcome(ClientHelloKind::kMalformed);
  return outcome(gathered.kind);
}

}  // namespace pgsteer
