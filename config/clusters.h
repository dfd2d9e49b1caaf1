// Who belongs to which cluster of a configuration. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace pgsteer {

// Where there is only one cluster, nodes and listeners need not name it: they get its name.
void fill_in_clusters(Config& config);

// The index of the cluster with this name. Of a configuration that was checked there is one.
std::size_t cluster_index(const Config& config, const std::string& name);

// One PostgreSQL, as far as the file tells: the same host and port.
bool same_address(const NodeConfig& a, const NodeConfig& b);

// "orders: " before a sentence about a cluster; nothing if it has no name.
std::string cluster_prefix(const std::string& name);

// By cluster of `after`: the index of the same cluster in `before`; empty: it is new. Clusters are
// the same by name. Beyond that, a cluster whose name is new is one whose name has gone if they
// share the address of a node: it was renamed, or got its first name when a second cluster came.
using ClusterOrigins = std::vector<std::optional<std::size_t>>;
ClusterOrigins cluster_origins(const Config& before, const Config& after);

}  // namespace pgsteer
