// The parts of judge and what they share; for health/judge*.cc and its tests only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "health/judge.h"
#include "health/text.h"

namespace pgsteer {

// A GET /leader without an answer for this long counts as late: the primary is checked more closely
// before the request's own deadline.
inline constexpr std::chrono::milliseconds kLate{500};
// How long the answer of a witness (a member that reads in the store who the leader is) counts, and
// the pause between two such requests.
inline constexpr std::chrono::milliseconds kWitnessFresh{2'000};
inline constexpr std::chrono::milliseconds kWitnessPace{200};
// How often the list of members is read.
inline std::chrono::seconds members_period(const Config& config) {
  return std::chrono::seconds(config.clusters.front().discover ? 10 : 30);
}
// A node's timeline counts as seen for this long after the last answer that showed it.
inline constexpr std::chrono::milliseconds kTimelineFresh{5'000};

// With an answer from one node at least, the first decision waits for the others only this long.
inline constexpr std::chrono::milliseconds kFirstRound{100};
// A publication stays valid for this long at least, so that a busy checker costs nobody a session.
inline constexpr std::chrono::milliseconds kLeastValidity{5'000};

// When judge is called this much later than it asked for, the checker had stood still: what others
// said has become old meanwhile, and they are asked again before anybody is cut for that.
inline constexpr std::chrono::milliseconds kStall{500};

// After a node has turned a session away, no others are sent there until it proves itself again;
// if it cannot be asked, for this long.
inline constexpr std::chrono::milliseconds kTurnedAway{1'000};

// For this long a Patroni that has come back may not have read the store. Its REST API answers
// before its first loop, and `pause` is missing from the body until then (3.0.2, __main__.py).
inline constexpr std::chrono::milliseconds kFirstLoop{5'000};

// What the parts hand to each other during one call of judge().
struct JudgeContext {
  const Config& config;
  JudgeState& s;
  Instant now;
  Decision out;
  Alarms alarms;  // that hold in this call

  NodeState& node(std::size_t i) { return s.nodes[i]; }
  const std::string& name(std::size_t i) const { return config.nodes[i].name; }
  const NodeState& node(std::size_t i) const { return s.nodes[i]; }
  bool is_primary(std::size_t i) const { return s.primary && s.primary->node == i; }
  void announce(TransitionKind kind, Severity severity, std::string text,
                std::optional<std::size_t> about = std::nullopt) {
    out.transitions.push_back({now, kind, severity, std::move(text), about, 0, false, false});
  }
};

// judge_evidence.cc: evidence into facts.
void apply(JudgeContext& j, const Evidence& evidence);
void update_roles(JudgeContext& j);  // announces each change

// judge_identity.cc: which nodes are ours.
void judge_identity(JudgeContext& j);

// Its answers show that it belongs to another cluster. (is_foreign() is also true for a node that a
// member has named and that has not shown yet that it belongs to ours.)
bool shows_another_cluster(const JudgeState& s, const NodeState& n);
std::string other_cluster(const JudgeContext& j, std::size_t node);    // that it does, in words
Verdict verdict_on_stranger(const JudgeState& s, const NodeState& n);  // that is_foreign()

// judge_discovery.cc: nodes that members list and the configuration file does not name.
// Could the list be read?
void note_list(JudgeContext& j, const ClusterEvidence& e);
// `found`: for each member of the list, the node that it is.
void note_nominees(JudgeContext& j, std::size_t lister, const ClusterReport& report,
                   const std::vector<std::optional<std::size_t>>& found);
void judge_discovery(JudgeContext& j);

// judge_primary.cc: which node takes writes.
void judge_primary(JudgeContext& j);
// Another node that has shown a timeline above `timeline` within the last seconds.
std::optional<std::size_t> higher_timeline(const JudgeContext& j, std::size_t except,
                                           std::uint32_t timeline);

// judge_verdict.cc: one node, as listeners that route to the primary see it.
Verdict primary_verdict(const JudgeContext& j, std::size_t node);

// judge_fence.cc: how long a primary that proves nothing keeps its sessions.
struct Assessment {
  Verdict verdict;
  bool lost = false;  // it is no longer the primary
};
Assessment assess_unproven(const JudgeContext& j, std::size_t node);
void note_lease(JudgeContext& j, NodeState& node, const LeaderEvidence& e);
// `reason` and `why`, unless PostgreSQL's port or a session speaks against the node.
Verdict with_database(const JudgeContext& j, std::size_t node, Reason reason,
                      const std::string& why);

// judge_witness.cc: what others say about a node whose Patroni cannot be asked.
void note_cluster(JudgeContext& j, const ClusterEvidence& e);
// Does `member`, as the store lists it, mean this configured node?
bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node);
// Another node holds the lease. `replies`: how many times in a row it has to have shown that.
std::optional<std::size_t> lease_elsewhere(const JudgeState& s, std::size_t node, unsigned replies);
// A member has just read in the store that another one than `node` is the leader: who read it.
std::optional<std::size_t> named_elsewhere(const JudgeContext& j, std::size_t node);
// The members that have just read in the store that `node` is the leader; empty as soon as the
// latest of them finds otherwise.
std::vector<std::size_t> witnesses(const JudgeContext& j, std::size_t node);
// Patroni on the node does not answer, and nothing says that it is dead.
bool is_hung(const NodeState& n);
// Patroni hangs on the node, PostgreSQL answers, and this speaks for it; empty: nothing does.
std::string witnessed_by(const JudgeContext& j, std::size_t node);
// Some other node could have the lease of `node` from `deadline` on.
bool has_heir(const JudgeContext& j, std::size_t node, Instant deadline);
// TLS fails on every REST API that accepts connections.
bool is_uncheckable(const JudgeContext& j, std::size_t node);
// Without a primary: the node that members name although its Patroni cannot be asked. With one
// witness alone it is on trial.
void choose_witnessed(JudgeContext& j);

// judge_replica.cc: which nodes take reads.
void measure_lag(JudgeContext& j);
Pool judge_pool(JudgeContext& j, std::size_t listener);

// judge_rounds.cc: what to request next, and when.
void note_first_round(JudgeContext& j);  // has enough been heard to decide something?
void plan_requests(JudgeContext& j);

bool turned_away(const NodeState& n, Instant now);  // a session, a moment ago
bool is_late(const NodeState& n, Instant now);      // a GET /leader is in flight for too long
// Patroni does not tell how PostgreSQL is: its port is asked.
bool needs_port_check(const NodeState& n, Instant now);

}  // namespace pgsteer
