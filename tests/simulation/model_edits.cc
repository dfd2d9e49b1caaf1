// What an operator writes into the file of one pgsteer.
#include <algorithm>
#include <array>

#include "tests/simulation/model_config.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Pen {
  ModelConfig& config;
  const ModelCluster& cluster;
  Dice& dice;

  Config& file() const { return config.file; }
  bool listed(const NodeConfig& node) const {
    return std::ranges::find(file().nodes, node.host, &NodeConfig::host) != file().nodes.end();
  }
  std::size_t number(const NodeConfig& node) const {
    const auto at = std::ranges::find(config.by_number.nodes, node.host, &NodeConfig::host);
    return static_cast<std::size_t>(at - config.by_number.nodes.begin());
  }
  // By its scope or its data, also if that is about to come.
  bool strange(const NodeConfig& node) const {
    const std::size_t i = number(node);
    return cluster.nodes[i].strange || cluster.nodes[i].scope != 0;
  }
  // More nodes of ours than strangers.
  bool fits() const {
    const auto strangers =
        std::ranges::count_if(file().nodes, [&](const NodeConfig& n) { return strange(n); });
    return 2 * strangers < std::ssize(file().nodes);
  }
  void shuffle(auto& entries) const {
    for (std::size_t k = entries.size(); k > 1; --k) {
      std::swap(entries[k - 1], entries[dice.below(k)]);
    }
  }
  void add(const NodeConfig& node) const {
    auto& nodes = file().nodes;
    const auto before = nodes;
    nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(dice.below(nodes.size() + 1)), node);
    const auto at = std::ranges::find(nodes, node.host, &NodeConfig::host);
    at->leaving = at->discovered = false;
    if (!fits()) nodes = before;
  }
};

void add_node(const Pen& pen, bool leaving) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < pen.config.by_number.nodes.size(); ++i) {
    if (pen.listed(pen.config.by_number.nodes[i])) continue;
    if (leaving == (pen.config.node(i) == Place::kLeaving)) missing.push_back(i);
  }
  if (!missing.empty()) {
    pen.add(pen.config.by_number.nodes[missing[pen.dice.below(missing.size())]]);
  }
}

// Rarely the leader.
void remove_node(const Pen& pen) {
  auto& nodes = pen.file().nodes;
  const auto at = nodes.begin() + static_cast<std::ptrdiff_t>(pen.dice.below(nodes.size()));
  const bool leads = pen.cluster.scopes[0].store.leader == pen.number(*at);
  if (nodes.size() < 2 || (leads && pen.dice.chance(0.7))) return;
  const auto before = nodes;
  nodes.erase(at);
  if (!pen.fits()) nodes = before;
}

ListenConfig& any_listener(const Pen& pen) {
  auto& listen = pen.file().listen;
  return listen[pen.dice.below(listen.size())];
}

// Not read_write: the rules about writers look at that one.
ListenConfig* any_reader(const Pen& pen) {
  std::vector<ListenConfig*> found;
  for (ListenConfig& l : pen.file().listen) {
    if (l.name != "read_write") found.push_back(&l);
  }
  return found.empty() ? nullptr : found[pen.dice.below(found.size())];
}

void set_reader(const Pen& pen, Edit what) {
  static constexpr std::uint64_t kLimits[] = {2'000'000, 8'000'000, 16'000'000, 40'000'000};
  static constexpr Target kTargets[] = {Target::kPrimary, Target::kReplica, Target::kAny,
                                        Target::kSync,    Target::kQuorum,  Target::kAsync};
  ListenConfig* const l = any_reader(pen);
  if (!l) return;
  switch (what) {
    case Edit::kMaxLag:
      l->max_lag.reset();
      if (pen.dice.chance(0.8)) l->max_lag = pen.dice.pick(kLimits);
      break;
    case Edit::kTags:
      if (!l->tags.erase("region")) l->tags["region"] = pen.dice.chance(0.5) ? "eu" : "us";
      break;
    case Edit::kFallback:
      l->fallback_to_primary = !l->fallback_to_primary;
      break;
    default:
      l->to = pen.dice.pick(kTargets);
      break;
  }
}

void add_listener(const Pen& pen) {
  auto& listen = pen.file().listen;
  for (const ListenConfig& l : pen.config.by_number.listen) {
    if (std::ranges::find(listen, l.name, &ListenConfig::name) != listen.end()) continue;
    const auto at = static_cast<std::ptrdiff_t>(pen.dice.below(listen.size() + 1));
    listen.insert(listen.begin() + at, l)->leaving = false;
    return;
  }
}

void remove_listener(const Pen& pen) {
  if (const ListenConfig* const gone = any_reader(pen)) {
    std::erase_if(pen.file().listen, [name = gone->name](const auto& l) { return l.name == name; });
  }
}

void set_health(const Pen& pen) {
  static constexpr int kIntervals[] = {500, 1'000, 2'000};
  static constexpr int kHunts[] = {50, 100, 200};
  static constexpr int kTimeouts[] = {600, 1'000, 2'000, 3'000};
  HealthConfig& h = pen.file().health;
  h.interval = milliseconds(pen.dice.pick(kIntervals));
  h.hunt_interval = milliseconds(pen.dice.pick(kHunts));
  h.timeout = milliseconds(pen.dice.pick(kTimeouts));
}

void set_discover(const Pen& pen) {
  ClusterConfig& cluster = pen.file().clusters.front();
  cluster.discover = pen.cluster.settings.discover && !cluster.discover;
}

void set_drain_timeout(const Pen& pen) {
  static constexpr int kTimes[] = {2, 20, 90, 3'600};
  any_listener(pen).drain_timeout = seconds(pen.dice.pick(kTimes));
}

}  // namespace

const char* to_string(Edit edit) {
  static constexpr std::array<const char*, kEdits> kNames = {"nothing",
                                                             "the order of nodes",
                                                             "a new node",
                                                             "a node removed",
                                                             "a node back",
                                                             "weight",
                                                             "max_lag",
                                                             "tags",
                                                             "drain_timeout",
                                                             "fallback",
                                                             "health",
                                                             "discover",
                                                             "a new listener",
                                                             "a listener removed",
                                                             "the order of listeners",
                                                             "to"};
  return kNames[static_cast<std::size_t>(edit)];
}

void edit(ModelConfig& config, Edit what, const ModelCluster& cluster, Dice& dice) {
  const Pen pen{config, cluster, dice};
  switch (what) {
    case Edit::kNothing:
      return;
    case Edit::kOrderOfNodes:
      return pen.shuffle(config.file.nodes);
    case Edit::kAddNode:
      return add_node(pen, false);
    case Edit::kRemoveNode:
      return remove_node(pen);
    case Edit::kBringBack:
      return add_node(pen, true);
    case Edit::kWeight:
      config.file.nodes[dice.below(config.file.nodes.size())].weight =
          static_cast<unsigned>(1 + dice.below(4));
      return;
    case Edit::kMaxLag:
    case Edit::kTags:
    case Edit::kFallback:
    case Edit::kTarget:
      return set_reader(pen, what);
    case Edit::kDrainTimeout:
      return set_drain_timeout(pen);
    case Edit::kHealth:
      return set_health(pen);
    case Edit::kDiscover:
      return set_discover(pen);
    case Edit::kAddListener:
      return add_listener(pen);
    case Edit::kRemoveListener:
      return remove_listener(pen);
    case Edit::kOrderOfListeners:
      return pen.shuffle(config.file.listen);
  }
}

}  // namespace pgsteer
