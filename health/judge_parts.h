// How judge is divided; for health/judge*.cc only. One Judging lives for one call of judge().
#pragma once

#include <set>
#include <string>

#include "health/judge.h"
#include "health/text.h"

namespace pgsteer {

// A node whose Patroni is asked and does not answer within this is doubted before its deadline.
inline constexpr std::chrono::milliseconds kLate{500};
// How long the answer of a second witness counts, and how often it is asked at least.
inline constexpr std::chrono::milliseconds kWitnessFresh{2'000};
inline constexpr std::chrono::milliseconds kWitnessPace{200};
// A node's timeline counts as "in sight" for this long after its last answer.
inline constexpr std::chrono::milliseconds kInSight{5'000};

// After a node has turned a session away, others are kept from it until it proves itself again; if
// it cannot be asked, for this long.
inline constexpr std::chrono::milliseconds kTurnedAway{1'000};

// For this long a Patroni that has come back may not have read the store. Its REST API answers
// before its first loop, and `pause` is missing from the body until then (3.0.2, __main__.py).
inline constexpr std::chrono::milliseconds kFirstLoop{5'000};

struct Judging {
  const Config& config;
  JudgeState& s;
  Instant now;
  Decision out;
  std::map<std::string, std::string> alarms;  // that hold in this judgement

  NodeState& node(std::size_t i) { return s.nodes[i]; }
  const std::string& name(std::size_t i) const { return config.nodes[i].name; }
  void tell(TransitionKind kind, Severity severity, std::string text,
            std::optional<std::size_t> about = std::nullopt) {
    out.transitions.push_back({now, kind, severity, std::move(text), about, 0, false, false});
  }
};

// judge_ingest.cc: evidence into facts.
void ingest(Judging& j, const Evidence& evidence);
void describe_nodes(Judging& j);  // gives each node its role; a line for each change
bool open_doubt(Judging& j, std::size_t node, const std::string& text);  // false: not listened to

// judge_primary.cc: who may be written to.
void judge_primary(Judging& j);
Verdict primary_verdict(const Judging& j,
                        std::size_t node);  // for listeners that lead to the primary

// judge_fence.cc: how long a primary that proves nothing may be believed.
struct Belief {
  Verdict verdict;
  bool lost = false;
};
Belief believe_unproven(Judging& j, std::size_t node);
void note_lease(NodeState& node, const LeaderEvidence& e);
bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node);

// judge_replica.cc: who may be read from.
void measure_lag(Judging& j);
Pool judge_pool(Judging& j, std::size_t listener);

// judge_rounds.cc: what to ask next, and when.
void plan(Judging& j);

// Shared small questions.
bool foreign(const JudgeState& s, const NodeState& n);
bool fresh(const NodeState& n);                        // its last attempt was answered
bool claims(const JudgeState& s, const NodeState& n);  // fresh, lease, writable, ours
bool turned_away(const NodeState& n, Instant now);     // a session, just now
bool late(const NodeState& n, Instant now);            // being asked, and slow to answer

}  // namespace pgsteer
