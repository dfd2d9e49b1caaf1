// Which nodes are ours: each condition of each rule.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class IdentityRules : public JudgeFacts {
 protected:
  // Judges once; the alarms and the announcements of that.
  void decide() {
    JudgeContext j = context();
    judge_identity(j);
    alarms = j.alarms;
    told = j.out.transitions;
  }
  bool alarmed(AlarmKind kind, std::optional<std::size_t> node = std::nullopt) const {
    return alarms.contains(AlarmKey{kind, node});
  }
  static Report of(Report r, const char* identifier, const char* scope = "main") {
    r.system_identifier = identifier;
    r.scope = scope;
    return r;
  }
  static Report standby_leader() {
    Report r = Cluster::promoting(5);
    r.role = Role::kStandbyLeader;
    return r;
  }
  const ClusterIdentity& ours() const { return state.identity; }

  Alarms alarms;
  std::vector<Transition> told;
};

// At the start.
class LearnIdentity : public IdentityRules {
 protected:
  LearnIdentity() {
    state.identity = {};
    state.rounds.first = ago(seconds(1));
  }
  void nodes(std::size_t count) {
    state.nodes.resize(count);
    config.nodes.resize(count);
  }
};

TEST_F(LearnIdentity, NothingBeforeTheFirstRoundIsDone) {
  for (const std::size_t i : {0u, 1u, 2u}) answers(i, of(Cluster::replica(5), "7001"));
  state.first_round_done = false;
  decide();
  EXPECT_EQ(ours().identifier, "");
}

TEST_F(LearnIdentity, OfAMajority) {
  answers(0, of(Cluster::leader(5), "7001"));
  answers(1, of(Cluster::replica(5), "7001"));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  EXPECT_EQ(ours().scope, "main");
  EXPECT_TRUE(ours().settled);
  EXPECT_TRUE(state.nodes[0].was_ours);
  EXPECT_FALSE(state.nodes[2].was_ours);
}

TEST_F(LearnIdentity, AMajorityWithoutALeaderAgainstNone) {
  answers(0, of(Cluster::replica(5), "7001"));
  answers(1, of(Cluster::replica(5), "7001"));
  answers(2, of(Cluster::replica(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  EXPECT_TRUE(alarmed(AlarmKind::kForeign, 2));
}

TEST_F(LearnIdentity, TheMajorityIsTheLargerGroupAmongThree) {
  nodes(5);
  answers(0, of(Cluster::replica(5), "7000"));
  for (const std::size_t i : {1u, 2u, 3u}) answers(i, of(Cluster::replica(5), "7001"));
  answers(4, of(Cluster::replica(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
}

TEST_F(LearnIdentity, NotOfAMajorityWhileAnotherGroupLeads) {
  answers(0, of(Cluster::leader(5), "7001"));
  answers(1, of(Cluster::replica(5), "7002"));
  answers(2, of(Cluster::replica(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "");
  EXPECT_TRUE(alarmed(AlarmKind::kIdentity));
  EXPECT_FALSE(state.nodes[0].was_ours) << "not decided yet";
}

TEST_F(LearnIdentity, OfAMajorityThatLeadsItself) {
  answers(0, of(Cluster::leader(5), "7001"));
  answers(1, of(Cluster::leader(5), "7002"));
  answers(2, of(Cluster::replica(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "7002");
}

TEST_F(LearnIdentity, HalfOfTheNodesThatNobodyContradicts) {
  nodes(2);
  answers(0, of(Cluster::leader(5), "7001"));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  EXPECT_FALSE(ours().settled);
  EXPECT_FALSE(alarmed(AlarmKind::kIdentity));
  answers(1, of(Cluster::leader(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "7001") << "kept";
  EXPECT_TRUE(alarmed(AlarmKind::kIdentity));
}

TEST_F(LearnIdentity, FewerAfterThreeSeconds) {
  answers(0, of(Cluster::leader(5), "7001"));
  state.rounds.first = ago(seconds(3) - milliseconds(1));
  decide();
  EXPECT_EQ(ours().identifier, "");
  state.rounds.first = ago(seconds(3));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  EXPECT_FALSE(ours().settled);
}

TEST_F(LearnIdentity, AfterADisagreementFewerHaveToSettle) {
  config.health.identity_settle = seconds(30);
  state.rounds.first = ago(seconds(9));
  answers(0, of(Cluster::leader(5), "7001"));
  answers(1, of(Cluster::leader(5), "7002"));
  decide();
  EXPECT_EQ(ours().disputed, now);
  fails(1, Outcome::kSilent, 1);
  now += seconds(30) - milliseconds(1);
  decide();
  EXPECT_EQ(ours().identifier, "");
  now += milliseconds(1);
  decide();
  EXPECT_EQ(ours().identifier, "7001");
}

TEST_F(LearnIdentity, FewerDoNotReplaceWhatWasBelieved) {
  state.identity.identifier = "7001";
  answers(0, of(Cluster::leader(5), "7002"));
  state.rounds.first = ago(seconds(30));
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  answers(1, of(Cluster::replica(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "7002") << "a majority does";
}

TEST_F(LearnIdentity, AStandbyClusterBesideDoesNotCount) {
  answers(0, of(Cluster::leader(5), "7001", "main"));
  answers(1, of(standby_leader(), "7001", "away"));
  answers(2, of(standby_leader(), "7001", "away"));
  decide();
  EXPECT_EQ(ours().scope, "main");
  EXPECT_TRUE(ours().settled) << "one of one";
  EXPECT_TRUE(alarmed(AlarmKind::kForeign, 1));
}

TEST_F(LearnIdentity, AStandbyClusterAloneIsOurs) {
  answers(0, of(standby_leader(), "7001", "away"));
  answers(1, of(Cluster::replica(5), "7001", "away"));
  decide();
  EXPECT_EQ(ours().scope, "away");
}

TEST_F(LearnIdentity, OfTwoStandbyClustersOneIsLeft) {
  answers(0, of(standby_leader(), "7001", "a"));
  answers(1, of(standby_leader(), "7001", "b"));
  answers(2, of(Cluster::replica(5), "7001", "b"));
  decide();
  EXPECT_EQ(ours().scope, "b");
}

// It has the lease and is in recovery: that alone is a promotion.
TEST_F(LearnIdentity, APromotionIsNoStandbyCluster) {
  answers(0, of(Cluster::promoting(5), "7001"));
  answers(1, of(Cluster::replica(5), "7001"));
  answers(2, of(Cluster::leader(5), "7002"));
  decide();
  EXPECT_EQ(ours().identifier, "") << "both stay, and the other one leads";
  EXPECT_TRUE(alarmed(AlarmKind::kIdentity));
}

TEST_F(LearnIdentity, NothingOfNodesThatTellNothing) {
  answers(0, of(Cluster::leader(5), ""));
  answers(1, of(Cluster::replica(5), "7001"));
  fails(1, Outcome::kSilent, 1);
  state.rounds.first = ago(seconds(30));
  decide();
  EXPECT_EQ(ours().identifier, "");
  EXPECT_TRUE(alarms.empty());
}

TEST_F(IdentityRules, AStrangersAlarmSaysWhatDiffers) {
  state.identity.scope = "main";
  answers(0, of(Cluster::replica(5), "7001", "main"));
  answers(1, of(Cluster::replica(5), "7002", "main"));
  answers(2, of(Cluster::replica(5), "7002", "away"));
  decide();
  EXPECT_FALSE(alarmed(AlarmKind::kForeign, 0));
  EXPECT_EQ((alarms[{AlarmKind::kForeign, 1}]),
            "pg-2 belongs to another cluster: its system identifier is 7002, ours is 7001");
  EXPECT_EQ((alarms[{AlarmKind::kForeign, 2}]),
            "pg-3 belongs to another cluster: its scope is 'away', ours is 'main'");
  answers(2, of(Cluster::replica(5), "7002", ""));
  decide();
  EXPECT_NE((alarms[{AlarmKind::kForeign, 2}]).find("identifier is 7002"), std::string::npos);
  state.identity.scope = "";
  answers(2, of(Cluster::replica(5), "7002", "away"));
  decide();
  EXPECT_NE((alarms[{AlarmKind::kForeign, 2}]).find("identifier is 7002"), std::string::npos);
}

TEST_F(IdentityRules, WhatIsNotToldDoesNotDiffer) {
  state.identity.scope = "main";
  EXPECT_FALSE(is_foreign(state, state.nodes[0])) << "never answered";
  EXPECT_FALSE(is_foreign(state, answers(0, of(Cluster::replica(5), "", ""))));
  EXPECT_FALSE(is_foreign(state, answers(0, of(Cluster::replica(5), "7001", ""))));
  EXPECT_FALSE(is_foreign(state, answers(0, of(Cluster::replica(5), "", "main"))));
  EXPECT_TRUE(is_foreign(state, answers(0, of(Cluster::replica(5), "7002", ""))));
  EXPECT_TRUE(is_foreign(state, answers(0, of(Cluster::replica(5), "", "away"))));
  state.identity.scope = "";
  EXPECT_FALSE(is_foreign(state, answers(0, of(Cluster::replica(5), "7001", "away"))));
  state.identity = {};
  EXPECT_FALSE(is_foreign(state, answers(0, of(Cluster::replica(5), "7002", "away"))));
}

TEST_F(IdentityRules, ANodeWasOursOnceItHasShownIt) {
  answers(0, of(Cluster::replica(5), "7001"));
  answers(1, of(Cluster::replica(5), ""));
  answers(2, of(Cluster::replica(5), "7001"));
  fails(2, Outcome::kSilent, 1);
  decide();
  EXPECT_TRUE(state.nodes[0].was_ours);
  EXPECT_FALSE(state.nodes[1].was_ours);
  EXPECT_FALSE(state.nodes[2].was_ours);
}

// All nodes show another identifier, and one of them leads.
class FollowIdentity : public IdentityRules {
 protected:
  FollowIdentity() {
    state.identity.scope = "main";
    config.health.identity_settle = seconds(30);
    for (NodeState& n : state.nodes) n.was_ours = true;
    answers(0, of(Cluster::replica(1), "9009"));
    answers(1, of(Cluster::leader(1), "9009"));
    answers(2, of(Cluster::replica(1), "9009"));
    state.timelines.highest = 7;
  }
};

TEST_F(FollowIdentity, AfterItsTime) {
  decide();
  EXPECT_TRUE(alarmed(AlarmKind::kNewIdentifier));
  now += seconds(30) - milliseconds(1);
  decide();
  EXPECT_EQ(ours().identifier, "7001");
  EXPECT_EQ(ours().next, "9009");
  now += milliseconds(1);
  decide();
  EXPECT_EQ(ours().identifier, "9009");
  EXPECT_EQ(ours().next, "");
  EXPECT_EQ(state.timelines.highest, 0u);
  EXPECT_FALSE(alarmed(AlarmKind::kNewIdentifier));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, TransitionKind::kCluster);
  EXPECT_EQ(told[0].severity, Severity::kWarn);
}

TEST_F(FollowIdentity, AThirdIdentifierBeginsAnew) {
  decide();
  now += seconds(20);
  for (const std::size_t i : {0u, 1u, 2u}) state.nodes[i].rest.report->system_identifier = "9010";
  decide();
  EXPECT_EQ(ours().next, "9010");
  now += seconds(29);
  decide();
  EXPECT_EQ(ours().identifier, "7001");
}

TEST_F(FollowIdentity, NotWhileOneShowsTheOldOne) {
  decide();
  state.nodes[2].rest.report->system_identifier = "7001";
  decide();
  EXPECT_EQ(ours().next, "");
  EXPECT_FALSE(alarmed(AlarmKind::kNewIdentifier));
}

TEST_F(FollowIdentity, AnotherScopeHasNoSay) {
  answers(2, of(Cluster::replica(5), "7777", "away"));
  decide();
  EXPECT_EQ(ours().next, "9009");
  answers(2, of(Cluster::replica(5), "7777", ""));
  decide();
  EXPECT_EQ(ours().next, "") << "it may be ours";
}

TEST_F(FollowIdentity, OnlyIfOneLeadsAndMostWereOurs) {
  state.nodes[1].was_ours = false;
  decide();
  EXPECT_EQ(ours().next, "9009");
  state.nodes[2].was_ours = false;
  decide();
  EXPECT_EQ(ours().next, "");
  for (NodeState& n : state.nodes) n.was_ours = true;
  answers(1, by_role(of(Cluster::leader(1), "9009")));
  decide();
  EXPECT_EQ(ours().next, "");
  answers(1, of(Cluster::replica(1), "9009"));
  decide();
  EXPECT_EQ(ours().next, "");
}

TEST_F(FollowIdentity, OfAMinorityOnlyIfTheLastPrimaryLeads) {
  fails(0, Outcome::kSilent, 1);
  decide();
  EXPECT_EQ(ours().next, "9009") << "two of three";
  fails(2, Outcome::kSilent, 1);
  decide();
  EXPECT_EQ(ours().next, "");
  state.last_primary = 0;
  decide();
  EXPECT_EQ(ours().next, "");
  state.last_primary = 1;
  decide();
  EXPECT_EQ(ours().next, "9009");
}

TEST_F(FollowIdentity, OfHalfIsOfAMinority) {
  state.nodes.resize(2);
  config.nodes.resize(2);
  fails(0, Outcome::kSilent, 1);
  decide();
  EXPECT_EQ(ours().next, "");
}

}  // namespace
}  // namespace pgsteer
