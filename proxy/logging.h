// Sets up spdlog: lines to stderr, as text or as one JSON object each, written by a thread of its
// own so that no session ever waits for a terminal or a full pipe.
#pragma once

#include "config/config.h"

namespace pgsteer {

void start_logging(const LogConfig& config);
// The same for a reload: lines from now on.
void use_logging(const LogConfig& config);
// Writes what is queued. Lines logged later go nowhere.
void stop_logging();

}  // namespace pgsteer
