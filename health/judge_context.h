// The parts of judge and what they share; for health/judge*.cc and its tests only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "health/judge.h"
#include "health/text.h"

namespace pgsteer {

// A GET /leader without an answer for this long counts as late: the primary is checked more closely
// before the request's own deadline.
inline constexpr std::chrono::milliseconds kLate{500};
// How long the answer of a witness counts, and the pause between two such requests.
inline constexpr std::chrono::milliseconds kWitnessFresh{2'000};
inline constexpr std::chrono::milliseconds kWitnessPace{200};
// A node's timeline counts as seen for this long after its last answer.
inline constexpr std::chrono::milliseconds kTimelineFresh{5'000};

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
  bool is_primary(std::size_t i) const { return s.primary && s.primary->node == i; }
  void announce(TransitionKind kind, Severity severity, std::string text,
                std::optional<std::size_t> about = std::nullopt) {
    out.transitions.push_back({now, kind, severity, std::move(text), about, 0, false, false});
  }
};

// judge_evidence.cc: evidence into facts.
void apply(JudgeContext& j, const Evidence& evidence);
void update_roles(JudgeContext& j);  // announces each change

// judge_primary.cc: which node takes writes.
void judge_primary(JudgeContext& j);
// One node, as listeners that route to the primary see it.
Verdict primary_verdict(const JudgeContext& j, std::size_t node);

// judge_fence.cc: how long a primary that proves nothing keeps its sessions.
struct Assessment {
  Verdict verdict;
  bool lost = false;  // it is no longer the primary
};
Assessment assess_unproven(const JudgeContext& j, std::size_t node);
void note_lease(NodeState& node, const LeaderEvidence& e);
// Does `member`, as the store lists it, mean this configured node?
bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node);

// judge_replica.cc: which nodes take reads.
void measure_lag(JudgeContext& j);
Pool judge_pool(JudgeContext& j, std::size_t listener);

// judge_rounds.cc: what to request next, and when.
void plan_requests(JudgeContext& j);

bool turned_away(const NodeState& n, Instant now);  // a session, a moment ago
bool is_late(const NodeState& n, Instant now);      // a GET /leader is in flight for too long

}  // namespace pgsteer
