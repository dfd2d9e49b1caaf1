#include "config/nominees.h"

#include <algorithm>

namespace pgsteer {

Config with_nominees(Config read, const Nominees& nominees) {
  for (const ClusterConfig& cluster : read.clusters) {
    const auto named = nominees.find(cluster.name);
    if (!cluster.discover || named == nominees.end()) continue;
    for (const NodeConfig& node : named->second) {
      const bool written = std::ranges::any_of(read.nodes, [&](const NodeConfig& other) {
        return other.host == node.host && other.port == node.port;
      });
      if (!written && read.nodes.size() < kMaxNodes) read.nodes.push_back(node);
    }
  }
  return read;
}

}  // namespace pgsteer
