// What an observer sees of the cluster: plain values, filled in on the checker thread and immutable
// from then on. stats/ shows them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pgsteer {

using WallTime = std::chrono::system_clock::time_point;

// One listener's verdict on a node, in words (health/reason.h).
struct VerdictView {
  std::string listener;
  std::string admission;  // admit, drain, cut
  std::string reason;     // one word
  std::string why;        // one sentence
};

struct NodeView {
  std::string name;
  std::string address;  // PostgreSQL, resolved; empty: does not resolve
  std::string host;     // as configured, with port
  std::string rest;     // URL
  std::string role;  // primary, promoting, replica, sync_replica, standby_leader, stopped, silent,
                     // down, foreign, unknown
  WallTime role_since{};
  std::string state;  // Patroni's word: running, starting, ...
  bool lease = false;
  std::uint32_t timeline = 0;
  std::uint64_t lsn = 0;             // written by the primary, replayed by a replica; bytes
  std::optional<std::uint64_t> lag;  // bytes, replicas only
  std::string replication_state;
  std::string server_version;  // "15.4"
  std::string patroni_version;
  std::vector<std::pair<std::string, std::string>> tags;
  std::string tls;  // yes, no, unknown
  unsigned weight = 1;
  // Last checks, newest in bit 0, 1 = passed; `checks_kept` of them are meaningful.
  std::uint64_t check_history = 0;
  unsigned checks_kept = 0;
  std::uint64_t checks_total = 0;
  std::uint64_t checks_failed = 0;
  WallTime last_check{};
  double last_check_seconds = 0;      // how long it took
  std::string last_check_result;      // "200", "503", "timed out after 2 s", "connection refused"
  std::string database_answers;       // port 5432: yes, refused, silent, unknown
  std::vector<VerdictView> verdicts;  // one per listener
};

// One step of a failover, seconds counted from its first doubt.
struct FailoverStep {
  double at = 0;
  std::string what;  // first_doubt, proof, cut, new_primary, first_session, held_released, done
  std::string text;
};

struct FailoverView {
  std::uint64_t id = 0;
  WallTime began{};
  std::string kind;  // failover, interruption (same node came back)
  std::string from;  // node, may be empty
  std::string to;    // node, empty while there is none
  bool finished = false;
  double no_primary_seconds = 0;  // how long no node was admitted
  std::uint64_t cut = 0;          // sessions ended
  std::uint64_t cut_told = 0;     // of those, with an ErrorResponse
  std::uint64_t held = 0;         // clients that waited
  double held_longest_seconds = 0;
  std::vector<FailoverStep> steps;
};

struct ClusterView {
  std::uint64_t generation = 0;
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
  std::vector<std::string> alarms;      // in words; empty: none
  std::vector<NodeView> nodes;
  std::vector<FailoverView> failovers;  // newest first, at most 20
};
using ClusterViewPtr = std::shared_ptr<const ClusterView>;

// One thing that happened, for the page and the log.
struct EventView {
  WallTime at{};
  std::string level;  // info, warn, error
  std::string text;
};

}  // namespace pgsteer
