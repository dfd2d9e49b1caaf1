#include "config/running.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "config/clusters.h"

namespace pgsteer {

namespace {

void count_up(std::vector<std::uint8_t>& slots, std::size_t count) {
  slots.resize(count);
  std::iota(slots.begin(), slots.end(), std::uint8_t{0});
}

Slots in_order(const Config& config) {
  Slots slots;
  count_up(slots.nodes, config.nodes.size());
  count_up(slots.listeners, config.listen.size());
  count_up(slots.clusters, config.clusters.size());
  return slots;
}

// Two configurations, one after the other: which entries are the same.
class Succession {
 public:
  Succession(const Config& before, const Config& after)
      : before_(before), after_(after), origins_(cluster_origins(before, after)) {}

  const ClusterOrigins& clusters() const { return origins_; }
  bool same(const NodeConfig& old, const NodeConfig& now) const {
    return same_address(old, now) && same_cluster(old.cluster, now.cluster);
  }
  bool same(const ListenConfig& old, const ListenConfig& now) const {
    return old.name == now.name && same_cluster(old.cluster, now.cluster);
  }

  // By index in `after`: its index in `before`.
  template <class Entry>
  ClusterOrigins origins(const std::vector<Entry>& before, const std::vector<Entry>& after) const {
    ClusterOrigins found;
    for (const Entry& now : after) {
      const auto at =
          std::ranges::find_if(before, [&](const Entry& old) { return same(old, now); });
      found.emplace_back();
      if (at != before.end()) found.back() = static_cast<std::size_t>(at - before.begin());
    }
    return found;
  }

 private:
  bool same_cluster(const std::string& old, const std::string& now) const {
    return origins_[cluster_index(after_, now)] == std::optional(cluster_index(before_, old));
  }

  const Config& before_;
  const Config& after_;
  const ClusterOrigins origins_;
};

// False: a new one has found no slot.
bool assign(const ClusterOrigins& origins, const std::vector<std::uint8_t>& had, std::uint64_t used,
            std::size_t most, std::vector<std::uint8_t>& slots) {
  slots.assign(origins.size(), 0);
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (!origins[i]) continue;
    slots[i] = had[*origins[i]];
    used |= std::uint64_t{1} << slots[i];
  }
  for (std::size_t i = 0; i < origins.size(); ++i) {
    if (origins[i]) continue;
    const auto slot = static_cast<std::size_t>(std::countr_one(used));
    if (slot >= most) return false;
    slots[i] = static_cast<std::uint8_t>(slot);
    used |= std::uint64_t{1} << slot;
  }
  return true;
}

// `names`: by index of the cluster before, its name now.
template <class Entry>
void add_leaving(const Config& before, const std::vector<Entry>& old, const ClusterOrigins& origins,
                 const std::vector<std::string>& names, std::vector<Entry>& now) {
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (std::ranges::find(origins, std::optional(i)) != origins.end()) continue;
    Entry& entry = now.emplace_back(old[i]);
    entry.cluster = names[cluster_index(before, entry.cluster)];
    entry.leaving = true;
  }
}

// Of clusters that leave, those that somebody uses.
std::vector<std::string> used_clusters(const Running& running, const UsedSlots& used) {
  std::vector<std::string> names;
  const auto look = [&](const auto& entries, const auto& slots, std::uint64_t used_slots) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if ((used_slots >> slots[i] & 1) != 0) names.push_back(entries[i].cluster);
    }
  };
  look(running.config.nodes, running.slots.nodes, used.nodes);
  look(running.config.listen, running.slots.listeners, used.listeners);
  return names;
}

template <class Entry, class Stays>
bool erase_unused(std::vector<Entry>& entries, const std::vector<std::uint8_t>& slots,
                  std::uint64_t used, Stays stays) {
  std::size_t i = 0;
  return std::erase_if(entries, [&](const Entry& entry) {
           const std::uint8_t slot = slots[i++];
           return entry.leaving && (used >> slot & 1) == 0 && !stays(entry.cluster);
         }) > 0;
}

}  // namespace

Config with_leaving(const Running& before, Config read) {
  const Config& old = before.config;
  const Succession succession(old, read);
  const ClusterOrigins nodes = succession.origins(old.nodes, read.nodes);
  const ClusterOrigins listeners = succession.origins(old.listen, read.listen);
  std::vector<std::string> names;
  for (const ClusterConfig& cluster : old.clusters) names.push_back(cluster.name);
  for (std::size_t i = 0; i < read.clusters.size(); ++i) {
    if (const auto origin = succession.clusters()[i]) names[*origin] = read.clusters[i].name;
  }
  for (std::size_t i = 0; i < old.clusters.size(); ++i) {
    const auto& origins = succession.clusters();
    if (std::ranges::find(origins, std::optional(i)) != origins.end()) continue;
    read.clusters.push_back({.name = old.clusters[i].name, .leaving = true});
  }
  add_leaving(old, old.nodes, nodes, names, read.nodes);
  add_leaving(old, old.listen, listeners, names, read.listen);
  // A new node may have taken the name with it.
  for (NodeConfig& node : read.nodes) {
    const auto named = [&](const NodeConfig& e) {
      return e.name == node.name && e.cluster == node.cluster;
    };
    if (!node.leaving || std::count_if(read.nodes.begin(), read.nodes.end(), named) < 2) continue;
    node.name += "@" + node.host + ":" + std::to_string(node.port);
  }
  return read;
}

bool any_leaving(const Config& config) {
  const auto leaves = [](const auto& entry) { return entry.leaving; };
  return std::ranges::any_of(config.nodes, leaves) || std::ranges::any_of(config.listen, leaves) ||
         std::ranges::any_of(config.clusters, leaves);
}

std::optional<Config> without_unused(const Running& running, const UsedSlots& used) {
  Config left = running.config;
  const std::vector<std::string> busy = used_clusters(running, used);
  const auto stays = [&](const std::string& name) {
    return running.config.clusters[cluster_index(running.config, name)].leaving &&
           std::ranges::find(busy, name) != busy.end();
  };
  const bool nodes = erase_unused(left.nodes, running.slots.nodes, used.nodes, stays);
  const bool listeners = erase_unused(left.listen, running.slots.listeners, used.listeners, stays);
  const auto clusters = std::erase_if(left.clusters, [&](const ClusterConfig& cluster) {
    return cluster.leaving && !stays(cluster.name);
  });
  if (!nodes && !listeners && clusters == 0) return std::nullopt;
  return left;
}

Running::Running(Config of, Slots by, std::uint64_t counted)
    : number(counted), config(std::move(of)), slots(std::move(by)) {
  const auto cluster = [this](const std::string& name) {
    return slots.clusters[cluster_index(config, name)];
  };
  for (std::size_t i = 0; i < config.clusters.size(); ++i) {
    clusters_[slots.clusters[i]] = &config.clusters[i];
  }
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    nodes_[slots.nodes[i]] = &config.nodes[i];
    node_clusters_[slots.nodes[i]] = cluster(config.nodes[i].cluster);
  }
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    listeners_[slots.listeners[i]] = &config.listen[i];
    listener_clusters_[slots.listeners[i]] = cluster(config.listen[i].cluster);
  }
}

Running::Running(const Config& of) : Running(of, in_order(of), 1) {}

std::optional<Slots> slots_after(const Running& before, const Config& next, const UsedSlots& used) {
  static_assert(kMaxNodes <= 64 && kMaxListeners <= 64 && kMaxClusters <= 64, "a bit for each");
  const Succession succession(before.config, next);
  Slots slots;
  const bool nodes = assign(succession.origins(before.config.nodes, next.nodes), before.slots.nodes,
                            used.nodes, kMaxNodes, slots.nodes);
  const bool listeners =
      assign(succession.origins(before.config.listen, next.listen), before.slots.listeners,
             used.listeners, kMaxListeners, slots.listeners);
  const bool clusters =
      assign(succession.clusters(), before.slots.clusters, 0, kMaxClusters, slots.clusters);
  if (!nodes || !listeners || !clusters) return std::nullopt;
  return slots;
}

}  // namespace pgsteer
