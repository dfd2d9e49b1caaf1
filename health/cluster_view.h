// judge's state in words, for the page, the JSON and the metrics. Pure.
#pragma once

#include "health/judge.h"
#include "health/views.h"

namespace pgsteer {

// Everything but the failovers. `wall` is the wall clock at `now`.
ClusterView cluster_view(const Config& config, const JudgeState& state, Instant now, WallTime wall);

}  // namespace pgsteer
