// Why a session ended: exactly one reason, the same word in the log, the metrics and the page, and
// what the client is told where the protocol lets one speak.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgsteer {

enum class EndReason : std::uint8_t {
  kNone,  // goes on

  // The client's doing.
  kClientClosed,
  kClientAborted,  // reset, or vanished without a FIN
  kClientLeft,     // gave up before it had a server

  // The server's doing.
  kServerClosed,   // after it had said why, or after the client's Terminate
  kServerAborted,  // without a word
  kServerRefused,  // answered the login with a FATAL

  // The cluster's.
  kRoleLost,  // the node may not serve this listener any more
  kNoNode,    // nowhere to lead to, and patience ran out
  kHoldFull,  // nowhere to lead to, and too many wait already
  kConnectFailed,

  // The door's.
  kBadPacket,
  kFirstPacketTimeout,
  kLoginTimeout,
  kCrowdedOut,  // too many connections that say nothing: the oldest goes
  kDenied,
  kTooManyConnections,
  kTooManyPerClient,
  kTooFast,
  kNodeFull,
  kTlsFailed,
  kTlsRequired,
  kProxyHeader,
  kCancelDone,

  // pgsteer's own.
  kShutdown,
  kNoResources,  // out of descriptors
};
constexpr std::size_t kEndReasonCount = static_cast<std::size_t>(EndReason::kNoResources) + 1;

struct EndReasonRow {
  EndReason end;
  std::string_view word;      // log word, metric label
  std::string_view sqlstate;  // empty: nothing is said
  std::string_view message;
};

const EndReasonRow& row(EndReason end);
inline std::string_view to_string(EndReason end) { return row(end).word; }
const std::array<EndReasonRow, kEndReasonCount>& end_reason_table();

}  // namespace pgsteer
