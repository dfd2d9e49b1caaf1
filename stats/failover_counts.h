// Counts failovers over the life of the process: the cluster view keeps only the last twenty
// records, but a counter must never go back. A plain value; the owner serialises access.
#pragma once

#include <cstdint>
#include <optional>

#include "health/views.h"

namespace pgsteer {

struct FailoverCounts {
  std::uint64_t failovers = 0;      // finished ones, to another node
  std::uint64_t interruptions = 0;  // finished ones, the same node came back
  double no_primary_seconds = 0;    // summed over both

  // Adds the finished records of `view` that were not counted before. Ids rise.
  void add(const ClusterView& view);
  // Sums up those of several clusters.
  void add(const FailoverCounts& other);

 private:
  std::optional<std::uint64_t> last_counted_;
};

}  // namespace pgsteer
