// One cluster of a configuration, as its checker and judge see it: a configuration of its own.
// Pure; any thread.
#pragma once

#include <cstddef>

#include "config/running.h"

namespace pgsteer {

struct ClusterPart {
  Config config;  // with this cluster alone, its nodes and its listeners, in the order of the whole
  Slots slots;    // which slots of the process those have
};

// `slot` is that of a cluster of `running`.
ClusterPart cluster_part(const Running& running, std::size_t slot);

}  // namespace pgsteer
