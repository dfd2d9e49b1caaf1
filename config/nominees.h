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
// stays as it is, and there are no more nodes than there may be.
Config with_nominees(Config read, const Nominees& nominees);

}  // namespace pgsteer
