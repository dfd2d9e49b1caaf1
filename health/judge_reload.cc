// What judge knows, carried over to a configuration that was read again.
#include <algorithm>
#include <utility>

#include "config/clusters.h"
#include "health/judge_context.h"

namespace pgsteer {
namespace {

using Index = std::optional<std::size_t>;

// Where each entry of one configuration is in the other one.
struct Places {
  std::vector<Index> now;     // by the index before
  std::vector<Index> before;  // by the index now
};

template <class Entry, class Same>
Places places(const std::vector<Entry>& before, const std::vector<Entry>& after, Same same) {
  Places found{std::vector<Index>(before.size()), std::vector<Index>(after.size())};
  for (std::size_t i = 0; i < after.size(); ++i) {
    const auto at = std::ranges::find_if(before, [&](const Entry& e) { return same(e, after[i]); });
    if (at == before.end()) continue;
    found.before[i] = static_cast<std::size_t>(at - before.begin());
    found.now[*found.before[i]] = i;
  }
  return found;
}

Index moved(const Places& nodes, Index node) { return node ? nodes.now[*node] : std::nullopt; }

// One for each entry now: the old value, or a new one.
template <class T>
std::vector<T> arranged(std::vector<T> values, const Places& by, const T& fresh = {}) {
  std::vector<T> result;
  for (const Index& before : by.before) {
    const bool known = before && *before < values.size();
    result.push_back(known ? std::move(values[*before]) : fresh);
  }
  return result;
}

void carry_nodes(JudgeState& s, const Places& nodes) {
  s.nodes = arranged(std::move(s.nodes), nodes);
  for (NodeState& n : s.nodes) {
    if (n.store) n.store->leader = moved(nodes, n.store->leader);
    // It listed the nodes of its time; a new one may be missing.
    if (n.store) n.store->complete = false;
  }
  // A member that is not configured any more may lead all the same.
  for (std::size_t i = 0; i < s.members.by_node.size(); ++i) {
    s.members.strangers += s.members.by_node[i] && !nodes.now[i] ? 1 : 0;
  }
  s.members.by_node = arranged(std::vector<bool>(s.members.by_node), nodes, false);
  s.members.due = {};
  s.last_primary = moved(nodes, s.last_primary);
  // One behind the last node stands for the first.
  s.witness.next = moved(nodes, s.witness.next % nodes.now.size()).value_or(0);
  if (s.primary) {
    const Index now = nodes.now[s.primary->node];
    if (now) {
      s.primary->node = *now;
    } else {
      s.primary.reset();
      s.no_primary_why = "the node that was the primary is no longer in the configuration";
    }
  }
  Alarms alarms;
  for (auto& [key, text] : s.alarms) {
    const Index now = moved(nodes, key.node);
    // One about a node that has gone ends with the next call: nobody can raise it again.
    const Index nobody = key.node ? Index(nodes.before.size() + *key.node) : std::nullopt;
    alarms.emplace(AlarmKey{key.kind, now ? now : nobody}, std::move(text));
  }
  s.alarms = std::move(alarms);
}

void carry_published(Topology& t, const Places& nodes, const Places& listeners) {
  if (t.generation == 0) return;
  t.nodes = arranged(std::move(t.nodes), nodes);
  t.pools = arranged(std::move(t.pools), listeners);
  for (Pool& pool : t.pools) pool.by_node = arranged(std::move(pool.by_node), nodes);
  t.primary = moved(nodes, t.primary);
}

Places node_places(const Config& before, const Config& after) {
  return places(before.nodes, after.nodes, same_address);
}

}  // namespace

NodeMoves node_moves(const Config& before, const Config& after) {
  return node_places(before, after).now;
}

JudgeState carry_over(const Config& before, const Config& after, JudgeState state) {
  const Places nodes = node_places(before, after);
  const Places listeners = places(before.listen, after.listen,
                                  [](const auto& a, const auto& b) { return a.name == b.name; });
  carry_nodes(state, nodes);
  state.memory = arranged(std::move(state.memory), listeners);
  for (std::size_t l = 0; l < state.memory.size(); ++l) {
    auto& memory = state.memory[l];
    memory = arranged(std::move(memory), nodes);
    // Another limit is compared with the figure that is known, as at first.
    const Index old = listeners.before[l];
    if (old && before.listen[*old].max_lag != after.listen[l].max_lag) {
      memory.assign(after.nodes.size(), {});
    }
  }
  carry_published(state.published, nodes, listeners);
  state.reconfigured = true;
  return state;
}

}  // namespace pgsteer
