// What members say about a node whose Patroni cannot be asked: each condition of each rule.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class LeaseElsewhere : public JudgeFacts {
 protected:
  LeaseElsewhere() { leads(1); }
  std::optional<std::size_t> found(unsigned replies = 2) {
    return lease_elsewhere(state, 1, replies);
  }
};

TEST_F(LeaseElsewhere, TheLowestNodeCountsToo) {
  answers(0, Cluster::leader(6));
  EXPECT_EQ(found(), 0u);
}

TEST_F(LeaseElsewhere, NotTheNodeItself) { EXPECT_FALSE(found()); }

TEST_F(LeaseElsewhere, AsManyRepliesAsAskedFor) {
  answers(2, Cluster::leader(6)).lease.replies = 1;
  EXPECT_FALSE(found(2));
  EXPECT_EQ(found(1), 2u);
}

TEST_F(LeaseElsewhere, ClaimsByRoleForeignAndSilentNodesDoNotCount) {
  answers(0, by_role(Cluster::leader(6)));
  answers(2, foreign(Cluster::leader(6)));
  EXPECT_FALSE(found());
  answers(2, Cluster::leader(6));
  EXPECT_EQ(found(), 2u);
  fails(2, Outcome::kRefused, 1, 1);
  EXPECT_FALSE(found());
}

TEST_F(LeaseElsewhere, ItTakesWritesOrIsBeingPromoted) {
  answers(2, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  EXPECT_FALSE(found());
  answers(2, Cluster::promoting(5));
  EXPECT_EQ(found(), 2u);
}

TEST_F(LeaseElsewhere, ALowerTimelineHasToBeConfirmed) {
  NodeState& n = answers(2, Cluster::leader(4));
  EXPECT_FALSE(found());
  n.reads.after = state.nodes[1].lease.proof_received;
  EXPECT_FALSE(found());
  n.reads.after = *n.reads.after + milliseconds(1);
  EXPECT_EQ(found(), 2u);
}

TEST_F(LeaseElsewhere, AnUnknownTimelineIsNotALowerOne) {
  answers(2, Cluster::promoting(0));
  EXPECT_EQ(found(), 2u);
}

TEST_F(LeaseElsewhere, TheFirstTimelineIsALowerOne) {
  answers(2, Cluster::leader(1));
  EXPECT_FALSE(found());
}

TEST_F(LeaseElsewhere, WithoutAPrimaryThereIsNoLowerTimeline) {
  state.primary.reset();
  answers(2, Cluster::leader(1));
  EXPECT_EQ(found(), 2u);
}

class NamedElsewhere : public JudgeFacts {
 protected:
  NamedElsewhere() {
    leads(1);
    fails(1, Outcome::kSilent, 2);
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5), milliseconds(1'500));
  }
  std::optional<std::size_t> found() { return named_elsewhere(context(), 1); }
};

TEST_F(NamedElsewhere, ByTheLowestNodeToo) {
  reads_store(0, 2, seconds(1));
  EXPECT_EQ(found(), 0u);
}

TEST_F(NamedElsewhere, OnlyAnotherNode) {
  reads_store(0, 1, seconds(1));
  EXPECT_FALSE(found());
  reads_store(0, std::nullopt, seconds(1));
  EXPECT_EQ(found(), 0u) << "a member that is not configured";
  reads_store(0, std::nullopt, seconds(1)).complete = false;
  EXPECT_FALSE(found()) << "it may be the primary at another address";
  reads_store(0, std::nullopt, seconds(1)).named = false;
  EXPECT_FALSE(found()) << "there is no leader key";
}

TEST_F(NamedElsewhere, ForTwoSeconds) {
  answers(2, Cluster::replica(5), seconds(3));
  reads_store(0, 2, seconds(2));
  EXPECT_EQ(found(), 0u);
  reads_store(0, 2, milliseconds(2'001));
  EXPECT_FALSE(found());
}

TEST_F(NamedElsewhere, AfterTheLastProofAlone) {
  reads_store(0, 2, seconds(1));
  state.nodes[1].lease.proof_received = ago(seconds(1));
  EXPECT_FALSE(found());
  state.nodes[1].lease.proof_received = ago(milliseconds(1'001));
  EXPECT_EQ(found(), 0u);
}

TEST_F(NamedElsewhere, NotIfAMemberHasReadOtherwiseSince) {
  reads_store(0, std::nullopt, seconds(1));
  reads_store(2, 1, seconds(1));
  EXPECT_EQ(found(), 0u) << "of two at once, the first one counts";
  reads_store(2, 1, milliseconds(999));
  EXPECT_FALSE(found());
  reads_store(2, 1, milliseconds(1'001));
  EXPECT_EQ(found(), 0u);
}

TEST_F(NamedElsewhere, NotIfTheNamedOneHasDeniedItSince) {
  reads_store(0, 2, seconds(1));
  answers(2, Cluster::replica(5), milliseconds(1'001));  // received at the same moment
  EXPECT_EQ(found(), 0u);
  answers(2, Cluster::replica(5), milliseconds(1'000));
  EXPECT_FALSE(found());
  answers(2, Cluster::leader(6), milliseconds(1'000));
  EXPECT_EQ(found(), 0u) << "it shows the lease";
  answers(2, Cluster::replica(5), milliseconds(1'000));
  fails(2, Outcome::kSilent, 1);
  EXPECT_EQ(found(), 0u) << "it does not answer now";
}

TEST_F(NamedElsewhere, NotByTheNodeItselfNorByAForeignOne) {
  reads_store(1, 2, seconds(1));
  EXPECT_FALSE(found());
  reads_store(0, 2, seconds(1));
  answers(0, foreign(Cluster::replica(5)));
  EXPECT_FALSE(found());
}

class Witnesses : public JudgeFacts {
 protected:
  std::vector<std::size_t> found() { return witnesses(context(), 1); }
};

TEST_F(Witnesses, AllThatNameIt) {
  reads_store(0, 1, seconds(1));
  reads_store(2, 1, milliseconds(500));
  EXPECT_EQ(found(), (std::vector<std::size_t>{0, 2}));
}

TEST_F(Witnesses, TheLatestAnswerDecides) {
  reads_store(0, 1, seconds(1));
  reads_store(2, std::nullopt, milliseconds(500));
  EXPECT_TRUE(found().empty());
  reads_store(2, std::nullopt, milliseconds(1'500));
  EXPECT_EQ(found(), (std::vector<std::size_t>{0}));
  reads_store(0, std::nullopt, seconds(1));
  reads_store(2, 1, milliseconds(500));
  EXPECT_EQ(found(), (std::vector<std::size_t>{2}));
  reads_store(0, 1, seconds(1));
  reads_store(2, std::nullopt, seconds(1));
  EXPECT_EQ(found(), (std::vector<std::size_t>{0})) << "of two at once, the first one";
}

TEST_F(Witnesses, ForTwoSeconds) {
  reads_store(0, 1, seconds(2));
  EXPECT_EQ(found().size(), 1u);
  reads_store(0, 1, milliseconds(2'001));
  EXPECT_TRUE(found().empty());
}

TEST_F(Witnesses, NotOfAStandbyLeader) {
  reads_store(0, 1, seconds(1)).standby = true;
  EXPECT_TRUE(found().empty());
}

using IsHung = JudgeFacts;

TEST_F(IsHung, OneDefiniteFailureAfterSilenceIsNotDeath) {
  EXPECT_FALSE(is_hung(fails(1, Outcome::kSilent, 0)));
  EXPECT_TRUE(is_hung(fails(1, Outcome::kSilent, 1, 0)));
  EXPECT_TRUE(is_hung(fails(1, Outcome::kRefused, 2, 1)));
  EXPECT_FALSE(is_hung(fails(1, Outcome::kRefused, 3, 2)));
  EXPECT_FALSE(is_hung(fails(1, Outcome::kRefused, 1, 1)));
}

class WitnessedBy : public JudgeFacts {
 protected:
  WitnessedBy() {
    leads(1);
    fails(1, Outcome::kSilent, 3).database.answer = DatabaseAnswer::kAnswers;
  }
  bool found() { return !witnessed_by(context(), 1).empty(); }
  static Report called(Report r) {
    r.failsafe = true;
    return r;
  }
};

TEST_F(WitnessedBy, AMemberThatReadItInTheStore) {
  EXPECT_FALSE(found());
  reads_store(0, 1, seconds(1));
  EXPECT_TRUE(found());
  state.nodes[1].database.answer = DatabaseAnswer::kUnknown;
  EXPECT_FALSE(found());
  state.nodes[1].database.answer = DatabaseAnswer::kAnswers;
  fails(1, Outcome::kRefused, 3, 2);
  EXPECT_FALSE(found());
}

TEST_F(WitnessedBy, AMemberThatTheLeaderCalls) {
  answers(0, called(Cluster::replica(5)));
  EXPECT_TRUE(found());
  answers(0, called(foreign(Cluster::replica(5))));
  EXPECT_FALSE(found());
  answers(0, called(Cluster::leader(6)));
  EXPECT_FALSE(found()) << "it leads itself";
  answers(0, called(Cluster::replica(5)));
  fails(0, Outcome::kSilent, 1);
  EXPECT_FALSE(found()) << "it does not answer now";
}

TEST_F(WitnessedBy, NotTheNodesOwnWord) {
  state.nodes[1].rest.report = called(Cluster::replica(5));
  EXPECT_FALSE(found());
}

class HasHeir : public JudgeFacts {
 protected:
  HasHeir() {
    leads(1);
    for (const std::size_t i : {0u, 2u}) cannot_take(i);
  }
  void cannot_take(std::size_t i) {
    Report r = Cluster::replica(5);
    r.cluster_unlocked = true;
    NodeState& n = answers(i, r);
    n.reads.known = true;
    n.reads.before = deadline - milliseconds(1);
  }
  bool found() { return has_heir(context(), 1, deadline); }

  const Instant deadline = now - seconds(1);
};

TEST_F(HasHeir, NobodyWhoLastReadTheStoreBeforeTheDeadline) {
  EXPECT_FALSE(found());
  state.nodes[0].reads.before = deadline;
  EXPECT_TRUE(found());
}

TEST_F(HasHeir, WhoeverReachesTheStore) {
  state.nodes[0].rest.report->cluster_unlocked = false;
  EXPECT_TRUE(found());
}

TEST_F(HasHeir, WhoeverHasNotShownWhenItReadIt) {
  state.nodes[0].reads.known = false;
  EXPECT_TRUE(found());
}

TEST_F(HasHeir, ButNotIfItMustNotBecomeThePrimary) {
  state.nodes[0].reads.known = false;
  state.nodes[0].rest.report->nofailover = true;
  EXPECT_FALSE(found());
}

TEST_F(HasHeir, WhoeverIsOutOfSightOrNoReplica) {
  fails(0, Outcome::kSilent, 1);
  EXPECT_TRUE(found());
  cannot_take(0);
  state.nodes[0].rest.report->lease = true;
  EXPECT_TRUE(found());
  cannot_take(0);
  state.nodes[0].rest.report->location = 1;
  EXPECT_TRUE(found());
}

TEST_F(HasHeir, AMemberThatIsNotConfigured) {
  state.members = {true, 1, {true, true, true}, {}};
  EXPECT_TRUE(found());
  state.members.strangers = 0;
  EXPECT_FALSE(found());
  state.members = {true, 1, {true, false, true}, {}};
  EXPECT_FALSE(found()) << "it may be the primary at another address";
  state.members.strangers = 2;
  EXPECT_TRUE(found());
  state.members.strangers = 1;
  state.nodes[1].member = "pg-2";
  EXPECT_TRUE(found()) << "it was listed, and the store has dropped its key meanwhile";
}

TEST_F(HasHeir, NoNodeThatIsNoMember) {
  state.members = {true, 0, {true, true, true}, {}, now};
  fails(0, Outcome::kRefused, 1);
  EXPECT_TRUE(found());
  state.members.by_node[0] = false;
  EXPECT_FALSE(found());
  fails(0, Outcome::kUnreachable, 1);
  EXPECT_TRUE(found()) << "it may be out of our sight alone";
  answers(0, Cluster::replica(5));
  EXPECT_TRUE(found()) << "it has joined since";
}

Report of_scope(const char* scope) {
  Report r = ScriptedCluster::replica(5);
  r.scope = scope;
  return r;
}

TEST_F(HasHeir, ANodeOfAnotherScopeIsNone) {
  state.identity.scope = "main";
  answers(0, of_scope("away"));
  EXPECT_FALSE(found());
  answers(0, foreign(of_scope("main")));
  EXPECT_TRUE(found()) << "built anew in our scope";
  answers(0, foreign(of_scope("")));
  EXPECT_TRUE(found()) << "it may be in ours";
}

TEST_F(HasHeir, WithoutOtherNodesOnlyIfTheMembersAreNotKnown) {
  state.identity.scope = "main";
  answers(0, of_scope("away"));
  answers(2, of_scope("away"));
  EXPECT_TRUE(found());
  state.members = {true, 0, {false, true, false}, {}};
  EXPECT_FALSE(found());
}

class IsUncheckable : public JudgeFacts {
 protected:
  IsUncheckable() {
    for (const std::size_t i : {0u, 1u, 2u}) fails(i, Outcome::kTlsFailed, 2);
  }
  bool found() { return is_uncheckable(context(), 1); }
};

TEST_F(IsUncheckable, IfTlsFailsWhereverItIsTried) {
  EXPECT_TRUE(found());
  fails(0, Outcome::kRefused, 2, 2);
  EXPECT_TRUE(found());
  for (const Outcome outcome : {Outcome::kEmpty, Outcome::kMalformed}) {
    fails(0, outcome, 2, 2);
    EXPECT_FALSE(found()) << to_string(outcome);
  }
  answers(0, Cluster::replica(5));
  EXPECT_FALSE(found());
}

TEST_F(IsUncheckable, WhoeverHasNotProvenItselfHasNoSay) {
  answers(0, Cluster::replica(5)).discovered = true;
  EXPECT_TRUE(found());
}

TEST_F(IsUncheckable, AndOnTheNodeItself) {
  fails(1, Outcome::kRefused, 2, 2);
  EXPECT_FALSE(found());
}

}  // namespace
}  // namespace pgsteer
