// Patroni's REST API as far as a proxy looks at it: a primary that is always healthy.
// Runs on a thread of its own until the process ends.
#pragma once

#include <thread>

#include "bench/load/net.h"

namespace pgsteer {

// Answers as a running primary, or as a replica that streams. GET /demote and GET /promote, which
// no Patroni has, change that for every later answer.
std::jthread serve_rest(const Address& address, bool primary);

// For the client: sends one of the two to a source's REST. Throws if it is not there.
void change_role(const Address& rest, bool primary);

}  // namespace pgsteer
