// The checker with a configuration that was read again; and between judge's count of nodes and
// listeners and their slots.
#include <algorithm>
#include <utility>

#include "config/cluster_part.h"
#include "config/clusters.h"
#include "health/checker_loop.h"

namespace pgsteer {

void Checker::Loop::use(RunningPtr running) {
  {
    std::lock_guard lock(mutex_);
    next_running_ = std::move(running);
  }
  rest_client_.wake();
}

// Of `running`, this cluster's part.
void Checker::Loop::enter(const Running& running) {
  ClusterPart part = cluster_part(running, cluster_);
  number_ = running.number;
  config_ = std::move(part.config);
  slots_ = std::move(part.slots);
  prefix_ = cluster_prefix(config_.clusters[0].name);
}

void Checker::Loop::take_configuration(Instant now) {
  RunningPtr next;
  {
    std::lock_guard lock(mutex_);
    next.swap(next_running_);
  }
  if (!next) return;
  // Evidence counts nodes as before.
  carry_out(judge(config_, state_, std::exchange(evidence_, {}), now), now);
  const Config before = std::exchange(config_, {});
  enter(*next);
  const NodeMoves moves = node_moves(before, config_);
  state_ = carry_over(before, config_, std::move(state_));
  rest_client_.renumber(moves);
  std::erase_if(checks_, [&](const auto& check) { return !check->renumber(moves); });
  std::erase_if(waiting_, [&](Waiting& waiting) {
    const auto to = moves[waiting.request.node];
    if (to) waiting.request.node = *to;
    return !to;
  });
  std::vector<Node> nodes;
  for (const NodeConfig& node : config_.nodes) nodes.push_back({rest_endpoint(node), {}, false});
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!moves[i] || nodes[*moves[i]].rest.host != nodes_[i].rest.host) continue;
    nodes[*moves[i]].rest_addresses = std::move(nodes_[i].rest_addresses);
    nodes[*moves[i]].rest_known = nodes_[i].rest_known;
  }
  nodes_ = std::move(nodes);
  look_up_names();
  view_is_old_ = true;
}

std::optional<std::size_t> Checker::Loop::node_in(std::size_t slot) const {
  const auto& slots = slots_.nodes;
  const auto at = std::ranges::find(slots, slot);
  if (at == slots.end()) return std::nullopt;
  return static_cast<std::size_t>(at - slots.begin());
}

// Other slots, vacant or of other clusters, take no sessions.
void Checker::Loop::publish(const Topology& topology) const {
  const Slots& slots = slots_;
  const auto size = [](const std::vector<std::uint8_t>& used) {
    return used.empty() ? std::size_t{0} : *std::ranges::max_element(used) + std::size_t{1};
  };
  auto spread = std::make_shared<Topology>(topology);
  spread->cluster = cluster_;
  spread->nodes.assign(size(slots.nodes), {});
  const Pool nobody{Target::kPrimary, std::vector<Verdict>(spread->nodes.size())};
  spread->pools.assign(size(slots.listeners), nobody);
  for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
    spread->nodes[slots.nodes[i]] = topology.nodes[i];
  }
  for (std::size_t l = 0; l < topology.pools.size(); ++l) {
    spread->pools[slots.listeners[l]].to = topology.pools[l].to;
    for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
      spread->pools[slots.listeners[l]].by_node[slots.nodes[i]] = topology.pools[l].by_node[i];
    }
  }
  if (topology.primary) spread->primary = slots.nodes[*topology.primary];
  output_.topology(std::move(spread));
}

}  // namespace pgsteer
