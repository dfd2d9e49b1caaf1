#include "proxy/routing/route.h"

#include <algorithm>
#include <array>
#include <string>

namespace pgsteer {

namespace {

static_assert(kMaxNodes <= 64, "RouteRequest::tried has one bit per node");

struct Eligible {
  std::array<std::uint8_t, kMaxNodes> nodes{};
  std::size_t count = 0;
};

// a carries less than b, each by its weight. Cross-multiplied: no division, no rounding.
bool lighter(const RouteRequest& r, std::size_t a, std::size_t b) {
  const std::uint64_t wa = r.topology.nodes[a].weight;
  const std::uint64_t wb = r.topology.nodes[b].weight;
  return r.load[a].sessions * wb < r.load[b].sessions * wa;
}

std::size_t least(const RouteRequest& r, const Eligible& e) {
  // Starting at `turn` gives each of several equally loaded nodes its turn.
  std::size_t best = e.nodes[r.turn % e.count];
  for (std::size_t i = 1; i < e.count; ++i) {
    const std::size_t node = e.nodes[(r.turn + i) % e.count];
    if (lighter(r, node, best)) best = node;
  }
  return best;
}

// The node under the `point`-th unit of weight, counted around the eligible nodes.
std::size_t by_weight(const RouteRequest& r, const Eligible& e, std::uint64_t point) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < e.count; ++i) total += r.topology.nodes[e.nodes[i]].weight;
  point %= total;
  for (std::size_t i = 0; i < e.count; ++i) {
    const std::uint64_t weight = r.topology.nodes[e.nodes[i]].weight;
    if (point < weight) return e.nodes[i];
    point -= weight;
  }
  return e.nodes[0];
}

std::uint64_t mix(std::uint64_t x) {  // splitmix64's finalizer, to spread neighbouring values
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// Rendezvous hashing: when a node leaves, only its own clients move.
std::size_t by_client(const RouteRequest& r, const Eligible& e) {
  std::size_t best = e.nodes[0];
  std::uint64_t best_score = 0;
  for (std::size_t i = 0; i < e.count; ++i) {
    const std::size_t node = e.nodes[i];
    for (unsigned copy = 0; copy < r.topology.nodes[node].weight; ++copy) {
      const std::uint64_t score = mix(r.client_hash ^ mix((node + 1) * 1000 + copy));
      if (score >= best_score) {
        best_score = score;
        best = node;
      }
    }
  }
  return best;
}

std::size_t choose(const RouteRequest& r, const Eligible& e) {
  switch (r.balance) {
    case Balance::kLeastSessions:
      return least(r, e);
    case Balance::kRoundRobin:
      return by_weight(r, e, r.turn);
    case Balance::kRandom: {  // two draws, the lighter wins: nearly as even as looking at all
      const std::size_t a = by_weight(r, e, mix(r.random));
      const std::size_t b = by_weight(r, e, mix(r.random + 1));
      return lighter(r, b, a) ? b : a;
    }
    case Balance::kClientAddress:
      return by_client(r, e);
  }
  return e.nodes[0];
}

}  // namespace

Route route(const RouteRequest& r) {
  Eligible eligible;
  bool tried = false;
  bool busy = false;
  bool full = false;
  const auto& verdicts = r.topology.pools[r.listener].by_node;
  for (std::size_t node = 0; node < verdicts.size() && node < kMaxNodes; ++node) {
    if (verdicts[node].admission != Admission::kAdmit) continue;
    const NodeLoad& load = r.load[node];
    if ((r.tried >> node & 1) != 0) {
      tried = true;
    } else if (load.max_sessions != 0 && load.sessions >= load.max_sessions) {
      full = true;
    } else if (load.busy && r.balance != Balance::kClientAddress) {
      busy = true;
    } else {
      eligible.nodes[eligible.count++] = static_cast<std::uint8_t>(node);
    }
  }
  if (eligible.count > 0) {
    const std::size_t chosen = choose(r, eligible);
    return {r.load[chosen].busy ? RouteOutcome::kBusy : RouteOutcome::kNode, chosen};
  }
  if (busy) return {RouteOutcome::kBusy};
  if (full) return {RouteOutcome::kFull};
  return {tried ? RouteOutcome::kTried : RouteOutcome::kNobody};
}

bool admits_any(const Pool& pool) {
  return std::any_of(pool.by_node.begin(), pool.by_node.end(),
                     [](const Verdict& v) { return v.admission == Admission::kAdmit; });
}

bool permits(const Topology& topology, std::size_t listener, std::size_t node,
             std::uint32_t timeline) {
  const Pool& pool = topology.pools[listener];
  if (pool.by_node[node].admission == Admission::kCut) return false;
  // Between two timelines of the same node it was not the primary.
  if (pool.to == Target::kPrimary && topology.primary == node) return topology.timeline == timeline;
  return true;
}

Topology expired(Topology topology, std::chrono::steady_clock::duration age) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(age).count();
  topology.no_primary_why = "the checks of the nodes stopped " + std::to_string(seconds) + " s ago";
  topology.primary.reset();
  topology.valid_until.reset();
  for (Pool& pool : topology.pools) {
    if (pool.to != Target::kPrimary) continue;
    for (Verdict& verdict : pool.by_node) {
      verdict = {Admission::kCut, Reason::kFenced, topology.no_primary_why};
    }
  }
  return topology;
}

}  // namespace pgsteer
