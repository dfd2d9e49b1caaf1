#include "stats/failover_counts.h"

#include <algorithm>

namespace pgsteer {

void FailoverCounts::add(const ClusterView& view) {
  std::optional<std::uint64_t> newest = last_counted_;
  for (const FailoverView& failover : view.failovers) {
    if (!failover.finished) continue;
    if (last_counted_ && failover.id <= *last_counted_) continue;
    (failover.kind == FailoverKind::kFailover ? failovers : interruptions) += 1;
    no_primary_seconds += failover.no_primary_seconds;
    newest = newest ? std::max(*newest, failover.id) : failover.id;
  }
  last_counted_ = newest;
}

void FailoverCounts::add(const FailoverCounts& other) {
  failovers += other.failovers;
  interruptions += other.interruptions;
  no_primary_seconds += other.no_primary_seconds;
}

}  // namespace pgsteer
