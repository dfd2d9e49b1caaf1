// Which node a new session goes to. Pure: who is eligible has been judged already (Topology), this
// only chooses among the eligible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "config/config.h"
#include "health/topology.h"

namespace pgsteer {

// What a node carries at this moment.
struct NodeLoad {
  std::uint32_t sessions = 0;      // of all listeners and workers
  std::uint32_t max_sessions = 0;  // 0: no limit
  std::uint32_t logins = 0;        // begun and not finished, of this worker
  std::uint32_t max_logins = 0;    // 0: no limit
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
  kTried,   // those that are have all failed this client
  kBusy,    // those that are have too many logins in flight: wait
  kFull,    // those that are carry all the sessions they may
};

struct Route {
  RouteOutcome outcome = RouteOutcome::kNobody;
  std::size_t node = 0;  // kNode only
};

Route route(const RouteRequest& request);

// Some node of the pool takes new sessions.
bool admits_any(const Pool& pool);

// May a session that was bound to `node` on `timeline` live on under `topology`?
bool permits(const Topology& topology, std::size_t listener, Target to, std::size_t node,
             std::uint32_t timeline);

}  // namespace pgsteer
