// What discovery adds to a configuration file: nodes that the members of a cluster name. Pure; any
// thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"

namespace pgsteer {

using Nominees = std::map<std::string, std::vector<NodeConfig>>;  // by the name of their cluster

// `read`, and the nominees of those of its clusters that have `discover`. What is written down
// stays as it is, and a node that `running` has stays with its cluster, whatever another cluster's
// members say. There are no more nodes than there may be.
Config with_nominees(Config read, const Nominees& nominees, const Config& running);

// Those that `running` has already.
Nominees in_force(Nominees nominees, const Config& running);

// Those of the clusters of `running` that `read` has as well, by the names that they have there.
Nominees renamed(const Nominees& nominees, const Config& running, const Config& read);

}  // namespace pgsteer
