// Why a session ended. Each session has exactly one reason, with the same word in the log, the
// metrics and the page, and with an error for the client where the protocol permits one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgsteer {

enum class EndReason : std::uint8_t {
  kNone,  // has not ended

  // The client ended it.
  kClientClosed,
  kClientAborted,  // reset, or vanished without a FIN
  kClientLeft,     // before it had a server

  // The server ended it.
  kServerClosed,   // after an error of its own, or after the client's Terminate
  kServerAborted,  // without an error
  kServerRefused,  // answered the login with a FATAL

  // The state of the cluster.
  kRoleLost,  // the node may not serve this listener any more
  kNoNode,    // no node became available within `hold`
  kHoldFull,  // no node is available, and too many clients wait already
  kConnectFailed,

  // Startup and limits.
  kBadPacket,
  kFirstPacketTimeout,
  kLoginTimeout,
  kCrowdedOut,  // too many that have not logged in, and its address has most of them
  kDenied,
  kTooManyConnections,
  kTooManyPerClient,
  kTooFast,
  kNodeFull,
  kTlsFailed,
  kTlsRequired,
  kProxyHeader,
  kCancelDone,

  // pgsteer itself.
  kShutdown,
  kRefusedAtShutdown,  // the same for a client that has had no answer from a server
  kNoResources,        // out of descriptors
};
constexpr std::size_t kEndReasonCount = static_cast<std::size_t>(EndReason::kNoResources) + 1;

struct EndReasonRow {
  EndReason end;
  std::string_view word;      // log word, metric label
  std::string_view sqlstate;  // empty: the client gets no error
  std::string_view message;
};

const EndReasonRow& row(EndReason end);
inline std::string_view to_string(EndReason end) { return row(end).word; }
const std::array<EndReasonRow, kEndReasonCount>& end_reason_table();

}  // namespace pgsteer
