// What no setting shows by itself: settings that contradict each other, and combinations that work
// but hurt. Pure; any thread.
#pragma once

#include "config/config.h"
#include "config/diagnostics.h"

namespace pgsteer {

void check_config(const Config& config, Diagnostics& diagnostics);

}  // namespace pgsteer
