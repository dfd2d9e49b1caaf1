// The first bytes of a connection: the kind of packet, and the fields of a startup packet.
// Pure: bytes in, decision out. Any thread.
//
// Facts from PostgreSQL 18: libpq/pqcomm.h, tcop/backend_startup.c (ProcessStartupPacket).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pgsteer {

// pqcomm.h MAX_STARTUP_PACKET_LENGTH is 10000, without the four bytes of the length itself.
constexpr std::size_t kMaxStartupPacket = 10004;
constexpr std::size_t kMinStartupPacket = 8;
// pqcomm.h MAX_CANCEL_KEY_LENGTH; protocol 3.0 has keys of exactly four bytes.
constexpr std::size_t kMaxCancelKey = 256;
constexpr std::size_t kCancelRequestHead = 12;  // length, code, process id

constexpr std::uint32_t protocol_version(std::uint32_t major, std::uint32_t minor) {
  return major << 16 | minor;
}
// Requests that do not start a session use the major version 1234 (pqcomm.h).
constexpr std::uint32_t kCancelRequestCode = protocol_version(1234, 5678);
constexpr std::uint32_t kSslRequestCode = protocol_version(1234, 5679);
constexpr std::uint32_t kGssRequestCode = protocol_version(1234, 5680);
// The complete SSLRequest: length and code.
constexpr std::array<std::byte, 8> kSslRequestPacket{
    std::byte{0},    std::byte{0},    std::byte{0},    std::byte{8},
    std::byte{0x04}, std::byte{0xd2}, std::byte{0x16}, std::byte{0x2f}};

enum class PacketKind : std::uint8_t {
  kNeedMore,       // a valid but incomplete packet
  kMalformed,      // not a packet of the protocol, whatever follows
  kSslRequest,     // answered with one byte, S or N
  kGssRequest,     // answered with one byte, G or N
  kTlsHello,       // a TLS record: direct TLS, or the handshake after an SSLRequest
  kCancelRequest,  // never answered
  kStartup,        // starts a session, with any protocol version: the server checks it
};

struct FirstPacket {
  PacketKind kind = PacketKind::kNeedMore;
  // Size of the packet in bytes. Any bytes after it were sent before it was answered. kNeedMore:
  // total bytes needed as far as known (8, then the length). kTlsHello: 0, because nothing is
  // consumed. kMalformed: the size if known, else 0.
  std::size_t size = 0;
  // kMalformed: "not_postgresql" (text, such as HTTP), "length", "protocol_version" (an unknown
  // request 1234.x), "unterminated" (the startup fields do not end where the packet does).
  const char* problem = nullptr;
  // kMalformed: a whole packet of this protocol, to whose sender PostgreSQL sends an ErrorResponse.
  bool answerable = false;
  std::uint32_t protocol = 0;             // kStartup: major << 16 | minor
  std::uint32_t cancel_pid = 0;           // kCancelRequest
  std::span<const std::byte> cancel_key;  // kCancelRequest: 1..256 bytes, in the caller's buffer
};

// Decodes the start of `bytes`. Returns kMalformed as early as possible: for an HTTP request at its
// first byte. Allocates nothing.
FirstPacket decode_first_packet(std::span<const std::byte> bytes);

enum class Replication : std::uint8_t { kNone, kPhysical, kLogical };

// Views into a startup packet. As in the server, the last of several equal names counts, and the
// database defaults to the user name.
struct StartupFields {
  std::string_view user;
  std::string_view database;     // empty for physical replication without one
  std::string_view application;  // application_name; empty if absent
  Replication replication = Replication::kNone;
  bool valid = false;  // false: not a protocol 3 startup packet, all else is empty
};

// `packet` is exactly one startup packet, of the size that decode_first_packet() returned.
StartupFields startup_fields(std::span<const std::byte> packet);

// What the server keeps of application_name (NAMEDATALEN - 1); it cuts the end off.
constexpr std::size_t kMaxApplicationName = 63;

// The packet with `suffix` appended to application_name, which is added if absent; all other bytes
// are unchanged. A name that would push the suffix beyond kMaxApplicationName is cut at its end.
// nullopt if it is not a protocol 3 startup packet, would exceed kMaxStartupPacket, or if `suffix`
// contains a NUL.
std::optional<std::vector<std::byte>> with_application_suffix(std::span<const std::byte> packet,
                                                              std::string_view suffix);

}  // namespace pgsteer
