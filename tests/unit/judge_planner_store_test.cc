// When members are asked for the configuration and for what the store says, and the moments at
// which judge wants to be called although nothing is requested.
#include "tests/unit/judge_planner.h"

namespace pgsteer {
namespace {

class Settings : public Planner {
 protected:
  Nodes config() {
    nothing_in_flight();
    plan();
    return asked(ProbeKind::kConfig);
  }
  Nodes members() {
    nothing_in_flight();
    round_is_due();
    plan();
    return asked(ProbeKind::kCluster);
  }
};

TEST_F(Settings, TheFirstOnesDoNotWaitForARound) {
  state.settings.known = false;
  state.settings.due = now + milliseconds(1);
  EXPECT_EQ(config(), Nodes{});
  state.settings.due = now;
  EXPECT_EQ(config(), Nodes{0}) << "a replica first";
  EXPECT_EQ(state.settings.due, now + seconds(5));
  state.settings.due = now;
  state.first_round_done = false;
  EXPECT_EQ(config(), Nodes{});
  state.first_round_done = true;
  state.settings.known = true;
  EXPECT_EQ(config(), Nodes{});
}

TEST_F(Settings, OnlyANodeThatAnswersIsAsked) {
  state.settings.known = false;
  state.settings.due = now;
  state.nodes[0].rest.in_flight = true;
  state.nodes[0].rest.kind = ProbeKind::kLeader;
  state.nodes[0].rest.sent = now;
  plan();
  EXPECT_EQ(asked(ProbeKind::kConfig), Nodes{2});
  fails(0, Outcome::kRefused, 9, 9).database.asked_at = now;
  state.settings.due = now;
  EXPECT_EQ(config(), Nodes{2});
  answers(2, foreign(Cluster::replica(5)));
  state.settings.due = now;
  EXPECT_EQ(config(), Nodes{1}) << "the primary, if no other can";
  fails(1, Outcome::kSilent, 9).database.asked_at = now;
  state.settings.due = now;
  EXPECT_EQ(config(), Nodes{});
  EXPECT_EQ(state.settings.due, now) << "as soon as one answers";
}

TEST_F(Settings, LaterWithARoundAndInPlaceOfTheCheck) {
  state.settings.due = now;
  EXPECT_EQ(config(), Nodes{});
  round_is_due();
  EXPECT_EQ(config(), Nodes{0});
  EXPECT_EQ(asked(ProbeKind::kLeader), (Nodes{1, 2}));
  EXPECT_EQ(state.settings.due, now + seconds(30));
  state.settings.due = now + milliseconds(1);
  round_is_due();
  EXPECT_EQ(config(), Nodes{});
}

TEST_F(Settings, NotWhileHunting) {
  state.settings.due = state.members.due = now;
  unproven();
  round_is_due();
  EXPECT_EQ(config(), Nodes{});
  EXPECT_EQ(members(), Nodes{});
}

TEST_F(Settings, TheMembersToo) {
  state.members.due = now + milliseconds(1);
  EXPECT_EQ(members(), Nodes{});
  state.members.due = now;
  EXPECT_EQ(members(), Nodes{0});
  EXPECT_EQ(state.members.due, now + seconds(30));
  state.members.due = now;
  state.settings.due = now;
  EXPECT_EQ(members(), Nodes{}) << "one at a time";
  EXPECT_EQ(asked(ProbeKind::kConfig), Nodes{0});
  state.first_round_done = false;
  EXPECT_EQ(members(), Nodes{});
}

class AskWitness : public Planner {
 protected:
  AskWitness() {
    unproven();
    hangs(1);
    hunting(seconds(1));
    state.nodes[1].rest.in_flight = true;
    state.witness.asked_at = ago(milliseconds(200));
    fence_at(now + seconds(2));
  }
  Nodes found() {
    for (const std::size_t i : {0u, 2u}) state.nodes[i].rest.in_flight = false;
    plan();
    return asked(ProbeKind::kCluster);
  }
};

TEST_F(AskWitness, TwoSecondsBeforeTheDeadlineOfAHungPrimary) {
  config.health.hunt_interval = seconds(1);  // no round is due before
  EXPECT_EQ(found(), Nodes{0});
  EXPECT_EQ(state.witness.asked_at, now);
  EXPECT_EQ(wakes_in(), milliseconds(200));
  fence_at(now + seconds(2) + milliseconds(1));
  state.witness.asked_at = ago(seconds(9));
  EXPECT_EQ(found(), Nodes{});
  EXPECT_EQ(wakes_in(), milliseconds(1));
}

TEST_F(AskWitness, FiveTimesASecond) {
  state.witness.asked_at = ago(milliseconds(199));
  EXPECT_EQ(found(), Nodes{});
  EXPECT_EQ(wakes_in(), milliseconds(1));
}

TEST_F(AskWitness, OneAfterTheOtherAndEachChecksItsOwnLeaseInBetween) {
  const auto again = [&] {
    state.witness.asked_at = ago(seconds(1));
    return found();
  };
  EXPECT_EQ(again(), Nodes{0});
  EXPECT_EQ(again(), Nodes{2});
  EXPECT_EQ(again(), Nodes{}) << "their GET /leader comes first";
  state.nodes[0].rest.kind = state.nodes[2].rest.kind = ProbeKind::kLeader;
  EXPECT_EQ(again(), Nodes{0});
  state.nodes[0].rest.kind = ProbeKind::kLeader;
  EXPECT_EQ(again(), Nodes{2});
}

TEST_F(AskWitness, OnlyWhoCanAnswer) {
  state.nodes[0].rest.in_flight = true;
  state.nodes[0].rest.kind = ProbeKind::kLeader;
  state.nodes[0].rest.sent = now;
  plan();
  EXPECT_EQ(asked(ProbeKind::kCluster), Nodes{2});
  state.nodes[2].rest.kind = ProbeKind::kLeader;
  state.witness.asked_at = ago(seconds(1));
  fails(0, Outcome::kRefused, 9, 9).database.asked_at = now;
  EXPECT_EQ(found(), Nodes{2});
  state.nodes[2].rest.kind = ProbeKind::kLeader;
  state.witness.asked_at = ago(seconds(1));
  answers(2, foreign(Cluster::replica(5)));
  config.health.hunt_interval = seconds(1);
  state.rounds.began = now;
  state.rounds.next = now + seconds(1);
  EXPECT_EQ(found(), Nodes{});
  EXPECT_EQ(state.witness.asked_at, ago(seconds(1)));
  EXPECT_GT(wakes_in(), kWitnessPace) << "nothing to wait for";
}

TEST_F(AskWitness, NotForAPrimaryThatIsProvenOrDead) {
  state.primary->proven = true;
  EXPECT_EQ(found(), Nodes{});
  unproven();
  fails(1, Outcome::kRefused, 9, 9);
  EXPECT_EQ(found(), Nodes{});
  hangs(1);
  state.first_round_done = false;
  EXPECT_EQ(found(), Nodes{});
}

TEST_F(AskWitness, AtOnceIfAnotherNodeShowsTheLease) {
  fence_at(now + seconds(20));
  EXPECT_EQ(found(), Nodes{});
  for (const std::size_t i : {0u, 2u}) {
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5));
    answers(i, Cluster::leader(4)).lease.replies = 1;
    state.nodes[0].rest.kind = state.nodes[2].rest.kind = ProbeKind::kLeader;
    state.witness = {0, ago(seconds(1))};
    EXPECT_EQ(found(), Nodes{0}) << i;
  }
  state.nodes[0].rest.kind = ProbeKind::kLeader;
  state.witness = {0, ago(seconds(1))};
  state.nodes[2].rest.report = foreign(Cluster::leader(4));
  EXPECT_EQ(found(), Nodes{});
  state.nodes[2].rest.report = Cluster::leader(4);
  fails(2, Outcome::kSilent, 9).database.asked_at = now;
  EXPECT_EQ(found(), Nodes{});
}

TEST_F(AskWitness, NotForTheLeaseThatThePrimaryItselfShowed) {
  fence_at(now + seconds(20));
  answers(1, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  state.nodes[1].rest.in_flight = true;
  state.nodes[1].rest.sent = now;
  EXPECT_EQ(found(), Nodes{});
}

TEST_F(AskWitness, WithoutAPrimaryIfANodeHangs) {
  state.primary.reset();
  EXPECT_EQ(found(), Nodes{0});
  state.nodes[0].rest.kind = ProbeKind::kLeader;
  state.witness = {0, ago(seconds(1))};
  state.nodes[1].database.answer = DatabaseAnswer::kUnknown;
  EXPECT_EQ(found(), Nodes{});
  state.nodes[1].database.answer = DatabaseAnswer::kAnswers;
  fails(1, Outcome::kRefused, 9, 9);
  EXPECT_EQ(found(), Nodes{});
}

TEST_F(AskWitness, WithoutAPrimaryAtThePaceOfTheRounds) {
  state.primary.reset();
  state.witness.asked_at = ago(milliseconds(249));
  state.rounds.hunting_since = ago(seconds(30));
  EXPECT_EQ(found(), Nodes{});
  state.witness.asked_at = ago(milliseconds(250));
  EXPECT_EQ(found(), Nodes{0});
}

// The moments at which a verdict may change although nobody answers.
class Wakes : public Planner {
 protected:
  milliseconds planned() {
    plan();
    return wakes_in();
  }
};

TEST_F(Wakes, TheIntervalAtTheLatest) {
  state.rounds.next = now + seconds(9);
  EXPECT_EQ(planned(), config.health.interval);
}

TEST_F(Wakes, TheEndOfASuspicion) {
  hunting(seconds(1));
  state.suspicion.until = now + milliseconds(7);
  EXPECT_EQ(planned(), milliseconds(7));
}

TEST_F(Wakes, TheEndOfTheFirstRound) {
  state.first_round_done = false;
  state.rounds.first = ago(kFirstRound - milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(7));
  state.first_round_done = true;
  EXPECT_EQ(planned(), milliseconds(900));
}

TEST_F(Wakes, TheEndOfTheGraceAfterAStall) {
  state.grace_until = now + milliseconds(7);
  EXPECT_EQ(planned(), milliseconds(7));
}

TEST_F(Wakes, ANewIdentifierThatHasSettled) {
  state.identity.next_since = ago(config.health.identity_settle - milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(900));
  state.identity.next = "9009";
  EXPECT_EQ(planned(), milliseconds(7));
}

TEST_F(Wakes, AnAnswerOfThePrimaryThatIsLate) {
  RestState& rest = state.nodes[1].rest;
  rest.in_flight = true;
  rest.sent = ago(kLate - milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(7));
  rest.kind = ProbeKind::kConfig;
  EXPECT_EQ(planned(), milliseconds(900));
  rest.in_flight = false;
  rest.kind = ProbeKind::kLeader;
  EXPECT_EQ(planned(), milliseconds(900));
}

TEST_F(Wakes, TheFenceOfAPrimaryThatIsNotProvenOrBeingAsked) {
  fence_at(now + milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(900));
  state.nodes[1].rest.in_flight = true;
  state.nodes[1].rest.kind = ProbeKind::kConfig;
  EXPECT_EQ(planned(), milliseconds(7));
  state.nodes[1].rest.in_flight = false;
  hunting(seconds(1));
  state.rounds.began = now;
  unproven();
  EXPECT_EQ(planned(), milliseconds(7));
}

TEST_F(Wakes, TheEndOfARefusal) {
  state.nodes[1].database.turned_away = ago(kTurnedAway - milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(7));
}

TEST_F(Wakes, AnAnswerFromTheStoreThatCountsNoMore) {
  reads_store(0, 1, kWitnessFresh - milliseconds(7));
  EXPECT_EQ(planned(), milliseconds(8)) << "it counts at that moment still";
}

}  // namespace
}  // namespace pgsteer
