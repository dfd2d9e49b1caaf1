// What a canned state shows of reloads. Pure.
#pragma once

#include <string>

#include "tests/browser/scenarios.h"

namespace pgsteer {

// The configuration in force and the last reload in the state of that name.
ConfigView config_view(const std::string& name, WallTime now);

// Makes pg-2 of a healthy cluster leave, and adds pg-4, which leaves and is down, and pg-5, which
// stays; the listener reports leaves, too.
void add_leaving(ClusterView& cluster, WallTime now);

// The sessions that are left on pg-2, and the listener reports with some of its own. Expects the
// listeners read_write and read_only of that cluster.
void add_leaving(TrafficView& traffic, double elapsed);

}  // namespace pgsteer
