// What makes a new generation, what is only published again, and what is announced, from one call
// of judge().
#include "tests/unit/judge_planner.h"

namespace pgsteer {
namespace {

class PublishRules : public Planner {
 protected:
  PublishRules() {
    decide();
    decide();  // roles and verdicts have settled
  }
  // Nothing new is in; the next round is far away.
  Decision decide(const std::vector<Evidence>& evidence = {}) {
    state.rounds.next = now + seconds(60);
    return judge(config, state, evidence, now);
  }
  bool is_new() { return decide().topology.has_value(); }
  milliseconds valid_for() {
    state.published = {};  // decides again
    decide();
    return std::chrono::duration_cast<milliseconds>(*state.published.valid_until - now);
  }
};

TEST_F(PublishRules, TheSameTwiceIsNothingNew) {
  const auto generation = state.published.generation;
  EXPECT_FALSE(is_new());
  EXPECT_EQ(state.published.generation, generation);
}

TEST_F(PublishRules, EachPartOfARouteCounts) {
  state.nodes[0].tls.answer = TlsAnswer::kYes;
  EXPECT_TRUE(is_new());
  config.nodes[0].weight = 9;
  EXPECT_TRUE(is_new());
  state.nodes[0].addresses = {Cluster::address(7)};
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(is_new());
  EXPECT_EQ(state.published.nodes[0].weight, 9u);
}

TEST_F(PublishRules, SoDoesEachVerdict) {
  answers(0, Cluster::promoting(5));  // the read-write verdict: not_primary, then promoting
  EXPECT_TRUE(is_new());
  answers(2, Cluster::without_query(false, State::kStopped, "stopped", Role::kReplica));
  EXPECT_TRUE(is_new());
}

TEST_F(PublishRules, ATransitionHasTheGenerationThatCarriesIt) {
  answers(1, Cluster::replica(5));
  const Decision d = decide();
  ASSERT_TRUE(d.topology);
  ASSERT_FALSE(d.transitions.empty());
  for (const Transition& t : d.transitions) EXPECT_EQ(t.generation, d.topology->generation);
}

TEST_F(PublishRules, AgainAfterASecond) {
  state.published_at = now;
  fence_at(now + seconds(25));
  now += seconds(1) - milliseconds(1);
  EXPECT_FALSE(decide().renewed);
  now += milliseconds(1);
  const Decision d = decide();
  EXPECT_TRUE(d.renewed);
  EXPECT_FALSE(d.topology);
  EXPECT_EQ(state.published_at, now);
}

TEST_F(PublishRules, ANewGenerationIsARenewal) {
  now += milliseconds(500);
  state.nodes[0].tls.answer = TlsAnswer::kYes;
  ASSERT_TRUE(is_new());
  EXPECT_EQ(state.published_at, now);
}

TEST_F(PublishRules, ThePrimaryMayBeBelievedUntilItsFence) {
  EXPECT_EQ(valid_for(), seconds(20));
  state.primary.reset();
  answers(1, Cluster::replica(5));
  decide();
  ASSERT_FALSE(state.primary);
  ASSERT_TRUE(state.published.valid_until);
  EXPECT_EQ(*state.published.valid_until, now + seconds(5));
}

TEST_F(PublishRules, ButTwoChecksAndFiveSecondsAtLeast) {
  fence_at(now + milliseconds(1));
  config.health.interval = milliseconds(500);
  config.health.timeout = milliseconds(700);
  EXPECT_EQ(valid_for(), seconds(5));
  config.health.interval = seconds(3);
  EXPECT_EQ(valid_for(), milliseconds(2 * 3'000 + 700 + 1'000));
}

TEST_F(PublishRules, InMaintenanceModeForTtl) {
  fence_at(now + seconds(1));
  for (const std::size_t i : {0u, 2u}) state.nodes[i].pause = {true, true};
  fails(1, Outcome::kRefused, 2, 2).database.asked_at = now;
  EXPECT_EQ(valid_for(), state.settings.times.ttl);
  config.health.interval = seconds(30);
  EXPECT_EQ(valid_for(), seconds(60) + config.health.timeout + seconds(1));
}

TEST_F(PublishRules, AReplicasAdmissionIsTold) {
  const auto told = [&] {
    std::vector<std::string> texts;
    for (const Transition& t : decide().transitions) {
      if (t.text.find("read_only") != std::string::npos) texts.push_back(t.text);
    }
    return texts;
  };
  state.nodes[0].rest.report->noloadbalance = true;
  EXPECT_EQ(told(), std::vector<std::string>{
                        "pg-1 takes no new sessions of read_only: is tagged noloadbalance"});
  EXPECT_TRUE(told().empty());
  state.nodes[0].rest.report->noloadbalance = false;
  EXPECT_EQ(told().size(), 1u);
  std::swap(config.listen[0], config.listen[1]);
  decide();
  state.nodes[2].rest.report->noloadbalance = true;
  EXPECT_EQ(told().size(), 1u) << "the first listener and the last node count, too";
}

TEST_F(PublishRules, AnAlarmIsToldWhenItBeginsAndWhenItEnds) {
  answers(0, foreign(Cluster::replica(5)));
  const auto told = [&](TransitionKind kind) {
    std::size_t count = 0;
    for (const Transition& t : decide().transitions) count += t.kind == kind ? 1 : 0;
    return count;
  };
  EXPECT_EQ(told(TransitionKind::kAlarm), 1u);
  EXPECT_EQ(told(TransitionKind::kAlarm), 0u);
  answers(0, Cluster::replica(5));
  EXPECT_EQ(told(TransitionKind::kAlarmOver), 1u);
  EXPECT_EQ(told(TransitionKind::kAlarmOver), 0u);
}

TEST_F(PublishRules, ModesStandWhileNobodyCanBeAsked) {
  state.nodes[0].pause.paused = true;
  state.nodes[2].rest.report->failsafe = true;
  EXPECT_EQ(decide().transitions.size(), 2u);
  EXPECT_TRUE(state.paused);
  EXPECT_TRUE(state.failsafe);
  for (const std::size_t i : {0u, 1u, 2u}) fails(i, Outcome::kSilent, 1);
  decide();
  EXPECT_TRUE(state.paused);
  EXPECT_TRUE(state.failsafe);
  answers(1, Cluster::leader(5));
  decide();
  EXPECT_FALSE(state.paused);
  EXPECT_FALSE(state.failsafe);
}

TEST_F(PublishRules, AStallOfTheCheckerBeginsAGrace) {
  state.wake = ago(milliseconds(499));
  decide();
  EXPECT_LT(state.grace_until, now);
  state.wake = ago(milliseconds(500));
  decide();
  const Instant grace = now + milliseconds(500);
  EXPECT_EQ(state.grace_until, grace);
  now = grace + milliseconds(499);
  state.wake = ago(milliseconds(500));
  decide();
  EXPECT_EQ(state.grace_until, grace) << "a checker that is always late decides all the same";
  state.grace_until = {};
  state.wake = {};
  decide();
  EXPECT_EQ(state.grace_until, Instant{}) << "the first call";
}

TEST_F(PublishRules, TheSeedDrivesTheJitter) {
  EXPECT_EQ(initial_state(config, 7).random, 7u);
  EXPECT_EQ(initial_state(config, 7).nodes.size(), 3u);
  EXPECT_EQ(initial_state(config, 7).memory.size(), 2u);
}

TEST_F(PublishRules, ForHowLongARefusalCounts) {
  state.nodes[0].database.turned_away = ago(milliseconds(999));
  EXPECT_TRUE(turned_away(state.nodes[0], now));
  state.nodes[0].database.turned_away = ago(seconds(1));
  EXPECT_FALSE(turned_away(state.nodes[0], now));
}

TEST_F(PublishRules, WhenAnAnswerIsLate) {
  RestState& rest = state.nodes[0].rest;
  rest.in_flight = true;
  rest.sent = ago(milliseconds(500));
  EXPECT_TRUE(is_late(state.nodes[0], now));
  EXPECT_TRUE(needs_port_check(state.nodes[0], now));
  rest.sent = ago(milliseconds(499));
  EXPECT_FALSE(is_late(state.nodes[0], now));
  EXPECT_FALSE(needs_port_check(state.nodes[0], now));
  rest.failures = 1;
  EXPECT_TRUE(needs_port_check(state.nodes[0], now));
  rest.failures = 0;
  rest.incomplete_replies = 1;
  EXPECT_TRUE(needs_port_check(state.nodes[0], now));
}

}  // namespace
}  // namespace pgsteer
