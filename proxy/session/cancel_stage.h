// A client that has sent a CancelRequest instead of a startup packet: finds the session whose key
// it holds, and passes the request on.
#pragma once

#include <cstddef>
#include <vector>

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

// `packet` was decoded from the beginning of `bytes`. Ends with kCancelDone.
Task<EndReason> run_cancel_stage(SessionContext& context, FirstPacket packet,
                                 std::vector<std::byte> bytes);

}  // namespace pgsteer
