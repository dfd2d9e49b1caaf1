#include "proxy/routing/end_reason.h"

namespace pgsteer {

namespace {

// SQLSTATEs: 57P03 moves libpq on to its next host and is retried by drivers; 57P01 with
// PostgreSQL's own words is what pools recognise as a lost connection, SQLAlchemy by the text and
// HikariCP by the code; 53300 is PostgreSQL's answer when all its slots are taken.
constexpr std::array<EndReasonRow, kEndReasonCount> kTable{{
    {EndReason::kNone, "none", "", ""},
    {EndReason::kClientClosed, "client_closed", "", ""},
    {EndReason::kClientAborted, "client_aborted", "", ""},
    {EndReason::kClientLeft, "client_left", "", ""},
    {EndReason::kServerClosed, "server_closed", "", ""},
    {EndReason::kServerAborted, "server_aborted", "08006",
     "terminating connection because the server closed the connection unexpectedly"},
    {EndReason::kServerRefused, "server_refused", "", ""},
    {EndReason::kRoleLost, "role_lost", "57P01",
     "terminating connection due to administrator command"},
    {EndReason::kNoNode, "no_node", "57P03", "the database system is not accepting connections"},
    {EndReason::kHoldFull, "hold_full", "57P03",
     "the database system is not accepting connections"},
    {EndReason::kConnectFailed, "connect_failed", "57P03",
     "the database system is not accepting connections"},
    {EndReason::kBadPacket, "bad_packet", "08P01", "invalid startup packet"},
    {EndReason::kFirstPacketTimeout, "first_packet_timeout", "", ""},
    {EndReason::kLoginTimeout, "login_timeout", "57014", "canceling authentication due to timeout"},
    {EndReason::kCrowdedOut, "crowded_out", "53300", "sorry, too many clients already"},
    {EndReason::kDenied, "denied", "28000", "this address is not allowed to connect here"},
    {EndReason::kTooManyConnections, "too_many_connections", "53300",
     "sorry, too many clients already"},
    {EndReason::kTooManyPerClient, "too_many_per_client", "53300",
     "too many connections from this address"},
    {EndReason::kTooFast, "too_fast", "53300", "too many new connections from this address"},
    {EndReason::kNodeFull, "node_full", "53300", "sorry, too many clients already"},
    {EndReason::kTlsFailed, "tls_failed", "08006",
     "could not establish TLS with the database server"},
    {EndReason::kTlsRequired, "tls_required", "28000",
     "this listener accepts TLS connections only"},
    {EndReason::kProxyHeader, "proxy_header", "", ""},
    {EndReason::kCancelDone, "cancel_done", "", ""},
    {EndReason::kShutdown, "shutdown", "57P01",
     "terminating connection due to administrator command"},
    {EndReason::kRefusedAtShutdown, "refused_at_shutdown", "57P03",
     "the database system is shutting down"},
    {EndReason::kNoResources, "no_resources", "53300", "sorry, too many clients already"},
}};

}  // namespace

const EndReasonRow& row(EndReason end) { return kTable[static_cast<std::size_t>(end)]; }

const std::array<EndReasonRow, kEndReasonCount>& end_reason_table() { return kTable; }

}  // namespace pgsteer
