// When GET /leader is requested: rounds, the hunt, and single checks in between. Each condition of
// each rule, at its exact moment.
#include "tests/unit/judge_planner.h"

namespace pgsteer {
namespace {

TEST_F(Planner, NothingIsDue) {
  plan();
  EXPECT_TRUE(requests.empty());
  EXPECT_EQ(wakes_in(), milliseconds(900));
}

TEST_F(Planner, ARoundAsksEachNodeOnce) {
  round_is_due();
  state.nodes[2].rest.in_flight = true;
  state.nodes[2].rest.kind = ProbeKind::kLeader;
  plan();
  EXPECT_EQ(asked(ProbeKind::kLeader), (Nodes{0, 1}));
  EXPECT_EQ(requests.size(), 2u);
  const RestState& rest = state.nodes[0].rest;
  EXPECT_TRUE(rest.in_flight);
  EXPECT_EQ(rest.kind, ProbeKind::kLeader);
  EXPECT_EQ(rest.sent, now);
  EXPECT_EQ(rest.leader_sent, now);
  EXPECT_EQ(rest.round, 8u);
  EXPECT_EQ(state.rounds.number, 8u);
  EXPECT_EQ(state.rounds.began, now);
  EXPECT_GE(round_in(), milliseconds(1'000));
  EXPECT_LE(round_in(), milliseconds(1'100));
}

TEST_F(Planner, JitterIsATenthAtMost) {
  bool most = false;
  for (int i = 0; i < 2'000; ++i) {
    round_is_due();
    nothing_in_flight();
    plan();
    ASSERT_GE(round_in(), milliseconds(1'000));
    ASSERT_LE(round_in(), milliseconds(1'100));
    most |= round_in() == milliseconds(1'100);
  }
  EXPECT_TRUE(most);
}

TEST_F(Planner, TheFirstRoundIsAtOnceAndRemembered) {
  state.rounds = {};
  state.rounds.next = now + seconds(1);
  plan();
  EXPECT_EQ(asked(ProbeKind::kLeader), (Nodes{0, 1, 2}));
  EXPECT_EQ(state.rounds.first, now);
  nothing_in_flight();
  now += seconds(2);
  plan();
  EXPECT_EQ(state.rounds.first, ago(seconds(2)));
}

TEST_F(Planner, TheSecondRoundWaits) {
  state.rounds.number = 1;
  plan();
  EXPECT_TRUE(requests.empty());
}

TEST_F(Planner, ARoundOfAHuntWakesForTheNext) {
  unproven();
  hangs(1);
  hunting(seconds(1));
  round_is_due();
  plan();
  EXPECT_EQ(asked(ProbeKind::kLeader), (Nodes{0, 1, 2}));
  EXPECT_EQ(wakes_in(), milliseconds(100));
}

TEST_F(Planner, ASlowHuntThatIsFastAgainBringsTheNextRoundForward) {
  unproven();
  hangs(1);
  hunting(milliseconds(0));
  state.rounds.began = ago(milliseconds(50));
  state.rounds.next = now + milliseconds(450);
  plan();
  EXPECT_EQ(round_in(), milliseconds(50));
}

TEST_F(Planner, HuntsWhileThePrimaryIsInQuestion) {
  plan();
  EXPECT_FALSE(state.rounds.hunting);
  state.suspicion.until = now;
  plan();
  EXPECT_FALSE(state.rounds.hunting);
  state.suspicion.until = now + milliseconds(1);
  plan();
  EXPECT_TRUE(state.rounds.hunting);
  state.suspicion.until = now;
  plan();
  EXPECT_FALSE(state.rounds.hunting);
  state.alarms[AlarmKey{AlarmKind::kClaimants}] = "two";
  plan();
  EXPECT_TRUE(state.rounds.hunting);
  state.alarms.clear();
  unproven();
  plan();
  EXPECT_TRUE(state.rounds.hunting);
  state.first_round_done = false;
  plan();
  EXPECT_FALSE(state.rounds.hunting);
}

TEST_F(Planner, AHuntBringsTheNextRoundForward) {
  state.suspicion.until = now + seconds(1);
  state.rounds.began = ago(milliseconds(40));
  plan();
  EXPECT_TRUE(requests.empty());
  EXPECT_EQ(round_in(), milliseconds(60));
  EXPECT_EQ(wakes_in(), milliseconds(60));
  EXPECT_EQ(state.rounds.hunting_since, now);
}

TEST_F(Planner, ARoundThatIsDueSoonerStaysSo) {
  state.suspicion.until = now + seconds(1);
  state.rounds.began = ago(milliseconds(40));
  state.rounds.next = now + milliseconds(10);
  plan();
  EXPECT_EQ(round_in(), milliseconds(10));
}

TEST_F(Planner, AfterAHuntTheNextRoundIsAnIntervalAfterTheLast) {
  hunting(seconds(1));
  state.rounds.next = now + milliseconds(10);
  plan();
  EXPECT_FALSE(state.rounds.hunting);
  EXPECT_GE(round_in(), milliseconds(900));
  EXPECT_LE(round_in(), milliseconds(1'000));
}

// How long it has hunted, and whether sessions are served meanwhile.
TEST_F(Planner, AHuntSlowsDown) {
  struct Case {
    milliseconds hunted;
    bool served;
    milliseconds expected;
  };
  for (const auto& [hunted, served, expected] : {Case{seconds(1), true, milliseconds(100)},
                                                 {milliseconds(29'999), true, milliseconds(100)},
                                                 {seconds(30), true, milliseconds(250)},
                                                 {milliseconds(59'999), true, milliseconds(250)},
                                                 {seconds(60), true, milliseconds(500)},
                                                 {milliseconds(119'999), true, milliseconds(500)},
                                                 {seconds(120), true, milliseconds(1'000)},
                                                 {seconds(60), false, milliseconds(250)},
                                                 {seconds(3'600), false, milliseconds(250)}}) {
    unproven(served ? Admission::kAdmit : Admission::kDrain);
    hangs(1);
    hunting(hunted);
    state.rounds.began = ago(milliseconds(1'000));
    round_is_due();
    nothing_in_flight();
    plan();
    EXPECT_EQ(round_in(), expected) << hunted.count() << (served ? " served" : "");
  }
}

// What a witness has read counts for two seconds only.
TEST_F(Planner, AHuntThatNeedsWitnessesSlowsDownLess) {
  for (const Reason reason : {Reason::kWitnessed, Reason::kTrial}) {
    unproven();
    state.primary->verdict.reason = reason;
    hangs(1);
    hunting(seconds(3'600));
    state.rounds.began = ago(milliseconds(1'000));
    round_is_due();
    nothing_in_flight();
    plan();
    EXPECT_EQ(round_in(), milliseconds(250)) << to_string(reason);
  }
}

TEST_F(Planner, AHuntIsNeverSlowerThanTheInterval) {
  config.health.interval = milliseconds(200);
  unproven();
  hunting(seconds(70));
  round_is_due();
  plan();
  EXPECT_EQ(round_in(), milliseconds(200));
}

TEST_F(Planner, ARestApiThatIsMisconfiguredIsAskedOncePerInterval) {
  unproven();
  hunting(seconds(1));
  const auto is_asked = [&](Outcome outcome, unsigned failures, bool known, milliseconds sent) {
    NodeState& n = fails(0, outcome, failures, failures);
    if (known) n.rest.report = Cluster::replica(5);
    if (!known) n.rest.report.reset();
    n.database.asked_at = now;
    n.rest.sent = n.rest.leader_sent = ago(sent);
    nothing_in_flight();
    round_is_due();
    plan();
    return asked(ProbeKind::kLeader).front() == 0;
  };
  const milliseconds soon(999);
  EXPECT_TRUE(is_asked(Outcome::kTlsFailed, 2, true, soon));
  EXPECT_FALSE(is_asked(Outcome::kTlsFailed, 3, true, soon));
  EXPECT_TRUE(is_asked(Outcome::kTlsFailed, 3, true, seconds(1)));
  for (const Outcome outcome : {Outcome::kMalformed, Outcome::kEmpty}) {
    EXPECT_TRUE(is_asked(outcome, 3, true, soon));
    EXPECT_FALSE(is_asked(outcome, 3, false, soon));
    EXPECT_TRUE(is_asked(outcome, 2, false, soon));
  }
  EXPECT_TRUE(is_asked(Outcome::kRefused, 9, false, soon));
}

// Between two rounds.
class QuickChecks : public Planner {
 protected:
  bool is_asked(milliseconds sent) {
    nothing_in_flight();
    state.nodes[0].rest.leader_sent = ago(sent);
    plan();
    return asked(ProbeKind::kLeader) == Nodes{0};
  }
};

TEST_F(QuickChecks, OfANodeThatIsBeingPromoted) {
  NodeState& n = answers(0, Cluster::promoting(5));
  n.role_since = ago(seconds(30) - milliseconds(1));
  EXPECT_FALSE(is_asked(milliseconds(49)));
  EXPECT_EQ(wakes_in(), milliseconds(1));
  EXPECT_TRUE(is_asked(milliseconds(50))) << "half of the hunting pace";
  config.health.hunt_interval = milliseconds(30);
  EXPECT_FALSE(is_asked(milliseconds(19)));
  EXPECT_TRUE(is_asked(milliseconds(20))) << "not more often";
  n.role_since = ago(seconds(30));
  EXPECT_FALSE(is_asked(milliseconds(90)));
  n.role_since = ago(seconds(1));
  n.rest.report = foreign(Cluster::promoting(5));
  EXPECT_FALSE(is_asked(milliseconds(90)));
  n.rest.report = Cluster::promoting(5);
  n.rest.report->role = Role::kStandbyLeader;
  EXPECT_FALSE(is_asked(milliseconds(90)));
  n.rest.report = Cluster::replica(5);
  EXPECT_FALSE(is_asked(milliseconds(90)));
}

TEST_F(QuickChecks, OfANodeThatHasJustFailed) {
  NodeState& n = fails(0, Outcome::kRefused, 1, 1);
  n.database.asked_at = now;
  EXPECT_FALSE(is_asked(milliseconds(99)));
  EXPECT_TRUE(is_asked(milliseconds(100)));
  n.rest.failures = 2;
  EXPECT_TRUE(is_asked(milliseconds(100)));
  n.rest.failures = 3;
  EXPECT_FALSE(is_asked(milliseconds(100)));
  n.rest.failures = 1;
  n.rest.report.reset();
  EXPECT_FALSE(is_asked(milliseconds(100)));
}

TEST_F(QuickChecks, OfANodeWhoseQueryHasJustFailed) {
  NodeState& n = state.nodes[0];
  n.database.asked_at = now;
  n.rest.incomplete_replies = 1;
  EXPECT_TRUE(is_asked(milliseconds(100)));
  n.rest.incomplete_replies = 2;
  EXPECT_FALSE(is_asked(milliseconds(100)));
}

}  // namespace
}  // namespace pgsteer
