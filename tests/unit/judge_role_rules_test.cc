// What a node is, in one word.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class RoleRules : public JudgeFacts {
 protected:
  NodeRole found() {
    JudgeContext j = context();
    update_roles(j);
    told = j.out.transitions;
    return state.nodes[1].role;
  }
  NodeRole of(const Report& report) {
    answers(1, report);
    return found();
  }
  static Report with(Report r, Role role) {
    r.role = role;
    return r;
  }
  static Report unknown(bool lease) {
    return Cluster::without_query(lease, State::kUnknown, "unknown", Role::kPrimary);
  }

  NodeState& node = state.nodes[1];
  std::vector<Transition> told;
};

TEST_F(RoleRules, OfAnAnswer) {
  EXPECT_EQ(found(), NodeRole::kUnknown) << "not checked yet";
  EXPECT_EQ(of(Cluster::leader(5)), NodeRole::kPrimary);
  EXPECT_EQ(of(Cluster::replica(5)), NodeRole::kReplica);
  EXPECT_EQ(of(Cluster::promoting(5)), NodeRole::kPromoting);
  EXPECT_EQ(of(with(Cluster::promoting(5), Role::kStandbyLeader)), NodeRole::kStandbyLeader);
  EXPECT_EQ(of(with(Cluster::replica(5), Role::kStandbyLeader)), NodeRole::kStandbyLeader);
  Report writable = Cluster::leader(5);
  writable.lease = false;
  EXPECT_EQ(of(writable), NodeRole::kPrimary) << "takes writes without the lease";
  EXPECT_EQ(of(Cluster::without_query(false, State::kStopped, "stopped", Role::kReplica)),
            NodeRole::kStopped);
  EXPECT_EQ(of(Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary)),
            NodeRole::kStopped);
  EXPECT_EQ(of(Cluster::without_query(true, State::kStopped, "stopped", Role::kStandbyLeader)),
            NodeRole::kStandbyLeader);
  EXPECT_EQ(of(foreign(Cluster::leader(5))), NodeRole::kForeign);
}

TEST_F(RoleRules, OfAStandby) {
  node.replica.sync = true;
  EXPECT_EQ(of(Cluster::replica(5)), NodeRole::kSyncReplica);
  node.replica.quorum = true;
  EXPECT_EQ(of(Cluster::replica(5)), NodeRole::kSyncReplica);
  node.replica.sync = false;
  EXPECT_EQ(of(Cluster::replica(5)), NodeRole::kQuorumReplica);
}

TEST_F(RoleRules, TwoIncompleteRepliesChangeNothing) {
  of(Cluster::replica(5));
  for (const unsigned replies : {1u, 2u}) {
    node.rest.incomplete_replies = replies;
    EXPECT_EQ(of(unknown(true)), NodeRole::kReplica);
  }
  node.rest.incomplete_replies = 3;
  EXPECT_EQ(of(unknown(true)), NodeRole::kUnknown);
  of(Cluster::without_query(false, State::kStopped, "stopped", Role::kReplica));
  EXPECT_EQ(of(Cluster::replica(5)), NodeRole::kReplica) << "a complete one does at once";
}

TEST_F(RoleRules, AnIncompleteReplyOfANewNodeTellsNothing) {
  node.rest.incomplete_replies = 1;
  EXPECT_EQ(of(unknown(false)), NodeRole::kUnknown);
  Report standby_leader = unknown(true);
  standby_leader.role = Role::kStandbyLeader;
  EXPECT_EQ(of(standby_leader), NodeRole::kStandbyLeader) << "but this";
}

TEST_F(RoleRules, OneFailureChangesNothing) {
  of(Cluster::replica(5));
  fails(1, Outcome::kRefused, 1, 1);
  EXPECT_EQ(found(), NodeRole::kReplica);
  fails(1, Outcome::kRefused, 2, 2);
  EXPECT_EQ(found(), NodeRole::kSilent);
  node.rest.report.reset();
  node.role = NodeRole::kUnknown;
  fails(1, Outcome::kRefused, 1, 1);
  EXPECT_EQ(found(), NodeRole::kSilent) << "it never was anything else";
}

TEST_F(RoleRules, DownIfThePortCannotBeReachedEither) {
  of(Cluster::replica(5));
  for (const auto& [answer, role] : {std::pair{DatabaseAnswer::kRefused, NodeRole::kDown},
                                     {DatabaseAnswer::kHung, NodeRole::kSilent},
                                     {DatabaseAnswer::kUnreachable, NodeRole::kDown},
                                     {DatabaseAnswer::kAnswers, NodeRole::kSilent}}) {
    fails(1, Outcome::kSilent, 2).database.answer = answer;
    EXPECT_EQ(found(), role);
  }
}

TEST_F(RoleRules, AChangeIsToldWithItsSeverity) {
  of(Cluster::replica(5));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, TransitionKind::kNode);
  EXPECT_EQ(told[0].severity, Severity::kInfo);
  EXPECT_EQ(told[0].text, "pg-2 is replica, was unknown (running)");
  EXPECT_EQ(told[0].node, 1u);
  EXPECT_EQ(node.role_since, now);
  now += seconds(1);
  found();
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(node.role_since, ago(seconds(1)));
  const auto severity = [&] { return told.empty() ? Severity::kError : told[0].severity; };
  fails(1, Outcome::kSilent, 2);
  EXPECT_EQ(found(), NodeRole::kSilent);
  EXPECT_EQ(severity(), Severity::kWarn);
  EXPECT_EQ(told[0].text, "pg-2 is silent, was replica (silent)");
  node.database.answer = DatabaseAnswer::kRefused;
  EXPECT_EQ(found(), NodeRole::kDown);
  EXPECT_EQ(severity(), Severity::kWarn);
  EXPECT_EQ(of(foreign(Cluster::replica(5))), NodeRole::kForeign);
  EXPECT_EQ(severity(), Severity::kWarn);
  EXPECT_EQ(of(Cluster::leader(5)), NodeRole::kPrimary);
  EXPECT_EQ(severity(), Severity::kInfo);
}

TEST_F(RoleRules, AChangeKeepsTheHuntFast) {
  state.rounds.hunting = true;
  state.rounds.hunting_since = ago(seconds(90));
  of(Cluster::replica(5));
  EXPECT_EQ(state.rounds.hunting_since, now);
  state.rounds.hunting = false;
  state.rounds.hunting_since = ago(seconds(90));
  of(Cluster::leader(5));
  EXPECT_EQ(state.rounds.hunting_since, ago(seconds(90)));
}

}  // namespace
}  // namespace pgsteer
