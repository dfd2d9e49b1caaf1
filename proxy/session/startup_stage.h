// The first stage of a session: from an accepted connection to what the client wants. Reads the
// PROXY header, answers encryption requests, terminates TLS, reads the startup packet. A client
// that only brings a CancelRequest is served here.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/net/task.h"
#include "proxy/session/node_search.h"
#include "proxy/session/session_context.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

// Who the client says he is: cleaned for log and page.
struct ClientIdentity {
  std::string user, database, application;
  std::string server_name;  // SNI, where only the ClientHello can be read
  Replication replication = Replication::kNone;
};
using ClientIdentityPtr = std::unique_ptr<ClientIdentity>;

struct Startup {
  // How the connection goes on at the node.
  enum class Kind : std::uint8_t {
    kClear,        // `bytes` hold the startup packet, in clear
    kTlsAccepted,  // the client was told S: the node must say S too, the rest is not readable
    kTlsDirect,    // `bytes` begin a TLS handshake that the node answers
    kTlsRelayed,   // `node` has answered S or G to the client itself: the rest is not readable
  };
  Kind kind = Kind::kClear;
  std::vector<std::byte> bytes;  // to be forwarded first
  ClientIdentityPtr identity;
  // The client's requests for encryption that a node has answered with N. The node that serves the
  // session must have said so itself; see node_question.h.
  std::vector<PacketKind> declined;
  NodeConnectionPtr node;              // the one that has answered a request, while it is kept
  std::unique_ptr<NodeSearch> search;  // if a node had to be looked for already
};

Task<StageResult<Startup>> run_startup_stage(SessionContext& context, EndReason refuse,
                                             bool behind_balancer);

}  // namespace pgsteer
