// The second stage of a session: from what the client wants to a node that has answered. Chooses
// the node, connects, sets up TLS, forwards the first bytes, reads the first answer; tries another
// node, or the same one later, for as long as the client may wait and has noticed nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"
#include "proxy/session/startup_stage.h"

namespace pgsteer {

struct ConnectedNode {
  NodeConnectionPtr node;
  // The bytes are PostgreSQL messages in clear, as far as pgsteer is concerned.
  bool visible = false;
  std::vector<std::byte> sent_ahead;  // visible only: what followed the startup packet
  // Not visible: the server has a ClientHello to work on, and not only its answer to an SSLRequest.
  bool server_has_hello = false;
  std::vector<std::byte> first_answer;  // visible only: read, to be relayed first
  SessionContext::Clock::time_point login_until{};
};

// Consumes `startup`, but for the identity, which may learn the server name.
Task<StageResult<ConnectedNode>> run_connect_stage(SessionContext& context, Startup& startup);

}  // namespace pgsteer
