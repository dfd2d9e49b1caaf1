// Checks that need more than one setting: settings that contradict each other (errors), and
// combinations that work but cause trouble (warnings). Pure; any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"

namespace pgsteer {

void check_config(const Config& config, Diagnostics& diagnostics);

// From here on: for config/check*.cc only.

// A key, and a value that no other may have.
using KeyValue = std::pair<std::string, std::string>;

inline std::string node_key(std::size_t index) { return "node[" + std::to_string(index) + "]"; }
inline std::string listen_key(std::size_t index) { return "listen[" + std::to_string(index) + "]"; }

// Names an entry whose value an earlier one has; empty values do not count.
void check_unique(const std::vector<KeyValue>& entries, const std::string& advice,
                  Diagnostics& diagnostics);
// Clusters, who belongs to which, and that names and addresses are told apart.
void check_clusters(const Config& config, Diagnostics& diagnostics);

}  // namespace pgsteer
