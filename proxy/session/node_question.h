// Asks a node whether it takes encryption: one request, one byte in return. For clients who asked
// pgsteer the same, and for pgsteer's own TLS towards the node.
#pragma once

#include <cstddef>
#include <span>

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

// The answers to an SSLRequest. A GSSENCRequest is declined with the same N.
inline constexpr std::byte kAccepted{'S'};
inline constexpr std::byte kDeclined{'N'};

// `request` is kSslRequest or kGssRequest; `answer` becomes S or N, or G or N. A node that closes,
// says anything else, or is silent until `until`, is suspected: kConnectFailed.
Task<EndReason> ask_node(SessionContext& context, NodeConnection& node, PacketKind request,
                         SessionContext::Clock::time_point until, std::byte& answer);

// Puts the requests in `declined` to a node that has not been asked yet. Another node has answered
// them with N, and the client goes on in clear: this one must say N as well. kNoNode: it does not,
// so the client, who would have been encrypted here, has to begin anew.
Task<EndReason> confirm_declined(SessionContext& context, NodeConnection& node,
                                 std::span<const PacketKind> declined,
                                 SessionContext::Clock::time_point until);

}  // namespace pgsteer
