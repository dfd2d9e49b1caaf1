// What judge remembers from one call to the next: facts about each node, and what it concluded from
// them. Written by judge alone; the views and the tests read it. Owned by the checker thread.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/evidence.h"
#include "health/node_role.h"
#include "health/topology.h"

namespace pgsteer {

// Does PostgreSQL take TLS? Asked once for each node, and again when it may have changed.
struct TlsState {
  TlsAnswer answer = TlsAnswer::kUnknown;
  bool asked = false;  // since the address was learnt, or since the node came back
  Instant asked_at{};
  bool in_flight = false;
};

// The node's REST API. It gets one request at a time.
struct RestState {
  // The request in flight, or the last one.
  bool in_flight = false;
  ProbeKind kind = ProbeKind::kLeader;
  Instant sent{};
  std::uint64_t round = 0;  // in which it was sent
  Instant leader_sent{};    // when the last GET /leader was sent

  // The last GET /leader that ended, and the last one that was answered.
  bool tried = false;  // at least one has ended
  Report attempt;
  std::optional<Report> report;
  Instant report_sent{}, report_received{};
  std::uint64_t report_round = 0;
  // The last timeline that an answer showed. A PostgreSQL that stops shows none, and is still on
  // it.
  std::uint32_t timeline = 0;
  Instant timeline_received{};

  // Attempts in a row.
  unsigned failures = 0;            // without an answer
  unsigned definite_failures = 0;   // the latest of those, as far as they were not silence
  Instant failing_since{};          // when the first of those was sent
  unsigned incomplete_replies = 0;  // answers whose query of PostgreSQL had failed
  Instant answering_since{};        // when the first answer after a failure was received
};

// Does the node say that the cluster is paused? A Patroni that has just come back does not know
// yet: its silence about that counts once it has answered for a while, or shows the lease.
struct PauseState {
  bool paused = false;
  bool known = false;  // by its last answer
};

// PostgreSQL's port. It is asked only while the REST API does not answer.
struct DatabaseState {
  DatabaseAnswer answer = DatabaseAnswer::kUnknown;
  Instant answered_at{};
  Instant asked_at{};
  bool in_flight = false;
  unsigned failures = 0;               // checks in a row that it did not answer
  std::optional<Instant> turned_away;  // when a session last was, as a worker reported
  bool in_recovery = false;  // as a session found; until Patroni answers or the port refuses
  std::optional<Instant> writable_at;  // when a session last found in_hot_standby = off
};

// The reads of the store that the node's Patroni shows (dcs_last_seen), from all of its replies.
struct StoreReads {
  bool known = false;      // the next two members mean something
  std::int64_t value = 0;  // as shown last, by the node's own clock
  Instant before{};        // that read did not happen after this, on our clock
  // Nor before this, without a look at the node's clock: when a request that showed an older read
  // was sent. Empty: only one read has been seen.
  std::optional<Instant> after;
  Instant sent{};  // of the last request
};

// What the store said when the node answered GET /cluster.
struct StoreAnswer {
  Instant sent{};
  bool named = false;                 // there was a leader
  std::optional<std::size_t> leader;  // if it is one of the configured nodes
  bool complete = false;              // every configured node was listed
  bool standby = false;               // it leads a standby cluster
  std::uint32_t timeline = 0;         // the leader's, as it last wrote it itself; 0: unknown
};

// How long the leader lease of the node surely lasts, from replies that show it (judge_fence.cc).
struct LeaseState {
  unsigned replies = 0;         // answers in a row that showed the lease
  Instant since{};              // when the first of them was received
  bool read_known = false;      // the next three members mean something
  std::int64_t read_value = 0;  // dcs_last_seen as shown
  Instant read_after{};         // the read did not happen before this, on our clock
  Instant read_before{};        // the read did not happen after this
  // The key was renewed after this. Empty: as long as only one read has been seen.
  std::optional<Instant> renewed_after;
  Instant older_before{};         // the read before the one shown did not happen after this
  std::optional<Instant> denied;  // when a request was sent that showed no lease, the last one
  Instant proof_sent{};           // when the last request that showed the lease was sent
  Instant proof_received{};
  bool failsafe = false;   // that reply said that failsafe mode was active
  Instant role_claimed{};  // when the last claim by role alone was sent: it may have no key at all
};

// The node as a replica.
struct ReplicaState {
  std::optional<std::uint64_t> lag;  // bytes
  std::uint64_t lag_round = 0;       // in which it was measured
  bool sync = false;                 // stays as it is while the store cannot be read
  bool quorum = false;               // the same
  bool seen = false;                 // the node has been a replica since the start
  std::optional<Instant> not_streaming_since;
};

// The node as the primary.
struct PrimaryState {
  std::optional<Instant> since;       // empty: it is not the primary
  Reason lost = Reason::kNotPrimary;  // why it is no longer the primary; kept until it is a replica
  std::string lost_why;
};

// The last checks, for observers alone.
struct CheckHistory {
  std::uint64_t passed = 0;  // one bit for each, newest in bit 0; 1 = passed
  unsigned kept = 0;         // bits that mean something
  std::uint64_t total = 0;
  std::uint64_t failed = 0;
  Instant last{};
  std::chrono::steady_clock::duration last_took{};
};

struct NodeState {
  std::vector<Address> addresses;  // the last ones found; kept while the name does not resolve
  bool resolve_failed = false;     // the last lookup found nothing
  TlsState tls;
  RestState rest;
  PauseState pause;
  DatabaseState database;
  LeaseState lease;
  StoreReads reads;
  std::optional<StoreAnswer> store;  // its last GET /cluster that was answered
  std::string member;                // what it is called there, once it was matched; or empty
  ReplicaState replica;
  PrimaryState primary;
  std::optional<Instant> leaving_since;  // it is not in the configuration file any more
  bool discovered = false;               // nor ever was: a member has named it
  bool was_ours = false;                 // it has shown our identifier since the start
  NodeRole role = NodeRole::kUnknown;    // decides some verdicts; observers see it, too
  Instant role_since{};
  CheckHistory checks;
};

// What is remembered of one node on one listener between two calls.
struct PoolMemory {
  bool lagging = false;
  unsigned over_limit = 0;  // rounds in a row above the limit
  std::uint64_t counted_round = 0;
};

// The node that is, or was last proven to be, the primary.
struct CurrentPrimary {
  std::size_t node = 0;
  std::uint32_t timeline = 0;
  Instant since{};
  Verdict verdict;             // for listeners that route to the primary
  bool proven = false;         // by the last attempt
  bool on_trial = false;       // only one member has named it, and no session has found it writable
  bool seen_writable = false;  // by Patroni or by a session
};

// Whom GET /cluster goes to next: a member that reads in the store who the leader is.
struct WitnessState {
  std::size_t next = 0;  // the node to ask first
  Instant asked_at{};
};

// The members of the cluster, by the last GET /cluster that was answered.
struct MemberList {
  bool known = false;
  std::size_t strangers = 0;  // members that are none of the configured nodes
  std::vector<bool> by_node;  // the configured node is a member
  Instant due{};              // when it is read again
  Instant asked{};            // when the request for it was sent
  std::size_t turn = 0;  // with discovery: whose list is read next, or one behind the last node
};

// A node that a member lists and the configuration file does not name.
struct Nominee {
  std::string member;  // its name in Patroni
  std::string host;
  std::uint16_t port = 0;
  std::string rest;
  std::optional<Instant> absent;   // since when proven members list others and not this one
  std::optional<Instant> refused;  // when it last showed that it belongs to another cluster
};

// What the lists of proven members add to the configuration (judge_discovery.cc).
struct DiscoveryState {
  std::vector<Nominee> nominees;
  std::vector<NodeConfig> published;  // as the last Decision with nominees had them
  std::set<std::string> told;         // complaints about lists that were made
};

// The dynamic configuration of the cluster (GET /config).
struct PatroniSettings {
  DcsTimes times;
  bool known = false;  // false: `times` has Patroni's defaults
  Instant due{};       // when it is read again
  // Before the last change: the key may still have these times.
  DcsTimes before;
  std::optional<Instant> changed;
};

// Which cluster is ours. Learnt at the start; kept from then on (judge_identity.cc).
struct ClusterIdentity {
  std::string scope;       // Patroni's name of the cluster; empty: not told
  std::string identifier;  // database_system_identifier; empty: not known yet
  bool settled = false;    // false: learnt from too few nodes, may still turn out otherwise
  std::optional<Instant> disputed;  // when nodes in sight last disagreed, and no majority decided
  // Another identifier that every node in sight shows, and since when.
  std::string next;
  Instant next_since{};
};

struct TimelineState {
  std::uint32_t highest = 0;
  std::string highest_node;  // the node that showed it
  std::string went_back;     // text of the alarm while the primary is on a lower one; or empty
};

// The rounds in which every node is asked.
struct RoundState {
  std::uint64_t number = 0;
  Instant first{};  // when the first one began
  Instant began{};
  Instant next{};
  bool hunting = false;  // rounds follow each other fast because the primary is in question
  Instant hunting_since{};
};

// After a suspicion, rounds follow each other fast for a while.
struct SuspicionState {
  Instant until{};
  unsigned futile = 0;  // suspicions in a row that came to nothing
};

// In the order in which observers see them.
enum class AlarmKind : std::uint8_t {
  kClaimants,         // more than one node claims to be the primary
  kForeign,           // a node belongs to another cluster
  kHigherTimeline,    // another node shows a higher timeline than the primary's
  kIdentity,          // the nodes belong to different clusters, and none is the majority
  kStaleTimeline,     // a node claims to lead on a timeline below one in sight
  kTimelineWentBack,  // the primary leads on a timeline below one that was seen before
  kNewIdentifier,     // every node in sight shows another system identifier than before
  kUncheckable,       // TLS of every REST API fails
  kLocalFault,        // pgsteer itself cannot ask: out of descriptors or memory
};
struct AlarmKey {
  AlarmKind kind = AlarmKind::kClaimants;
  std::optional<std::size_t> node = std::nullopt;  // for kForeign
  friend auto operator<=>(const AlarmKey&, const AlarmKey&) = default;
};
using Alarms = std::map<AlarmKey, std::string>;  // the text is one sentence

struct JudgeState {
  std::vector<NodeState> nodes;                 // in the order of the config
  std::vector<std::vector<PoolMemory>> memory;  // [listener][node]
  std::optional<CurrentPrimary> primary;
  std::optional<std::size_t> last_primary;  // the node that is it, or was it last
  ClusterIdentity identity;
  TimelineState timelines;
  WitnessState witness;
  MemberList members;
  DiscoveryState discovery;
  PatroniSettings settings;
  RoundState rounds;
  SuspicionState suspicion;
  Alarms alarms;                  // that hold now
  std::string local_fault;        // why the last check could not be made; empty: it could
  bool paused = false;            // a member says that the cluster is in maintenance mode
  bool failsafe = false;          // a member says that failsafe mode is active
  bool first_round_done = false;  // enough nodes have answered to decide something
  std::string no_primary_why = "no node has been checked yet";
  std::uint64_t random = 0;   // state of the jitter
  Topology published;         // generation 0: nothing yet
  Instant published_at{};     // also when it was published again
  bool reconfigured = false;  // since then
  Instant wake{};             // when judge wanted to be called again
  Instant grace_until{};      // after the checker stood still, see kStall
};

// Questions that judge and the views share.
// Belongs to another cluster (its scope or its system identifier is not ours), or a member alone
// says that it belongs to this one.
bool is_foreign(const JudgeState& state, const NodeState& node);
// A member has named it, and it has not shown our identifier yet.
bool is_unproven(const NodeState& node);
bool is_fresh(const NodeState& node);  // its last attempt was answered
// Its last attempt was answered: it has the lease, takes writes and belongs to this cluster.
bool claims_primary(const JudgeState& state, const NodeState& node);
// Its last attempt was answered: it leads a standby cluster, which is read-only.
bool leads_standbys(const JudgeState& state, const NodeState& node);

}  // namespace pgsteer
