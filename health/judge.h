// The whole policy of pgsteer: from what probes said to where sessions may go. Pure: no clock, no
// I/O, no threads, no randomness but the seed in its state, so that tables and a simulation can
// drive it.
//
// The driver (the checker, or a test) calls judge() with what it has learnt since the last call;
// judge answers with a Topology if it changed, what to ask next, and when to be called again. Two
// promises bind the driver: every Request is answered by exactly one Evidence, however it fails,
// and `now` never goes back.
//
//   JudgeState state = initial_state(config, seed);
//   Decision d = judge(config, state, {}, now);                    // asks every node for /leader
//   ... each request is carried out; each ending becomes an Evidence ...
//   d = judge(config, state, evidence, now);                       // publishes once it knows
//   enough
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/config.h"
#include "health/evidence.h"
#include "health/node_role.h"
#include "health/severity.h"
#include "health/topology.h"

namespace pgsteer {

// What changed, for the log, the page and the failover record.
enum class TransitionKind : std::uint8_t {
  kSuspicion,      // somebody gave reason to look closer at the primary
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
  bool by_judge = false;         // a doubt that the evidence itself gives, not a session
  bool interrupts = false;       // the same node leads on another timeline
};

struct Decision {
  std::optional<Topology> topology;  // set if the proxy has something to act on
  std::vector<Request> requests;     // to begin now
  Instant wake;                      // call again then, if nothing was learnt before
  std::vector<Transition> transitions;
};

// ------------------------------------------------------------------------------------------------
// State. Read by the views; written by judge alone.

struct NodeState {
  std::vector<Address> addresses;
  bool resolve_failed = false;
  TlsAnswer tls = TlsAnswer::kUnknown;
  bool tls_asked_before = false;
  Instant tls_asked{};
  bool tls_in_flight = false;

  // The REST slot.
  bool rest_in_flight = false;
  ProbeKind rest_kind = ProbeKind::kLeader;
  Instant rest_since{};
  std::uint64_t rest_round = 0;
  Instant last_leader_ask{};

  // Last attempt and last answer.
  bool tried = false;
  Report attempt;                // the last one, answered or not
  std::optional<Report> report;  // the last one that was answered
  Instant report_sent{}, report_received{};
  std::uint64_t report_round = 0;
  unsigned failures = 0;       // attempts in a row without an answer
  unsigned loud_failures = 0;  // the latest of them that were not silence
  Instant failing_since{};     // when the first of those was sent
  unsigned odd_replies = 0;    // answers in a row with an odd body
  unsigned lease_replies = 0;  // answers in a row that showed the lease

  // Whether it says that the cluster is paused. A Patroni that has just come back does not know
  // yet: its silence about that counts once it has answered for a while, or shows the lease.
  bool paused = false;
  bool pause_known = false;  // by its last answer
  Instant answering_since{};

  // PostgreSQL's port; asked only while REST fails.
  DatabaseAnswer database = DatabaseAnswer::kUnknown;
  Instant database_at{};
  Instant database_asked{};
  bool database_in_flight = false;
  std::optional<Instant> turned_away;  // when it last refused a session, as the data plane saw it
  unsigned database_failures = 0;
  bool hot_standby = false;  // a session found it in recovery; until Patroni answers or it is down

  // When this node's Patroni surely read the store, from replies with the lease (judge_fence.cc).
  bool dcs_known = false;
  std::int64_t dcs_value = 0;  // dcs_last_seen as shown
  Instant dcs_seen{};          // not later than the read, on our clock
  Instant dcs_first_shown{};   // not earlier than the read
  Instant proof{};             // when the last request that showed the lease was sent
  bool proof_failsafe = false;

  // As a replica.
  std::optional<std::uint64_t> lag;  // bytes
  std::uint64_t lag_round = 0;
  bool sync = false;         // survives a store that cannot be asked
  bool was_replica = false;  // seen as one since the start
  std::optional<Instant> not_streaming_since;
  Reason lost = Reason::kNotPrimary;  // why it is no longer the primary, until it is a replica
  std::string lost_why;
  std::optional<Instant> primary_since;

  // As judge describes it: part of some decisions, and what observers see.
  NodeRole role = NodeRole::kUnknown;
  Instant role_since{};

  // For observers alone.
  std::uint64_t check_history = 0;
  unsigned checks_kept = 0;
  std::uint64_t checks_total = 0;
  std::uint64_t checks_failed = 0;
  Instant last_check{};
  std::chrono::steady_clock::duration last_check_took{};
};

// What is remembered of one node on one listener between two judgements.
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
  Verdict verdict;      // for listeners that lead to the primary
  bool proven = false;  // by the last attempt
};

struct Witness {
  bool valid = false;
  bool names_holder = false;
  std::size_t node = 0;  // who said so
  Instant sent{};
  std::string leader;  // name; empty: nobody
};

struct JudgeState {
  std::vector<NodeState> nodes;
  std::vector<std::vector<PoolMemory>> memory;  // [listener][node]
  std::optional<CurrentPrimary> holder;
  std::string system_identifier;
  std::uint32_t highest_timeline = 0;
  std::string highest_node;  // who showed it
  std::string went_back;     // alarm that stays: a lower timeline was accepted
  bool first_round_done = false;
  Witness witness;
  std::size_t next_witness = 0;
  Instant witness_asked{};

  DcsTimes dcs;
  bool dcs_asked = false;
  bool dcs_known = false;
  Instant config_due{};

  std::uint64_t round = 0;
  Instant round_at{};
  Instant next_round{};
  bool hunting = false;
  Instant hunting_since{};
  Instant doubt_until{};
  Instant doubt_told{};
  Instant doubt_window{};      // when the last window of doubt was opened
  unsigned futile_doubts = 0;  // windows of doubt in a row that came to nothing
  std::uint64_t random = 0;

  std::map<std::string, std::string> alarms;  // by subject
  std::string no_primary_why = "no node has been checked yet";
  Topology published;  // generation 0: nothing yet
};

// ------------------------------------------------------------------------------------------------

// `seed` drives the jitter of the rounds.
JudgeState initial_state(const Config& config, std::uint64_t seed);

// Takes the evidence into `state` and decides. Idempotent: without evidence and at the same `now`
// it asks for nothing twice and publishes nothing twice.
Decision judge(const Config& config, JudgeState& state, const std::vector<Evidence>& evidence,
               Instant now);

// The moment from which Patroni could have given the lease of `node` to another one.
Instant fence_deadline(const Config& config, const JudgeState& state, std::size_t node);

// Every reachable member says that the cluster is paused, and nobody but `node` has the lease.
bool maintenance(const JudgeState& state, std::size_t node);

}  // namespace pgsteer
