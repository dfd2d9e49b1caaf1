// The whole policy of pgsteer: from what probes found to where sessions may go. Pure: no clock, no
// I/O, no threads, no randomness but the seed in its state, so that tables and a simulation can
// drive it.
//
// The driver (the checker, or a test) calls judge() with the evidence that came in since the last
// call. judge answers with a Topology if it changed, the requests to begin, and the time of the
// next call. The driver makes two promises: every Request is answered by exactly one Evidence,
// however it fails, and `now` never goes back.
//
//   JudgeState state = initial_state(config, seed);
//   Decision d = judge(config, state, {}, now);        // asks every node for /leader
//   ... the driver carries out d.requests; the end of each one becomes an Evidence ...
//   d = judge(config, state, evidence, now);           // d.topology is set once enough is known
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/evidence.h"
#include "health/judge_state.h"
#include "health/severity.h"
#include "health/topology.h"

namespace pgsteer {

// What changed, for the log, the page and the failover record.
enum class TransitionKind : std::uint8_t {
  kSuspicion,      // there is a reason to look closer at the primary
  kSuspicionOver,  // the primary has proven itself again
  kHeld,           // the primary takes no new sessions
  kLost,           // the primary is proven not to be one: its sessions are cut
  kNewPrimary,     // another node, or another timeline, takes sessions
  kResumed,        // the same primary takes sessions again
  kAlarm,
  kAlarmOver,
  kNode,     // something about one node
  kCluster,  // something about all of them
};
struct Transition {
  Instant at;
  TransitionKind kind = TransitionKind::kCluster;
  Severity severity = Severity::kInfo;
  std::string text;  // one sentence with the figures
  std::optional<std::size_t> node;
  std::uint64_t generation = 0;  // the generation that carries it; 0: none was published
  bool by_judge = false;         // kSuspicion: raised by the evidence, not by a session
  bool interrupts = false;       // kNewPrimary: the same node leads on another timeline
};

struct Decision {
  // The nodes that the configuration should have beside those that were written down, all of them;
  // empty: as before.
  std::optional<std::vector<NodeConfig>> nominated;
  std::optional<Topology> topology;  // set if the proxy has something to act on
  // No new generation, but state.published has newer sentences or a later valid_until: to be
  // published again.
  bool renewed = false;
  std::vector<Request> requests;  // to begin now
  Instant wake;                   // call again then, if no evidence comes in before
  std::vector<Transition> transitions;
};

// `seed` drives the jitter of the rounds.
JudgeState initial_state(const Config& config, std::uint64_t seed);

// By index in `before`: where that node is in `after`; nothing: it is not there any more.
using NodeMoves = std::vector<std::optional<std::size_t>>;
NodeMoves node_moves(const Config& before, const Config& after);

// What `state`, made under `before`, knows of the nodes and listeners that `after` still has. Nodes
// are the same by address, listeners by name; their order may differ. The next call of
// judge() publishes a new generation. Requests in flight for nodes that `after` has not are never
// answered.
JudgeState carry_over(const Config& before, const Config& after, JudgeState state);

// Takes the evidence into `state` and decides. Idempotent: called again at the same `now` without
// evidence, it requests nothing and publishes nothing.
Decision judge(const Config& config, JudgeState& state, const std::vector<Evidence>& evidence,
               Instant now);

// The moment from which Patroni could have given the lease of `node` to another one. In the past
// for a node that never showed the lease.
Instant fence_deadline(const Config& config, const JudgeState& state, std::size_t node);

// Every reachable member says that the cluster is paused, and nobody but `node` has the lease; or
// no other Patroni can be running, and the node's own last word was that.
bool maintenance(const JudgeState& state, std::size_t node);

}  // namespace pgsteer
