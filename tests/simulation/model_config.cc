#include "tests/simulation/model_config.h"

#include <algorithm>
#include <utility>

namespace pgsteer {
namespace {

std::uint8_t number_of(const std::vector<NodeConfig>& all, const NodeConfig& node) {
  const auto at = std::ranges::find(all, node.host, &NodeConfig::host);
  return static_cast<std::uint8_t>(at - all.begin());
}

std::uint8_t number_of(const std::vector<ListenConfig>& all, const ListenConfig& listener) {
  const auto at = std::ranges::find(all, listener.name, &ListenConfig::name);
  return static_cast<std::uint8_t>(at - all.begin());
}

template <class Entry>
std::vector<std::uint8_t> numbers_of(const std::vector<Entry>& all,
                                     const std::vector<Entry>& entries) {
  std::vector<std::uint8_t> numbers;
  for (const Entry& entry : entries) numbers.push_back(number_of(all, entry));
  return numbers;
}

// Copies the entries in force to their numbers.
template <class Entry>
std::vector<Place> place(std::vector<Entry>& all, const std::vector<Entry>& entries,
                         const std::vector<std::uint8_t>& numbers) {
  std::vector<Place> standing(all.size(), Place::kAbsent);
  for (std::size_t k = 0; k < entries.size(); ++k) {
    all[numbers[k]] = entries[k];
    standing[numbers[k]] = entries[k].leaving ? Place::kLeaving : Place::kListed;
  }
  return standing;
}

}  // namespace

ModelConfig::ModelConfig(const Config& all, const ModelSettings& model)
    : by_number(all), file(all) {
  const auto ours = file.nodes.begin() + static_cast<std::ptrdiff_t>(model.nodes);
  file.nodes.resize(file.nodes.size() - model.strangers);
  file.nodes.erase(ours - static_cast<std::ptrdiff_t>(model.spare), ours);
  file.listen.pop_back();
  start();
}

void ModelConfig::start() {
  running_.reset();
  nominees_.clear();
  take(file);
}

void ModelConfig::nominate(std::vector<NodeConfig> nodes) {
  nominees_[file.clusters.front().name] = std::move(nodes);
}

void ModelConfig::reload() {
  take(with_leaving(*running_, with_nominees(file, nominees_, running_->config)));
}

bool ModelConfig::let_leave(const UsedSlots& used) {
  auto left = without_unused(*running_, used);
  if (!left) return false;
  take(std::move(*left));
  return true;
}

void ModelConfig::take(Config next) {
  Slots slots{
      numbers_of(by_number.nodes, next.nodes), numbers_of(by_number.listen, next.listen), {0}};
  nodes_ = place(by_number.nodes, next.nodes, slots.nodes);
  listeners_ = place(by_number.listen, next.listen, slots.listeners);
  by_number.health = next.health;
  by_number.clusters = next.clusters;
  running_ = std::make_shared<const Running>(std::move(next), std::move(slots),
                                             running_ ? running_->number + 1 : 1);
}

std::optional<std::size_t> ModelConfig::entry_of(std::size_t node) const {
  const auto& numbers = running_->slots.nodes;
  const auto at = std::ranges::find(numbers, node);
  if (at == numbers.end()) return std::nullopt;
  return static_cast<std::size_t>(at - numbers.begin());
}

// As the checker does (checker_reload.cc, publish).
Topology ModelConfig::spread(const Topology& t) const {
  const Slots& slots = running_->slots;
  Topology result;
  result.generation = t.generation;
  result.timeline = t.timeline;
  result.first_round_done = t.first_round_done;
  result.no_primary_why = t.no_primary_why;
  result.valid_until = t.valid_until;
  if (t.primary) result.primary = slots.nodes[*t.primary];
  result.nodes.resize(nodes_.size());
  result.pools.assign(listeners_.size(), {Target::kPrimary, std::vector<Verdict>(nodes_.size())});
  for (std::size_t i = 0; i < t.nodes.size(); ++i) result.nodes[slots.nodes[i]] = t.nodes[i];
  for (std::size_t l = 0; l < t.pools.size(); ++l) {
    Pool& pool = result.pools[slots.listeners[l]];
    pool.to = t.pools[l].to;
    for (std::size_t i = 0; i < t.nodes.size(); ++i) {
      pool.by_node[slots.nodes[i]] = t.pools[l].by_node[i];
    }
  }
  return result;
}

}  // namespace pgsteer
