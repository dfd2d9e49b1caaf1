#include "config/nominees.h"

#include <algorithm>

#include "config/clusters.h"

namespace pgsteer {

namespace {

bool has_address(const Config& config, const NodeConfig& node) {
  return std::ranges::any_of(config.nodes,
                             [&](const NodeConfig& other) { return same_address(other, node); });
}

bool is_in_force(const Config& running, const NodeConfig& node) {
  return std::ranges::any_of(running.nodes, [&](const NodeConfig& other) {
    return same_address(other, node) && other.cluster == node.cluster && !other.leaving;
  });
}

void add(Config& config, const Nominees& nominees) {
  for (const ClusterConfig& cluster : config.clusters) {
    const auto named = nominees.find(cluster.name);
    if (!cluster.discover || named == nominees.end()) continue;
    for (const NodeConfig& node : named->second) {
      if (!has_address(config, node) && config.nodes.size() < kMaxNodes) {
        config.nodes.push_back(node);
      }
    }
  }
}

}  // namespace

Nominees in_force(Nominees nominees, const Config& running) {
  for (auto& [cluster, nodes] : nominees) {
    std::erase_if(nodes, [&](const NodeConfig& node) { return !is_in_force(running, node); });
  }
  return nominees;
}

Config with_nominees(Config read, const Nominees& nominees, const Config& running) {
  add(read, in_force(nominees, running));
  add(read, nominees);
  return read;
}

Nominees renamed(const Nominees& nominees, const Config& running, const Config& read) {
  Nominees result;
  const ClusterOrigins origins = cluster_origins(running, read);
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (!origins[i]) continue;
    const auto old = nominees.find(running.clusters[*origins[i]].name);
    if (old == nominees.end()) continue;
    auto& nodes = result[read.clusters[i].name] = old->second;
    for (NodeConfig& node : nodes) node.cluster = read.clusters[i].name;
  }
  return result;
}

}  // namespace pgsteer
