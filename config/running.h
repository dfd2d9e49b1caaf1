// The configuration in force: immutable, numbered, and replaced as a whole by a reload. Nodes,
// listeners and clusters have slots, small numbers that stay the same as long as this process knows
// them, whatever else a reload changes: counters, sessions and topologies refer to them by slot.
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace pgsteer {

// The slots that the entries of a configuration have, by their index there.
struct Slots {
  std::vector<std::uint8_t> nodes;
  std::vector<std::uint8_t> listeners;
  std::vector<std::uint8_t> clusters;
};

class Running {
 public:
  // The first one: slots in the order of the file.
  explicit Running(const Config& config);
  Running(Config config, Slots slots, std::uint64_t number);
  Running(const Running&) = delete;  // its own parts point into it
  Running& operator=(const Running&) = delete;

  const std::uint64_t number = 1;
  const Config config;
  const Slots slots;

  // Null: the slot is vacant.
  const NodeConfig* node(std::size_t slot) const { return nodes_[slot]; }
  const ListenConfig* listener(std::size_t slot) const { return listeners_[slot]; }
  const ClusterConfig* cluster(std::size_t slot) const { return clusters_[slot]; }
  // The slot of the cluster that the node or listener in a slot belongs to.
  std::size_t cluster_of_node(std::size_t slot) const { return node_clusters_[slot]; }
  std::size_t cluster_of_listener(std::size_t slot) const { return listener_clusters_[slot]; }

 private:
  std::array<const NodeConfig*, kMaxNodes> nodes_{};
  std::array<const ListenConfig*, kMaxListeners> listeners_{};
  std::array<const ClusterConfig*, kMaxClusters> clusters_{};
  std::array<std::uint8_t, kMaxNodes> node_clusters_{};
  std::array<std::uint8_t, kMaxListeners> listener_clusters_{};
};
using RunningPtr = std::shared_ptr<const Running>;

// Slots that somebody still refers to, a bit for each: they are not given to others.
struct UsedSlots {
  std::uint64_t nodes = 0;
  std::uint64_t listeners = 0;
};

// `read`, and behind its entries those of `before` that it has not: sessions may still be there.
// Such an entry takes no new ones, is checked on, and goes once it is no longer `used`; a cluster
// that was removed goes as a whole. A node is the same if its cluster and its address are, a
// listener if its cluster and its name are; for clusters see cluster_origins().
Config with_leaving(const Running& before, Config read);
bool any_leaving(const Config& config);
// Without the leaving entries that nobody uses; nothing: all of them are in use.
std::optional<Config> without_unused(const Running& running, const UsedSlots& used);

// The slots of `next` after `before`: who stays keeps its slot. Nothing: there are too few.
std::optional<Slots> slots_after(const Running& before, const Config& next, const UsedSlots& used);

}  // namespace pgsteer
