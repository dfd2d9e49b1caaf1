// The traffic and the sessions of a canned state. Pure.
#pragma once

#include <string>
#include <vector>

#include "tests/browser/scenarios.h"

namespace pgsteer {

// A listener whose counters grow with `elapsed` seconds, on the nodes that `cluster` admits.
ListenerView listener_view(const ClusterView& cluster, const std::string& name, Target to,
                           const std::string& port, double elapsed);

std::vector<SessionView> some_sessions(const ClusterView& cluster, bool hostile);

}  // namespace pgsteer
