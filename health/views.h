// What an observer sees of a cluster: plain values, filled in on the checker thread and immutable
// from then on. stats/ shows them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "health/database_answer.h"
#include "health/node_role.h"
#include "health/severity.h"
#include "health/topology.h"

namespace pgsteer {

using WallTime = std::chrono::system_clock::time_point;

// What one listener may do with a node, and why.
struct VerdictView {
  std::string listener;
  Admission admission = Admission::kDrain;
  Reason reason = Reason::kUnknown;
  std::string why;  // one sentence
};

struct NodeView {
  std::string name;
  std::string address;  // of PostgreSQL, resolved; empty: does not resolve
  std::string host;     // as configured, with port
  std::string rest_url;
  NodeRole role = NodeRole::kUnknown;
  WallTime role_since{};
  std::string state;  // Patroni's word: running, starting, ...
  bool lease = false;
  std::uint32_t timeline = 0;
  std::uint64_t wal_position = 0;          // written by the primary, replayed by a replica; bytes
  std::optional<std::uint64_t> lag_bytes;  // replicas only
  std::string replication_state;
  std::string server_version;  // "15.4"
  std::string patroni_version;
  std::vector<std::pair<std::string, std::string>> tags;
  TlsAnswer tls = TlsAnswer::kUnknown;
  unsigned weight = 1;
  bool leaving = false;     // no longer in the configuration file; its sessions may still be there
  bool discovered = false;  // not in the file: a member of the cluster has named it
  // Last checks, newest in bit 0, 1 = passed; `checks_kept` of them are meaningful.
  std::uint64_t check_history = 0;
  unsigned checks_kept = 0;
  std::uint64_t checks_total = 0;
  std::uint64_t checks_failed = 0;
  WallTime last_check_at{};
  double check_seconds = 0;       // how long the last check took
  std::string last_check_result;  // "200", "503", "no reply within 2.0 s", "connection refused"
  DatabaseAnswer database_answer = DatabaseAnswer::kUnknown;
  std::vector<VerdictView> verdicts;  // one per listener
};

enum class FailoverStepKind : std::uint8_t {
  kFirstSuspicion,
  kServerEnded,   // sessions that their server ended
  kProof,         // the primary takes no new sessions, or is proven not to be one
  kCut,           // sessions that pgsteer ended
  kNewPrimary,    // a node takes sessions again
  kFirstSession,  // a session has reached it
  kHeldReleased,  // waiting clients were served
  kDone,
};
const char* to_string(FailoverStepKind);

// Seconds are counted from the first suspicion.
struct FailoverStep {
  double at_seconds = 0;
  FailoverStepKind what = FailoverStepKind::kFirstSuspicion;
  std::string text;
};

enum class FailoverKind : std::uint8_t {
  kFailover,
  kInterruption,  // the same node came back
};
const char* to_string(FailoverKind);

struct FailoverView {
  std::uint64_t id = 0;
  WallTime began_at{};
  FailoverKind kind = FailoverKind::kFailover;
  std::string from;  // node, may be empty
  std::string to;    // node, empty while there is none
  bool finished = false;
  // From the first session that its server ended, or from when no node was admitted if that is
  // earlier, until a node was admitted.
  double no_primary_seconds = 0;
  std::uint64_t sessions_ended_by_server = 0;  // of listeners for the primary
  std::uint64_t sessions_cut = 0;              // ended by pgsteer
  std::uint64_t sessions_cut_told = 0;         // of those, with an ErrorResponse
  std::uint64_t clients_held = 0;              // that waited
  double held_longest_seconds = 0;
  std::vector<FailoverStep> steps;
};

struct ClusterView {
  std::size_t slot = 0;  // its slot in the process; not shown
  std::string name;      // empty: it has none
  bool leaving = false;  // no longer in the configuration file; its sessions may still be there
  std::uint64_t topology_generation = 0;
  std::string scope;
  std::string system_identifier;
  std::string primary;  // node name, empty: none
  WallTime primary_since{};
  std::uint32_t timeline = 0;
  std::string no_primary_why;
  bool first_round_done = false;
  bool paused = false;  // maintenance mode
  bool dcs_ok = true;   // the members reach their store
  bool failsafe = false;
  bool hunting = false;                 // checking fast because something is in doubt
  std::optional<double> fence_seconds;  // until an unproven primary is cut; unset: proven
  std::vector<std::string> alarms;      // one sentence each; empty: none
  std::vector<NodeView> nodes;
  std::vector<FailoverView> failovers;  // newest first, at most 20
};
using ClusterViewPtr = std::shared_ptr<const ClusterView>;

// One thing that happened, for the page and the log.
struct EventView {
  WallTime at{};
  Severity severity = Severity::kInfo;
  std::string text;       // names the cluster if it has a name
  std::string cluster{};  // its name; empty: it has none, or this is not about a cluster
};

}  // namespace pgsteer
