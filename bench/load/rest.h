// Patroni's REST API as far as a proxy looks at it: a primary that is always healthy.
// Runs on a thread of its own until the process ends.
#pragma once

#include <thread>

#include "bench/load/net.h"

namespace pgsteer {

std::jthread serve_rest(const Address& address);

}  // namespace pgsteer
