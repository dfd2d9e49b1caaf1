// Views to Prometheus metrics, all named pgsteer_*: the tables of facts.h, as families. Pure. Label
// values come from the configuration and from fixed lists, so their number is bounded.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "stats/snapshot.h"

namespace pgsteer {

std::vector<prometheus::MetricFamily> metric_families(const StatsSnapshot& snapshot);

// The text exposition format 0.0.4 of the above.
std::string metrics_text(const StatsSnapshot& snapshot);

}  // namespace pgsteer
