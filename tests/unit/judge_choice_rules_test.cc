// Which node becomes the primary: each condition of each rule.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class ChoosePrimary : public PrimaryRules {
 protected:
  ChoosePrimary() {
    for (const std::size_t i : {0u, 1u, 2u}) answers(i, Cluster::replica(5));
  }
};

TEST_F(ChoosePrimary, WhoLeads) {
  state.suspicion.futile = 4;
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_EQ(primary(), 1u);
  EXPECT_EQ(state.last_primary, 1u);
  EXPECT_EQ(state.primary->timeline, 5u);
  EXPECT_EQ(state.primary->since, now);
  EXPECT_TRUE(state.primary->proven);
  EXPECT_FALSE(state.primary->on_trial);
  EXPECT_EQ(state.nodes[1].primary.since, now);
  EXPECT_EQ(state.suspicion.futile, 0u);
  EXPECT_EQ(state.no_primary_why, "");
  ASSERT_TRUE(find(TransitionKind::kNewPrimary));
  EXPECT_EQ(find(TransitionKind::kNewPrimary)->node, 1u);
}

TEST_F(ChoosePrimary, NobodyBeforeTheFirstRoundIsDone) {
  state.first_round_done = false;
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_FALSE(primary());
  EXPECT_EQ(state.no_primary_why, "no node has been checked yet");
  EXPECT_EQ(verdict(1), "drain unknown");
}

TEST_F(ChoosePrimary, TheHighestTimeline) {
  answers(0, Cluster::leader(5));
  answers(1, Cluster::leader(6));
  answers(2, Cluster::leader(5));
  decide();
  EXPECT_EQ(primary(), 1u);
  EXPECT_TRUE(alarmed(AlarmKind::kClaimants));
  EXPECT_EQ((alarms[{AlarmKind::kClaimants}]),
            "more than one node claims to be the primary: pg-1 on timeline 5, pg-2 on timeline 6, "
            "pg-3 on timeline 5.");
}

TEST_F(ChoosePrimary, NobodyOfTwoOnOneTimeline) {
  answers(0, Cluster::leader(5));
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_FALSE(primary());
  EXPECT_EQ(state.no_primary_why.substr(0, 13), "more than one");
}

TEST_F(ChoosePrimary, AClaimByRoleOnlyWithoutAnyOther) {
  answers(0, Cluster::leader(5));
  answers(1, by_role(Cluster::leader(6)));
  state.nodes[1].lease.replies = 0;
  decide();
  EXPECT_FALSE(primary()) << "another one shows a higher timeline";
  state.nodes[1].rest.report->timeline = state.nodes[1].rest.timeline = 5;
  decide();
  EXPECT_EQ(primary(), 0u);
  state.primary.reset();
  answers(0, Cluster::replica(5));
  decide();
  EXPECT_EQ(primary(), 1u);
}

TEST_F(ChoosePrimary, NotFromAnAnswerThatIsUnreliable) {
  NodeState& n = answers(1, Cluster::leader(5));
  n.database.turned_away = n.rest.report_sent + milliseconds(1);
  decide();
  EXPECT_FALSE(primary());
  n.database.turned_away = n.rest.report_sent;
  decide();
  EXPECT_EQ(primary(), 1u) << "it has answered since";
}

TEST_F(ChoosePrimary, NotWithoutKnowingWhoseClusterItIs) {
  state.identity = {};
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_FALSE(primary());
  EXPECT_NE(state.no_primary_why.find("too few nodes answer"), std::string::npos);
  state.nodes[1].rest.report->system_identifier = "";
  decide();
  EXPECT_EQ(primary(), 1u) << "an old Patroni does not tell";
}

TEST_F(ChoosePrimary, ALowerTimelineThatIsProvenForLongerThanTtl) {
  answers(0, Cluster::replica(6));
  NodeState& n = answers(1, Cluster::leader(5));
  const auto ttl = state.settings.times.ttl;
  const auto chosen = [&](unsigned replies, milliseconds since) {
    state.primary.reset();
    n.lease.replies = replies;
    n.lease.since = ago(since);
    decide();
    return primary().has_value();
  };
  EXPECT_FALSE(chosen(2, ttl));
  EXPECT_TRUE(alarmed(AlarmKind::kStaleTimeline));
  EXPECT_EQ(verdict(1), "cut stale_timeline");
  EXPECT_EQ(state.no_primary_why, "pg-2 claims to lead on timeline 5 while pg-1 shows timeline 6");
  EXPECT_FALSE(chosen(1, ttl + milliseconds(1)));
  EXPECT_TRUE(chosen(2, ttl + milliseconds(1)));
  EXPECT_TRUE(alarmed(AlarmKind::kHigherTimeline));
  n.reads = {true, 7, {}, n.lease.since, {}};
  EXPECT_FALSE(chosen(2, ttl + milliseconds(1))) << "it has not read the store since";
  n.reads.after = ago(ttl);
  EXPECT_TRUE(chosen(2, ttl + milliseconds(1)));
  n.reads.after.reset();
  EXPECT_FALSE(chosen(2, ttl + milliseconds(1)));
}

TEST_F(ChoosePrimary, ATimelineThatWentBackIsAnAlarm) {
  state.timelines = {7, "pg-3", ""};
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_EQ((alarms[{AlarmKind::kTimelineWentBack}]),
            "pg-2 leads on timeline 5, but pg-3 had been on timeline 7: what was written there is "
            "lost");
  decide();
  EXPECT_TRUE(alarmed(AlarmKind::kTimelineWentBack)) << "as long as it is below";
  answers(1, Cluster::leader(7));
  decide();
  EXPECT_FALSE(alarmed(AlarmKind::kTimelineWentBack));
  EXPECT_EQ(state.timelines.went_back, "");
}

TEST_F(ChoosePrimary, OnTheHighestTimelineSeenNothingWentBack) {
  state.timelines = {5, "pg-3", ""};
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_EQ(state.timelines.went_back, "");
}

TEST_F(ChoosePrimary, AnUnknownTimelineTellsNothing) {
  state.timelines = {7, "pg-3", "it went back"};
  for (const std::size_t i : {0u, 2u}) fails(i, Outcome::kRefused, 3, 3);
  for (const std::size_t i : {0u, 2u}) state.nodes[i].rest.report.reset();
  answers(1, Cluster::leader(0));
  decide();
  EXPECT_EQ(primary(), 1u);
  EXPECT_EQ(state.timelines.went_back, "it went back");
}

TEST_F(ChoosePrimary, TheFirstTimelineIsOneToo) {
  state.timelines = {7, "pg-3", ""};
  for (const std::size_t i : {0u, 2u}) state.nodes[i].rest.report.reset();
  answers(1, Cluster::leader(1));
  decide();
  EXPECT_NE(state.timelines.went_back, "");
  state.primary.reset();
  state.timelines = {1, "pg-3", "it went back"};
  decide();
  EXPECT_EQ(state.timelines.went_back, "");
}

TEST_F(PrimaryRules, TheHighestTimelineInSightIsRemembered) {
  answers(0, Cluster::replica(7));
  answers(1, Cluster::replica(7));
  answers(2, foreign(Cluster::replica(9)));
  decide();
  EXPECT_EQ(state.timelines.highest, 7u);
  EXPECT_EQ(state.timelines.highest_node, "pg-1");
  fails(0, Outcome::kSilent, 1).rest.report->timeline = 8;
  decide();
  EXPECT_EQ(state.timelines.highest, 7u);
}

TEST_F(PrimaryRules, AHigherTimelineCountsForFiveSecondsAfterItsLastAnswer) {
  const auto found = [&](std::uint32_t timeline) {
    return higher_timeline(context(), 1, timeline);
  };
  answers(0, Cluster::replica(6), milliseconds(5'001));  // received 1 ms later
  EXPECT_EQ(found(5), 0u);
  EXPECT_FALSE(found(6));
  EXPECT_FALSE(found(0)) << "unknown";
  fails(0, Outcome::kSilent, 3);
  EXPECT_EQ(found(5), 0u);
  now += milliseconds(1);
  EXPECT_FALSE(found(5));
  answers(0, foreign(Cluster::replica(6)));
  EXPECT_FALSE(found(5));
  answers(1, Cluster::replica(6));
  EXPECT_FALSE(found(5)) << "the node itself";
  answers(0, Cluster::replica(2));
  EXPECT_EQ(found(1), 0u);
}

}  // namespace
}  // namespace pgsteer
