// Checks that need more than one setting: settings that contradict each other (errors), and
// combinations that work but cause trouble (warnings). Pure; any thread.
#pragma once

#include "config/config.h"
#include "config/diagnostics.h"

namespace pgsteer {

void check_config(const Config& config, Diagnostics& diagnostics);

}  // namespace pgsteer
