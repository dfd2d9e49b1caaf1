#include <algorithm>
#include <map>

#include "config/check.h"
#include "config/clusters.h"
#include "config/suggest.h"
#include "config/value.h"

namespace pgsteer {

namespace {

std::string cluster_key(std::size_t index) { return "cluster[" + std::to_string(index) + "]"; }

std::vector<std::string> names_of(const std::vector<ClusterConfig>& clusters) {
  std::vector<std::string> names;
  for (const ClusterConfig& cluster : clusters) names.push_back(cluster.name);
  return names;
}

// `key` is that of a node or listener, which says that it belongs to `cluster`.
void check_reference(const std::string& key, const std::string& cluster,
                     const std::vector<std::string>& known, Diagnostics& diagnostics) {
  if (!diagnostics.valid({key + ".cluster"})) return;
  if (std::ranges::find(known, cluster) != known.end()) return;
  if (cluster.empty()) {
    const std::string example = "cluster = " + in_quotes(known.front());
    diagnostics.error(key + ".cluster",
                      "is missing; there are several clusters, and each node and "
                      "listener names its own: " +
                          example);
  } else if (known.front().empty()) {
    diagnostics.error(
        key + ".cluster",
        in_quotes(cluster) + " is not a cluster: there is no [[cluster]] in this file");
  } else {
    diagnostics.error(key + ".cluster", in_quotes(cluster) + " is not a cluster" +
                                            did_you_mean(cluster, known) +
                                            "; known: " + join(known));
  }
}

// Every cluster has a node and a listener.
void check_not_empty(const Config& config, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < config.clusters.size(); ++i) {
    const std::string& name = config.clusters[i].name;
    const auto its = [&](const auto& entry) { return entry.cluster == name; };
    const auto miss = [&](const char* what, const char* section) {
      diagnostics.error(cluster_key(i) + ".name", in_quotes(name) + " has no " + what +
                                                      "; write cluster = " + in_quotes(name) +
                                                      " in its " + section);
    };
    if (std::ranges::none_of(config.nodes, its)) miss("nodes", "[[node]] sections");
    if (std::ranges::none_of(config.listen, its)) miss("listener", "[[listen]]");
  }
}

void check_membership(const Config& config, Diagnostics& diagnostics) {
  std::vector<KeyValue> names;
  for (std::size_t i = 0; i < config.clusters.size(); ++i) {
    names.emplace_back(cluster_key(i) + ".name", config.clusters[i].name);
  }
  check_unique(names, "each cluster needs its own name", diagnostics);
  // What follows from a cluster that is wrong itself is not worth a line.
  if (!diagnostics.valid({"cluster"})) return;
  const std::vector<std::string> known = names_of(config.clusters);
  bool references = !config.nodes.empty() && !config.listen.empty();
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    check_reference(node_key(i), config.nodes[i].cluster, known, diagnostics);
    references &= diagnostics.valid({node_key(i) + ".cluster"});
  }
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    check_reference(listen_key(i), config.listen[i].cluster, known, diagnostics);
    references &= diagnostics.valid({listen_key(i) + ".cluster"});
  }
  if (references && config.clusters.size() > 1) check_not_empty(config, diagnostics);
}

// Every cluster has its own pg-1.
void check_names(const Config& config, Diagnostics& diagnostics) {
  std::map<std::string, std::vector<KeyValue>> nodes;  // by cluster
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    nodes[config.nodes[i].cluster].emplace_back(node_key(i) + ".name", config.nodes[i].name);
  }
  for (const auto& [cluster, names] : nodes) {
    check_unique(names,
                 cluster.empty() ? "each node needs its own name"
                                 : "each node of a cluster needs its own name",
                 diagnostics);
  }
  std::vector<KeyValue> listeners;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    listeners.emplace_back(listen_key(i) + ".name", config.listen[i].name);
  }
  check_unique(listeners, "each listener needs its own name", diagnostics);
}

void check_addresses(const Config& config, Diagnostics& diagnostics) {
  std::map<std::string, std::vector<KeyValue>> addresses;  // by cluster
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    const NodeConfig& node = config.nodes[i];
    const std::string key = node_key(i) + ".host";
    const std::string address = node.host + ":" + std::to_string(node.port);
    addresses[node.cluster].emplace_back(key, node.host.empty() ? "" : address);
    const auto claims = [&](const NodeConfig& other) {
      return other.cluster != node.cluster && same_address(other, node);
    };
    const auto here = config.nodes.begin() + static_cast<std::ptrdiff_t>(i);
    const auto first = std::find_if(config.nodes.begin(), here, claims);
    if (node.host.empty() || first == here) continue;
    if (!diagnostics.valid({"cluster", node_key(i) + ".cluster"})) continue;
    const std::string other =
        node_key(static_cast<std::size_t>(first - config.nodes.begin())) + ".host";
    diagnostics.error(key, in_quotes(address) +
                               " is claimed by two clusters: " + in_quotes(first->cluster) + " (" +
                               other + ", " + diagnostics.where(other) + ") and " +
                               in_quotes(node.cluster) + "; a node belongs to one");
  }
  for (const auto& [cluster, its] : addresses) {
    check_unique(its, "list each node once", diagnostics);
  }
}

}  // namespace

void check_clusters(const Config& config, Diagnostics& diagnostics) {
  check_membership(config, diagnostics);
  check_names(config, diagnostics);
  check_addresses(config, diagnostics);
}

}  // namespace pgsteer
