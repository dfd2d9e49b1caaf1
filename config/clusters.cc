#include "config/clusters.h"

#include <algorithm>

namespace pgsteer {

namespace {

bool share_an_address(const Config& before, const std::string& old_name, const Config& after,
                      const std::string& new_name) {
  return std::ranges::any_of(after.nodes, [&](const NodeConfig& node) {
    return node.cluster == new_name &&
           std::ranges::any_of(before.nodes, [&](const NodeConfig& old) {
             return old.cluster == old_name && same_address(old, node);
           });
  });
}

}  // namespace

void fill_in_clusters(Config& config) {
  if (config.clusters.size() != 1) return;
  const std::string& name = config.clusters.front().name;
  for (NodeConfig& node : config.nodes) {
    if (node.cluster.empty()) node.cluster = name;
  }
  for (ListenConfig& listen : config.listen) {
    if (listen.cluster.empty()) listen.cluster = name;
  }
}

std::size_t cluster_index(const Config& config, const std::string& name) {
  const auto at = std::ranges::find(config.clusters, name, &ClusterConfig::name);
  return at == config.clusters.end() ? 0 : static_cast<std::size_t>(at - config.clusters.begin());
}

bool same_address(const NodeConfig& a, const NodeConfig& b) {
  return a.host == b.host && a.port == b.port;
}

std::string cluster_prefix(const std::string& name) { return name.empty() ? "" : name + ": "; }

ClusterOrigins cluster_origins(const Config& before, const Config& after) {
  const auto named = [](const Config& config, const std::string& name) {
    return std::ranges::find(config.clusters, name, &ClusterConfig::name);
  };
  ClusterOrigins origins(after.clusters.size());
  std::vector<bool> taken(before.clusters.size());
  for (std::size_t i = 0; i < after.clusters.size(); ++i) {
    const auto old = named(before, after.clusters[i].name);
    if (old == before.clusters.end()) continue;
    origins[i] = static_cast<std::size_t>(old - before.clusters.begin());
    taken[*origins[i]] = true;
  }
  for (std::size_t i = 0; i < after.clusters.size(); ++i) {
    for (std::size_t old = 0; old < before.clusters.size() && !origins[i]; ++old) {
      if (taken[old] ||
          !share_an_address(before, before.clusters[old].name, after, after.clusters[i].name)) {
        continue;
      }
      origins[i] = old;
      taken[old] = true;
    }
  }
  return origins;
}

}  // namespace pgsteer
