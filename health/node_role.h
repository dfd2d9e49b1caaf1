// What a node is at this moment, in one word. judge derives it from the last answers; it decides
// some verdicts, and observers see it. Pure; any thread.
#pragma once

#include <cstdint>

namespace pgsteer {

enum class NodeRole : std::uint8_t {
  kPrimary,
  kPromoting,  // has the leader lease and is still in recovery
  kReplica,
  kSyncReplica,    // a synchronous standby
  kQuorumReplica,  // a quorum standby
  kStandbyLeader,
  kStopped,  // Patroni answers, PostgreSQL does not run
  kSilent,   // Patroni does not answer
  kDown,     // Patroni does not answer, and PostgreSQL's port cannot be reached either
  kForeign,  // belongs to another cluster
  kUnknown,  // not checked yet, or its answers are incomplete
};

// The same word in the log, the metrics, the JSON and on the page: "primary", "promoting",
// "replica", "sync_replica", "quorum_replica", "standby_leader", "stopped", "silent", "down",
// "foreign", "unknown".
const char* to_string(NodeRole);

}  // namespace pgsteer
