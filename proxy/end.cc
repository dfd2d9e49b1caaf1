#include "proxy/end.h"

namespace pgsteer {

namespace {

// SQLSTATEs: 57P03 moves libpq on to its next host and is retried by drivers; 57P01 with
// PostgreSQL's own words is what pools recognise as a lost connection, SQLAlchemy by the text and
// HikariCP by the code; 53300 is PostgreSQL's answer when all its slots are taken.
constexpr std::array<EndRow, kEndCount> kTable{{
    {End::kNone, "none", "", ""},
    {End::kClientClosed, "client_closed", "", ""},
    {End::kClientAborted, "client_aborted", "", ""},
    {End::kClientLeft, "client_left", "", ""},
    {End::kServerClosed, "server_closed", "", ""},
    {End::kServerAborted, "server_aborted", "08006",
     "terminating connection because the server closed the connection unexpectedly"},
    {End::kServerRefused, "server_refused", "", ""},
    {End::kRoleLost, "role_lost", "57P01", "terminating connection due to administrator command"},
    {End::kNoNode, "no_node", "57P03", "the database system is not accepting connections"},
    {End::kHoldFull, "hold_full", "57P03", "the database system is not accepting connections"},
    {End::kConnectFailed, "connect_failed", "57P03",
     "the database system is not accepting connections"},
    {End::kBadPacket, "bad_packet", "08P01", "invalid startup packet"},
    {End::kFirstPacketTimeout, "first_packet_timeout", "", ""},
    {End::kLoginTimeout, "login_timeout", "57014", "canceling authentication due to timeout"},
    {End::kCrowdedOut, "crowded_out", "", ""},
    {End::kDenied, "denied", "28000", "this address is not allowed to connect here"},
    {End::kTooManyConnections, "too_many_connections", "53300", "sorry, too many clients already"},
    {End::kTooManyPerClient, "too_many_per_client", "53300",
     "too many connections from this address"},
    {End::kTooFast, "too_fast", "53300", "too many new connections from this address"},
    {End::kNodeFull, "node_full", "53300", "sorry, too many clients already"},
    {End::kTlsFailed, "tls_failed", "08006", "could not establish TLS with the database server"},
    {End::kTlsRequired, "tls_required", "28000", "this listener accepts TLS connections only"},
    {End::kProxyHeader, "proxy_header", "", ""},
    {End::kCancelDone, "cancel_done", "", ""},
    {End::kShutdown, "shutdown", "57P01", "terminating connection due to administrator command"},
    {End::kNoResources, "no_resources", "53300", "sorry, too many clients already"},
}};

}  // namespace

const EndRow& row(End end) { return kTable[static_cast<std::size_t>(end)]; }

const std::array<EndRow, kEndCount>& end_table() { return kTable; }

}  // namespace pgsteer
