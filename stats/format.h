// Times and WAL positions as text. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "health/views.h"

namespace pgsteer {

// "2025-03-01T09:30:00.250Z"; the epoch itself means "not known" and gives "".
std::string rfc3339(WallTime time);

// PostgreSQL's notation for a position in the WAL: "1A/2B3C4D50".
std::string lsn_text(std::uint64_t lsn);

}  // namespace pgsteer
