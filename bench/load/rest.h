// The part of Patroni's REST API that a proxy uses. The node is always healthy.
// Runs on its own thread until the process ends.
#pragma once

#include <thread>

#include "bench/load/net.h"

namespace pgsteer {

// Answers as a running primary or as a streaming replica. GET /demote and GET /promote, which
// Patroni does not have, change the role for every later answer.
std::jthread serve_rest(const Address& address, bool primary);

// For the client: sends one of the two to a source's REST API. Throws if it does not answer.
void change_role(const Address& rest, bool primary);

}  // namespace pgsteer
