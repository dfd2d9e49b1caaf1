// One node, as listeners that route to the primary see it, once it is decided which one that is.
#include "health/judge_context.h"

namespace pgsteer {
namespace {

// A fresh answer with the lease from a node that is not the current primary. A claim by role alone
// is none.
std::optional<Verdict> verdict_with_lease(const NodeState& n) {
  if (!is_fresh(n) || !n.rest.report->lease || n.rest.report->by_role()) return std::nullopt;
  const Report& r = *n.rest.report;
  if (r.role == Role::kStandbyLeader) {
    return Verdict{Admission::kCut, Reason::kStandbyLeader,
                   "leads a standby cluster, which is read-only"};
  }
  if (r.in_recovery()) {
    return Verdict{Admission::kDrain, Reason::kPromoting, "has the lease and is being promoted"};
  }
  if (!r.writable()) {
    return Verdict{Admission::kDrain, Reason::kNotRunning,
                   "has the lease, but PostgreSQL is " + r.state_word};
  }
  return std::nullopt;
}

}  // namespace

Verdict primary_verdict(const JudgeContext& j, std::size_t i) {
  const JudgeState& s = j.s;
  const NodeState& n = s.nodes[i];
  if (!s.first_round_done) {
    return {Admission::kDrain, Reason::kUnknown, "not all nodes have been checked yet"};
  }
  if (j.is_primary(i)) return s.primary->verdict;
  if (is_foreign(s, n)) return verdict_on_stranger(s, n);
  if (n.addresses.empty() && n.resolve_failed) {
    return {Admission::kCut, Reason::kUnresolved, "its name does not resolve"};
  }
  if (!n.rest.report) {
    return {Admission::kCut, Reason::kUnknown, "has not answered yet: " + n.rest.attempt.detail};
  }
  if (auto verdict = verdict_with_lease(n)) return *verdict;
  if (n.primary.lost != Reason::kNotPrimary) {
    return {Admission::kCut, n.primary.lost, n.primary.lost_why};
  }
  if (!is_fresh(n)) {
    return {Admission::kCut, n.role == NodeRole::kDown ? Reason::kDown : Reason::kSilent,
            "Patroni does not answer: " + n.rest.attempt.detail};
  }
  return {Admission::kCut, Reason::kNotPrimary,
          std::string("role ") + to_string(n.rest.report->role)};
}

}  // namespace pgsteer
