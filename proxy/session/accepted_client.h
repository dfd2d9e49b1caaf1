// A client as the acceptor hands it to a worker.
#pragma once

#include <cstddef>

#include "proxy/net/client_address.h"
#include "proxy/net/fd.h"
#include "proxy/routing/end_reason.h"

namespace pgsteer {

struct AcceptedClient {
  UniqueFd fd;
  ClientAddress address;
  std::size_t listener = 0;
  // Over a limit: it is told so once it has sent its first packet, if that is no cancel.
  EndReason refuse = EndReason::kNone;
  bool counted = false;          // counts towards the listener's limits until it has left
  bool behind_balancer = false;  // begins with a PROXY header that names the client
};

}  // namespace pgsteer
