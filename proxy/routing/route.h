// Chooses the node of a new session. Pure. The Topology says which nodes are eligible; this only
// chooses among them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config/config.h"
#include "health/topology.h"

namespace pgsteer {

// The load of one node.
struct NodeLoad {
  std::uint32_t sessions = 0;      // of all listeners and workers
  std::uint32_t max_sessions = 0;  // 0: no limit
  bool busy = false;               // takes no login of this client now
};

struct RouteRequest {
  const Topology& topology;
  std::size_t listener = 0;
  Balance balance = Balance::kLeastSessions;
  std::span<const NodeLoad> load;  // one per node
  std::uint64_t tried = 0;         // bit per node that has failed this client already
  std::uint32_t turn = 0;          // a number that grows by one per session: breaks ties
  std::uint64_t random = 0;        // for kRandom
  std::uint64_t client_hash = 0;   // for kClientAddress
};

enum class RouteOutcome : std::uint8_t {
  kNode,
  kNobody,  // no node is admitted
  kTried,   // all admitted nodes have failed this client
  kBusy,    // all admitted nodes, or the one of this client address, have too many logins: wait
  kFull,    // all admitted nodes have as many sessions as they may
};

struct Route {
  RouteOutcome outcome = RouteOutcome::kNobody;
  std::size_t node = 0;  // kNode only
};

Route route(const RouteRequest& request);

// Null: the topology was made before there was this listener.
inline const Pool* pool_of(const Topology& topology, std::size_t listener) {
  return listener < topology.pools.size() ? &topology.pools[listener] : nullptr;
}

// At least one node of the pool takes new sessions.
bool admits_any(const Pool& pool);

// Whether a session that was bound to `node` on `timeline` may go on under `topology`.
bool permits(const Topology& topology, std::size_t listener, std::size_t node,
             std::uint32_t timeline);

// What is left of `topology` once its `valid_until` has passed without a newer publication, `age`
// after it was published: no primary, and no session of a listener for the primary may stay. Read
// listeners keep their nodes: their reads may be old, but are not wrong. The generation stays.
Topology expired(Topology topology, std::chrono::steady_clock::duration age);

}  // namespace pgsteer
