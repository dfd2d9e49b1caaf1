// Views to JSON, for the page and for programs: the tables of facts.h, nested. Pure. Names are
// stable: a field may be added, none changes its meaning. Units are part of the name (seconds,
// bytes), times are RFC 3339 in UTC, what is not known is null.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "proxy/session/session_view.h"
#include "stats/format.h"
#include "stats/snapshot.h"

namespace pgsteer {

// The whole state: clusters, nodes, listeners, failovers, events. All but the clusters name theirs
// as `cluster`, null if it has no name.
nlohmann::ordered_json status_json(const StatsSnapshot& snapshot);

nlohmann::ordered_json sessions_json(const std::vector<SessionView>& sessions, WallTime now);

// As text. Bytes that are not UTF-8 (clients choose user and application names) become U+FFFD.
std::string dump(const nlohmann::ordered_json& json);

}  // namespace pgsteer
