// A part of the startup stage: the answer to a client's SSLRequest or GSSENCRequest where pgsteer
// passes encryption through.
//
// sslmode=prefer goes on in clear after an N, so an N is a decision about somebody's secrecy.
//
//   S   may be promised from what is known of the nodes: if no node keeps the promise, the
//       handshake fails, and nothing was said in clear.
//   N   after which the session goes on comes from the node that will serve it. If that node is
//       lost before it has served, only one that says N as well may take its place.
//   N   of pgsteer's own (no node in time, over a limit, shutting down) is the prelude to its
//       refusal. No startup packet that follows it is ever forwarded.
#pragma once

#include <cstddef>

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"
#include "proxy/session/startup_stage.h"

namespace pgsteer {

// Finds the byte that answers `request`, kSslRequest or kGssRequest, and notes in `startup` how the
// connection goes on. With a reason to end there is no answer of a node: the client is to be
// refused, or has left. Bounded in time.
Task<StageResult<std::byte>> run_encryption_stage(SessionContext& context, Startup& startup,
                                                  PacketKind request);

}  // namespace pgsteer
