// The evidence table: which node takes writes. One test for each row, named after it.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

TEST(JudgePrimary, NothingIsAdmittedBeforeAnythingIsKnown) {
  Cluster c;
  for (auto& n : c.nodes) n.latency = milliseconds(900);
  c.run(milliseconds(800));
  EXPECT_EQ(c.rw(0), "drain unknown");
  EXPECT_FALSE(c.state.published.first_round_done);
  c.run(milliseconds(200));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.state.published.first_round_done);
}

TEST(JudgePrimary, ADeadNodeAtTheStartIsNotWaitedFor) {
  Cluster c;
  c.silence(2, DatabaseAnswer::kUnreachable);
  c.run(milliseconds(5));
  EXPECT_EQ(c.rw(0), "admit primary") << "two of three agree";
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_EQ(c.ro(2), "drain unknown");
}

TEST(JudgePrimary, OneOfTwoIsNoMajorityAndWaitsForATenthOfASecond) {
  Cluster c(2);
  c.silence(1, DatabaseAnswer::kUnreachable);
  c.run(milliseconds(99));
  EXPECT_EQ(c.rw(0), "drain unknown");
  c.run(milliseconds(2));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgePrimary, AClaimBelowATimelineInSightWaitsForTheOthersAtTheStart) {
  Cluster c;
  c.answer(0, Cluster::leader(4));
  c.answer(1, Cluster::replica(5));
  c.answer(2, Cluster::leader(5));
  c.nodes[2].latency = milliseconds(50);
  c.run(milliseconds(40));
  EXPECT_FALSE(c.primary());
  c.run(milliseconds(20));
  EXPECT_EQ(c.primary(), 2u);
}

// Whoever answered first is not believed for ever.
TEST(JudgePrimary, AStrangerThatAnswersFirstIsNotTakenForUs) {
  Cluster c(3);
  Report stranger = Cluster::leader(9);
  stranger.system_identifier = "9009";
  c.answer(2, stranger);
  c.nodes[0].latency = c.nodes[1].latency = milliseconds(300);
  c.run(milliseconds(250));
  c.run(milliseconds(100));
  EXPECT_EQ(c.primary(), 0u);
  EXPECT_EQ(c.rw(2), "cut foreign");
}

TEST(JudgePrimary, LeaseAndWritePositionMakeThePrimary) {
  Cluster c;
  c.run(seconds(1));
  EXPECT_EQ(c.primary(), 0u);
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.rw(1), "cut not_primary");
  EXPECT_EQ(c.state.published.timeline, 5u);
  EXPECT_EQ(c.state.published.no_primary_why, "");
}

TEST(JudgePrimary, StatusCodeAloneIsNotEnough) {
  for (auto [state, text] : {std::pair{State::kStarting, "starting"},
                             {State::kCrashed, "crashed"},
                             {State::kStopping, "stopping"},
                             {State::kRestarting, "restarting"}}) {
    Cluster c;
    c.answer(0, Cluster::without_query(true, state, text, Role::kPrimary));
    c.run(seconds(2));
    EXPECT_FALSE(c.primary()) << text;
    EXPECT_EQ(c.rw(0), "drain not_running") << text;
    EXPECT_NE(c.state.published.no_primary_why, "");
  }
}

TEST(JudgePrimary, PromotingHoldsUntilItIsWritable) {
  Cluster c;
  c.answer(0, Cluster::promoting(5));
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "drain promoting");
  c.answer(0, Cluster::leader(6));
  const auto took = c.run_until([&] { return c.admits(0); }, milliseconds(500));
  EXPECT_LE(took, milliseconds(60)) << "a node that is being promoted is checked twice as often";
}

TEST(JudgePrimary, CrashedLeaderHoldsNewAndKeepsLiveSessions) {
  Cluster c;
  c.run(seconds(2));
  for (auto [state, text] : {std::pair{State::kCrashed, "crashed"},
                             {State::kStarting, "starting"},
                             {State::kStopping, "stopping"}}) {
    c.answer(0, Cluster::without_query(true, state, text, Role::kPrimary));
    c.run(seconds(40));
    EXPECT_EQ(c.rw(0), "drain not_running") << text;
    EXPECT_EQ(c.primary(), 0u) << text;
  }
  c.answer(0, Cluster::leader(5));
  c.run(milliseconds(1'200));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgePrimary, LeaderInRecoveryHoldsNewAndKeepsLiveSessions) {
  Cluster c;
  c.run(seconds(2));
  c.answer(0, Cluster::promoting(5));
  c.run(milliseconds(1'500));
  EXPECT_EQ(c.rw(0), "drain promoting");
}

TEST(JudgePrimary, OneIncompleteReplyChangesNothing) {
  Cluster c;
  c.run(seconds(2));
  const auto lost = c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld);
  c.answer(0, Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary));
  c.run_until([&] { return c.state.nodes[0].rest.incomplete_replies == 1; }, milliseconds(1'500));
  EXPECT_EQ(c.rw(0), "admit degraded");
  c.answer(0, Cluster::leader(5));
  c.run(milliseconds(500));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), lost);
}

// Out of connections for an hour, say: Patroni's query fails, PostgreSQL answers.
TEST(JudgePrimary, SlowQueriesWithTheLeaseCostNobodyAnything) {
  Cluster c;
  c.run(seconds(2));
  c.answer(0, Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary));
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit degraded");
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
}

TEST(JudgePrimary, SlowQueriesHoldWhileThePortOrASessionSpeaksAgainstTheNode) {
  Cluster c;
  c.run(seconds(2));
  c.answer(0, Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary));
  c.nodes[0].database = DatabaseAnswer::kRefused;
  c.run(seconds(3));
  EXPECT_EQ(c.rw(0), "drain down");
  c.nodes[0].database = DatabaseAnswer::kAnswers;
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit degraded");
  c.step({SuspicionEvidence{{0, SuspicionKind::kInHotStandby}}});
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "drain not_running") << "PostgreSQL is in recovery";
  c.step({WritableEvidence{0}});
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit degraded");
}

TEST(JudgePrimary, ReplicaBySelfReportIsCutAtOnce) {
  Cluster c;
  c.run(seconds(2));
  c.answer(0, Cluster::replica(5));
  const auto took = c.run_until([&] { return c.cuts(0); }, milliseconds(3'000));
  EXPECT_LE(took, milliseconds(1'110)) << "the steady round sees it";
  EXPECT_FALSE(c.primary());
}

TEST(JudgePrimary, NoLeaseAndNoWritePositionIsCutAtOnce) {
  for (auto [state, text, role] : {std::tuple{State::kStopping, "stopping", Role::kDemoted},
                                   {State::kStopped, "stopped", Role::kPrimary},
                                   {State::kStarting, "starting", Role::kReplica},
                                   {State::kStopped, "start failed", Role::kUninitialized}}) {
    Cluster c;
    c.run(seconds(2));
    c.answer(0, Cluster::without_query(false, state, text, role));
    c.run(milliseconds(1'110));
    EXPECT_EQ(c.rw(0), "cut lost_role") << text;
  }
}

TEST(JudgePrimary, ASuspicionFromASessionFindsLossOfRoleAtOnce) {
  Cluster c;
  c.run(seconds(5));
  c.answer(0, Cluster::replica(5));
  c.step({SuspicionEvidence{{0, SuspicionKind::kShuttingDown}}});
  const auto took = c.run_until([&] { return c.cuts(0); }, milliseconds(3'000));
  EXPECT_LE(took, milliseconds(5));
}

TEST(JudgePrimary, NoLeaseButAWritePositionIsKeptUntilTheFence) {
  // Patroni was restarted and has not taken its key again yet.
  Cluster c;
  c.run(seconds(2));
  Report r = Cluster::leader(5);
  r.status = 503;
  r.lease = false;
  c.answer(0, r);
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit silent");
  c.run(seconds(30));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// PostgreSQL is out of connections and Patroni has just been restarted: it cannot tell.
TEST(JudgePrimary, IncompleteRepliesWithoutTheLeaseAreNoDenial) {
  for (const Role role : {Role::kPrimary, Role::kReplica, Role::kUninitialized}) {
    Cluster c;
    quiet(c);
    c.answer(0, Cluster::without_query(false, State::kUnknown, "unknown", role));
    c.run(seconds(10));
    EXPECT_EQ(c.rw(0), "admit silent") << to_string(role);
    EXPECT_LE(until_cut(c), seconds(10)) << "believed until the fence";
  }
}

TEST(JudgePrimary, AnIncompleteReplyOfADemotedNodeIsADenial) {
  Cluster c;
  quiet(c);
  c.answer(0, Cluster::without_query(false, State::kUnknown, "unknown", Role::kDemoted));
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.rw(0), "cut lost_role");
}

TEST(JudgePrimary, HigherTimelineTakesOverAndTheOtherIsCut) {
  Cluster c;
  c.run(seconds(2));
  c.answer(1, Cluster::leader(6));  // the old one still claims
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.primary(), 1u);
  EXPECT_EQ(c.rw(0), "cut superseded");
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST(JudgePrimary, HigherTimelineTakesOverFromASilentOne) {
  Cluster c;
  c.run(seconds(2));
  c.silence(0);
  c.run(seconds(3));
  EXPECT_TRUE(c.admits(0));
  c.answer(1, Cluster::leader(6));
  const auto took = c.run_until([&] { return c.admits(1); }, milliseconds(1'000));
  EXPECT_LE(took, milliseconds(110)) << "hunting";
  EXPECT_EQ(c.rw(0), "cut superseded");
}

TEST(JudgePrimary, TwoClaimantsOnOneTimelineKeepTheCurrentOneAndAlarm) {
  Cluster c;
  c.run(seconds(2));
  c.answer(1, Cluster::leader(5));
  c.run(seconds(3));
  EXPECT_EQ(c.primary(), 0u);
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.cuts(1));
  EXPECT_TRUE(c.alarm(AlarmKind::kClaimants));
  c.answer(1, Cluster::replica(5));
  c.run(seconds(2));
  EXPECT_FALSE(c.alarm(AlarmKind::kClaimants));
}

TEST(JudgePrimary, TwoClaimantsAtStartLeaveNobodyUntilOneGivesWay) {
  Cluster c;
  c.answer(1, Cluster::leader(5));
  c.run(seconds(2));
  EXPECT_FALSE(c.primary());
  EXPECT_TRUE(c.alarm(AlarmKind::kClaimants));
  c.answer(1, Cluster::replica(5));
  c.run(milliseconds(200));
  EXPECT_EQ(c.primary(), 0u);
}

TEST(JudgePrimary, ALowerClaimIsIgnoredWhileTheCurrentOneLeads) {
  Cluster c;
  c.run(seconds(2));
  c.answer(1, Cluster::leader(4));
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.cuts(1));
}

TEST(JudgePrimary, AThawedLeaderOnALowerTimelineIsHeldWhileTheHigherIsInSight) {
  Cluster c;
  c.run(seconds(2));
  c.silence(0, DatabaseAnswer::kHung);
  c.answer(1, Cluster::leader(6));
  c.run(seconds(5));
  ASSERT_EQ(c.primary(), 1u);
  // The frozen one wakes up, takes the key on its old timeline; the other one has lost it.
  c.answer(0, Cluster::leader(5));
  c.answer(1, Cluster::replica(6));
  c.run(seconds(5));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.rw(0), "cut stale_timeline");
  EXPECT_EQ(c.rw(1), "cut not_primary");
  EXPECT_TRUE(c.alarm(AlarmKind::kStaleTimeline));
  // Patroni rewinds the other one: nobody shows the higher timeline any more.
  c.answer(1, Cluster::replica(5));
  c.run(milliseconds(200));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.alarm(AlarmKind::kTimelineWentBack)) << "the alarm stays";
  c.run(seconds(600));
  EXPECT_TRUE(c.alarm(AlarmKind::kTimelineWentBack));
}

// PostgreSQL stops before it comes back as a replica, and shows no timeline meanwhile.
TEST(JudgePrimary, AHolderThatStopsIsStillOnItsTimeline) {
  Cluster c;
  c.answer(0, Cluster::leader(6));
  c.answer(2, Cluster::replica(5));
  c.run(seconds(2));
  c.answer(1, Cluster::leader(5));
  c.answer(0, Cluster::without_query(false, State::kStopping, "stopping", Role::kDemoted));
  c.run(seconds(4));
  EXPECT_EQ(c.rw(1), "cut stale_timeline");
  c.run(seconds(3));
  EXPECT_EQ(c.rw(1), "admit primary");
}

TEST(JudgePrimary, ALowerTimelineIsAcceptedOnceTheHigherIsOutOfSight) {
  Cluster c;
  c.answer(0, Cluster::leader(6));
  c.run(seconds(2));
  c.answer(0, Cluster::replica(6));
  c.run(seconds(2));
  c.refuse(0, DatabaseAnswer::kRefused);
  c.answer(1, Cluster::leader(5));
  c.run(seconds(2));
  EXPECT_FALSE(c.admits(1));
  c.run(seconds(5));
  EXPECT_TRUE(c.admits(1));
  EXPECT_TRUE(c.alarm(AlarmKind::kTimelineWentBack));
}

// A former primary that cannot be rewound runs as a replica on its higher timeline.
TEST(JudgePrimary, ALeaseProvenForLongerThanTtlOutweighsAHigherTimeline) {
  Cluster c;
  c.answer(2, Cluster::replica(9));
  c.run(seconds(25));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.rw(0), "cut stale_timeline");
  c.run(seconds(10));
  EXPECT_EQ(c.rw(0), "admit primary");
  EXPECT_TRUE(c.alarm(AlarmKind::kHigherTimeline));
  EXPECT_FALSE(c.alarm(AlarmKind::kStaleTimeline));
}

TEST(JudgePrimary, ALeaseWithGapsOutweighsNothing) {
  Cluster c;
  c.answer(2, Cluster::replica(9));
  for (int i = 0; i < 6; ++i) {
    c.run(seconds(20));
    EXPECT_FALSE(c.primary());
    c.refuse(0);
    c.run(seconds(2));
    c.answer(0, Cluster::leader(5));
  }
}

// Its clock stands still with its lease: it never reads the store.
TEST(JudgePrimary, ALeaseWithoutAReadOfTheStoreOutweighsNothing) {
  Cluster c;
  c.answer(2, Cluster::replica(9));
  c.nodes[0].dcs_loop = false;
  c.nodes[0].dcs_stuck = c.wall(c.now);
  c.run(seconds(120));
  EXPECT_FALSE(c.primary());
}

TEST(JudgePrimary, AnotherClusterIsNeverRoutedTo) {
  Cluster c;
  Report stranger = Cluster::leader(99);
  stranger.system_identifier = "9009";
  c.answer(2, stranger);
  c.run(seconds(3));
  EXPECT_EQ(c.primary(), 0u);
  EXPECT_EQ(c.rw(2), "cut foreign");
  EXPECT_EQ(c.ro(2), "cut foreign");
  EXPECT_TRUE(c.alarm(AlarmKind::kForeign, 2));
  // Not even when nobody else is left.
  c.refuse(0, DatabaseAnswer::kRefused);
  c.refuse(1, DatabaseAnswer::kRefused);
  c.run(seconds(60));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.rw(2), "cut foreign");
}

TEST(JudgePrimary, TwoClustersWithALeaderEachHaveNoPrimary) {
  Cluster c(2);
  Report stranger = Cluster::leader(7);
  stranger.system_identifier = "9009";
  c.answer(1, stranger);
  c.run(seconds(5));
  EXPECT_FALSE(c.primary());
  EXPECT_TRUE(c.alarm(AlarmKind::kIdentity));
}

TEST(JudgePrimary, ANodeThatWasInitialisedAnewIsForeign) {
  Cluster c;
  c.run(seconds(2));
  Report r = Cluster::leader(1);
  r.system_identifier = "9009";
  c.answer(0, r);
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.rw(0), "cut foreign");
}

TEST(JudgePrimary, TheSameNodeOnAHigherTimelineIsANewPrimary) {
  Cluster c;
  c.run(seconds(2));
  const auto before = c.generations;
  c.answer(0, Cluster::leader(6));
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.state.published.timeline, 6u);
  EXPECT_GT(c.generations, before);
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgePrimary, StandbyClustersHaveNoPrimaryAndNoHunting) {
  Cluster c;
  Report r = Cluster::replica(5);
  r.status = 200;
  r.lease = true;
  r.role = Role::kStandbyLeader;
  c.answer(0, r);
  c.run(seconds(10));
  EXPECT_FALSE(c.primary());
  EXPECT_EQ(c.rw(0), "cut standby_leader");
  EXPECT_EQ(c.ro(0), "drain standby_leader");
  EXPECT_EQ(c.ro(1), "admit replica");
  EXPECT_FALSE(c.state.rounds.hunting);
  // Promoted: standby_cluster was removed from the configuration.
  c.answer(0, Cluster::leader(6));
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgePrimary, APrimaryThatBecomesAStandbyLeaderIsCut) {
  Cluster c;
  c.run(seconds(2));
  Report r = Cluster::replica(5);
  r.status = 200;
  r.lease = true;
  r.role = Role::kStandbyLeader;
  c.answer(0, r);
  c.run(milliseconds(1'110));
  EXPECT_EQ(c.rw(0), "cut standby_leader");
}

TEST(JudgePrimary, ALoneNodeIsACluster) {
  Cluster c(1);
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "admit primary");
}

TEST(JudgePrimary, GenerationsChangeOnlyWithWhatTheProxyActsOn) {
  Cluster c;
  c.nodes[0].write_rate = 1'000'000;
  c.run(seconds(5));
  const auto generation = c.generations;
  c.run(seconds(300));
  EXPECT_EQ(c.generations, generation) << "five minutes of quiet rounds";
}

}  // namespace
}  // namespace pgsteer
