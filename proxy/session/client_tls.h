// A part of the startup stage: the client's TLS, where it ends at pgsteer.
#pragma once

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"

namespace pgsteer {

// Until the client's ClientHello is there, whole, or what cannot become one; it stays unread.
// Bounded by the caller, as below.
Task<EndReason> await_hello(SessionContext& context);

// The server's side of the handshake. `direct`: it came without an SSLRequest, and must agree on
// ALPN "postgresql".
Task<EndReason> terminate_tls(SessionContext& context, bool direct);

}  // namespace pgsteer
