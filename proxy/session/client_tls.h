// A part of the startup stage: the client's TLS, where it ends at pgsteer.
#pragma once

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"

namespace pgsteer {

// The server's side of the handshake. `direct`: it came without an SSLRequest, and must agree on
// ALPN "postgresql". Bounded by the caller.
Task<EndReason> terminate_tls(SessionContext& context, bool direct);

}  // namespace pgsteer
