// What becomes of the primary, and what the other nodes are to listeners for it: each condition of
// each rule.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

// Node 1 is the primary.
class CurrentPrimaryRules : public PrimaryRules {
 protected:
  CurrentPrimaryRules() {
    leads(1, milliseconds(100));
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5));
    state.timelines = {5, "pg-2", ""};
    settle_fence(now + seconds(10));
  }
  NodeState& node = state.nodes[1];
};

TEST_F(CurrentPrimaryRules, StaysWhileItLeads) {
  decide();
  EXPECT_EQ(primary(), 1u);
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(alarms.empty());
  EXPECT_EQ(verdict(1), "admit primary");
}

TEST_F(CurrentPrimaryRules, IsLostByItsOwnAnswer) {
  for (const auto& [report, words] :
       {std::pair{Cluster::replica(5), "cut lost_role"},
        {Cluster::without_query(false, State::kStopped, "stopped", Role::kDemoted),
         "cut lost_role"},
        {standby_leader(), "cut standby_leader"},
        {foreign(Cluster::leader(5)), "cut foreign"}}) {
    leads(1);
    answers(1, report);
    decide();
    EXPECT_FALSE(primary()) << words;
    EXPECT_EQ(verdict(1), words);
    EXPECT_TRUE(find(TransitionKind::kLost));
    state.nodes[1].primary = {};
  }
}

TEST_F(CurrentPrimaryRules, IsHeldByItsOwnAnswer) {
  for (const auto& [report, words] :
       {std::pair{Cluster::promoting(5), "drain promoting"},
        {Cluster::without_query(true, State::kStopped, "stopped", Role::kPrimary),
         "drain not_running"},
        {Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary),
         "admit degraded"}}) {
    leads(1);
    answers(1, report);
    decide();
    EXPECT_EQ(primary(), 1u) << words;
    EXPECT_EQ(verdict(1), words);
    EXPECT_FALSE(state.primary->proven);
  }
}

TEST_F(CurrentPrimaryRules, ChangesAreTold) {
  answers(1, Cluster::promoting(5));
  decide();
  ASSERT_TRUE(find(TransitionKind::kSuspicion));
  EXPECT_TRUE(find(TransitionKind::kSuspicion)->by_judge);
  EXPECT_TRUE(find(TransitionKind::kHeld));
  EXPECT_EQ(state.no_primary_why, "pg-2: has the lease and is still in recovery");
  decide();
  EXPECT_TRUE(told.empty());
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_TRUE(find(TransitionKind::kSuspicionOver));
  EXPECT_TRUE(find(TransitionKind::kResumed));
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(CurrentPrimaryRules, SuspicionsCountAnewWhileItIsNotProven) {
  state.suspicion.futile = 4;
  decide();
  EXPECT_EQ(state.suspicion.futile, 4u);
  fails(1, Outcome::kSilent, 1);
  decide();
  EXPECT_EQ(state.suspicion.futile, 0u);
}

TEST_F(CurrentPrimaryRules, AnAnswerBeforeItTurnedASessionAwayIsUnreliable) {
  node.database.turned_away = node.rest.report_sent;
  decide();
  EXPECT_EQ(verdict(1), "admit primary");
  node.database.turned_away = node.rest.report_sent + milliseconds(1);
  state.suspicion.futile = 4;
  decide();
  EXPECT_EQ(verdict(1), "drain not_running");
  EXPECT_EQ(state.suspicion.futile, 4u) << "its Patroni answers";
}

TEST_F(CurrentPrimaryRules, ALateAnswerIsUnreliableWithAnotherSign) {
  node.rest.in_flight = true;
  node.rest.sent = ago(kLate);
  const auto with = [&](DatabaseAnswer answer) {
    state.primary->verdict = {Admission::kAdmit, Reason::kPrimary, ""};
    node.database.answer = answer;
    decide();
    return verdict(1);
  };
  EXPECT_EQ(with(DatabaseAnswer::kUnknown), "admit primary");
  EXPECT_EQ(with(DatabaseAnswer::kAnswers), "admit primary");
  EXPECT_EQ(with(DatabaseAnswer::kHung), "drain silent");
  EXPECT_EQ(with(DatabaseAnswer::kRefused), "drain down");
  settle_fence(now + milliseconds(1));
  EXPECT_EQ(with(DatabaseAnswer::kAnswers), "admit primary");
  settle_fence(now);
  EXPECT_EQ(with(DatabaseAnswer::kAnswers), "drain silent");
  node.rest.sent = ago(kLate - milliseconds(1));
  EXPECT_EQ(with(DatabaseAnswer::kAnswers), "admit primary");
}

TEST_F(CurrentPrimaryRules, IsSupersededByAHigherTimelineAlone) {
  const auto keeps = [&](const Report& other) {
    leads(1);
    answers(2, other);
    decide();
    return primary() == 1u;
  };
  EXPECT_TRUE(keeps(Cluster::leader(5)));
  EXPECT_TRUE(keeps(by_role(Cluster::leader(6))));
  EXPECT_FALSE(keeps(Cluster::leader(6)));
  EXPECT_EQ(primary(), 2u);
  EXPECT_EQ(verdict(1), "cut superseded");
}

TEST_F(CurrentPrimaryRules, ItsOwnNewTimelineCounts) {
  answers(1, Cluster::leader(7));
  answers(2, Cluster::leader(6));
  decide();
  EXPECT_EQ(primary(), 1u);
  leads(1);
  state.primary->timeline = 7;
  answers(1, Cluster::leader(6));
  answers(2, Cluster::leader(7));
  decide();
  EXPECT_FALSE(find(TransitionKind::kLost) &&
               find(TransitionKind::kLost)->text.find("leads on the higher") != std::string::npos);
}

TEST_F(CurrentPrimaryRules, OnTheFirstTimelineItIsSupersededToo) {
  answers(1, Cluster::leader(1));
  state.primary->timeline = 1;
  answers(0, Cluster::replica(1));
  answers(2, Cluster::leader(2));
  decide();
  EXPECT_EQ(primary(), 2u);
}

TEST_F(CurrentPrimaryRules, AnotherTimelineOfItsOwnInterrupts) {
  state.primary->since = ago(seconds(60));
  answers(1, Cluster::leader(6));
  decide();
  EXPECT_EQ(state.primary->timeline, 6u);
  EXPECT_EQ(state.primary->since, now);
  ASSERT_TRUE(find(TransitionKind::kNewPrimary));
  EXPECT_TRUE(find(TransitionKind::kNewPrimary)->interrupts);
}

TEST_F(CurrentPrimaryRules, ATimelineThatIsNotToldChangesNothing) {
  answers(1, Cluster::leader(0));
  decide();
  EXPECT_EQ(state.primary->timeline, 5u);
  EXPECT_TRUE(told.empty());
  state.primary->timeline = 0;
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_EQ(state.primary->timeline, 5u) << "it is learnt later";
  EXPECT_TRUE(told.empty());
  answers(1, Cluster::promoting(9));
  decide();
  EXPECT_EQ(state.primary->timeline, 5u) << "only from a proof";
}

TEST_F(CurrentPrimaryRules, BackOnALowerTimelineItIsLostIfAHigherOneIsInSight) {
  answers(1, Cluster::leader(4));
  decide();
  EXPECT_FALSE(primary());
  EXPECT_EQ(verdict(1), "cut stale_timeline");
  leads(1);
  answers(1, Cluster::leader(4));
  answers(0, Cluster::replica(4));
  answers(2, Cluster::replica(4));
  decide();
  EXPECT_EQ(primary(), 1u);
  EXPECT_EQ(state.primary->timeline, 4u);
  EXPECT_TRUE(alarmed(AlarmKind::kTimelineWentBack));
}

TEST_F(CurrentPrimaryRules, OnTheFirstTimelineAHigherOneInSightIsAnAlarm) {
  answers(1, Cluster::leader(1));
  state.primary->timeline = 1;
  for (const std::size_t i : {0u, 2u}) answers(i, Cluster::replica(1));
  decide();
  EXPECT_FALSE(alarmed(AlarmKind::kHigherTimeline));
  answers(2, Cluster::replica(2));
  decide();
  EXPECT_TRUE(alarmed(AlarmKind::kHigherTimeline));
}

TEST_F(CurrentPrimaryRules, TheTrialEnds) {
  fails(1, Outcome::kSilent, 3).database.answer = DatabaseAnswer::kAnswers;
  const auto ends = [&] {
    state.primary->on_trial = true;
    decide();
    return state.primary && !state.primary->on_trial;
  };
  reads_store(0, 1, seconds(1));
  EXPECT_FALSE(ends());
  node.database.writable_at = state.primary->since - milliseconds(1);
  EXPECT_FALSE(ends());
  node.database.writable_at = state.primary->since;
  EXPECT_TRUE(ends());
  node.database.writable_at.reset();
  reads_store(2, 1, seconds(1));
  EXPECT_TRUE(ends());
  state.nodes[2].store.reset();
  EXPECT_FALSE(ends());
  answers(1, Cluster::leader(5));
  EXPECT_TRUE(ends());
}

TEST_F(CurrentPrimaryRules, WhereNothingCanBeCheckedAnAlarmSaysSo) {
  for (const std::size_t i : {0u, 1u, 2u}) fails(i, Outcome::kTlsFailed, 3);
  decide();
  EXPECT_EQ(verdict(1), "admit uncheckable");
  EXPECT_EQ((alarms[{AlarmKind::kUncheckable}]),
            "no node's Patroni can be asked: TLS of every REST API fails (pg-1: tls_failed)");
}

// A node that is not the primary, on a listener for the primary.
class OtherNodes : public CurrentPrimaryRules {};

TEST_F(OtherNodes, VerdictsOfAnswers) {
  EXPECT_EQ(verdict(0), "cut not_primary");
  answers(0, Cluster::promoting(5));
  EXPECT_EQ(verdict(0), "drain promoting");
  answers(0, standby_leader());
  EXPECT_EQ(verdict(0), "cut standby_leader");
  answers(0, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  EXPECT_EQ(verdict(0), "drain not_running");
  answers(0, foreign(Cluster::leader(5)));
  EXPECT_EQ(verdict(0), "cut foreign");
  answers(0, Cluster::replica(5));
  state.nodes[0].primary = {{}, Reason::kFenced, "once"};
  EXPECT_EQ(verdict(0), "cut fenced");
  EXPECT_EQ(primary_verdict(context(), 0).why, "once");
}

TEST_F(OtherNodes, VerdictsWithoutAnAnswer) {
  fails(0, Outcome::kSilent, 2);
  EXPECT_EQ(verdict(0), "cut silent");
  state.nodes[0].role = NodeRole::kDown;
  EXPECT_EQ(verdict(0), "cut down");
  state.nodes[0].rest.report.reset();
  EXPECT_EQ(verdict(0), "cut unknown");
  EXPECT_EQ(primary_verdict(context(), 0).why, "has not answered yet: silent");
  state.nodes[0].resolve_failed = true;
  EXPECT_EQ(verdict(0), "cut unknown") << "an old address is left";
  state.nodes[0].addresses.clear();
  EXPECT_EQ(verdict(0), "cut unresolved");
  state.nodes[0].resolve_failed = false;
  EXPECT_EQ(verdict(0), "cut unknown") << "it is being looked up";
}

TEST_F(OtherNodes, WhyThereIsNoPrimary) {
  const auto why = [&] {
    state.primary.reset();
    decide();
    return state.no_primary_why;
  };
  state.nodes[0].role = NodeRole::kReplica;
  answers(1, Cluster::replica(5));
  EXPECT_EQ(why(),
            "no node has the leader lease: pg-1 is replica, pg-2 is unknown, pg-3 is unknown");
  answers(0, Cluster::promoting(5));
  EXPECT_EQ(why(), "pg-1 is being promoted");
  answers(0, standby_leader());
  EXPECT_EQ(why(), "pg-1 leads a standby cluster, which is read-only");
}

}  // namespace
}  // namespace pgsteer
