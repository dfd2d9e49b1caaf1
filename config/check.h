// What no setting shows by itself: settings that contradict each other, and combinations that work
// but hurt. Pure; any thread.
#pragma once

#include "config/config.h"
#include "config/findings.h"

namespace pgsteer {

void check_config(const Config& config, Findings& findings);

}  // namespace pgsteer
