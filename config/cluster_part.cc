#include "config/cluster_part.h"

namespace pgsteer {

namespace {

template <class Entry>
void pick(const std::vector<Entry>& all, const std::vector<std::uint8_t>& slots,
          const std::string& cluster, std::vector<Entry>& its,
          std::vector<std::uint8_t>& its_slots) {
  its.clear();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].cluster != cluster) continue;
    its.push_back(all[i]);
    its_slots.push_back(slots[i]);
  }
}

}  // namespace

ClusterPart cluster_part(const Running& running, std::size_t slot) {
  const ClusterConfig& cluster = *running.cluster(slot);
  ClusterPart part{running.config, {}};
  part.config.clusters = {cluster};
  part.slots.clusters = {static_cast<std::uint8_t>(slot)};
  const Config& whole = running.config;
  pick(whole.nodes, running.slots.nodes, cluster.name, part.config.nodes, part.slots.nodes);
  pick(whole.listen, running.slots.listeners, cluster.name, part.config.listen,
       part.slots.listeners);
  return part;
}

}  // namespace pgsteer
