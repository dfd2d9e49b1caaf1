// Views to JSON, for the page and for programs. Pure. Names are stable: a field may be added, none
// changes its meaning. Units stand in the names (seconds, bytes), times are RFC 3339 in UTC, what
// is not known is null.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "proxy/session/session_view.h"
#include "stats/snapshot.h"

namespace pgsteer {

// "2025-03-01T09:30:00.250Z"; the epoch itself means "not known" and gives "".
std::string rfc3339(WallTime time);

// PostgreSQL's way to write a position in the WAL: "1A/2B3C4D50".
std::string lsn_text(std::uint64_t lsn);

// The whole state: cluster, nodes, listeners, failovers, events.
nlohmann::ordered_json status_json(const StatsSnapshot& snapshot);

nlohmann::ordered_json sessions_json(const std::vector<SessionView>& sessions, WallTime now);

// As text. Bytes that are not UTF-8 (clients name users and applications) become U+FFFD.
std::string dump(const nlohmann::ordered_json& json);

}  // namespace pgsteer
