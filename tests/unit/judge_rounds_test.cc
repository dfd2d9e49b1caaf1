// How often each node is asked, and what.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

bool is_rest(ProbeKind ask) { return ask != ProbeKind::kDatabase && ask != ProbeKind::kTls; }

std::vector<Instant> rest_times(const ScriptedNode& n, Instant from) {
  std::vector<Instant> times;
  for (std::size_t k = 0; k < n.asked.size(); ++k) {
    if (is_rest(n.asked[k]) && n.asked_at[k] >= from) times.push_back(n.asked_at[k]);
  }
  return times;
}

std::size_t asked(const ScriptedNode& n, ProbeKind what, Instant from) {
  std::size_t count = 0;
  for (std::size_t k = 0; k < n.asked.size(); ++k)
    count += n.asked[k] == what && n.asked_at[k] >= from;
  return count;
}

TEST(JudgeRounds, SteadyStateAsksEachNodeAtMostOnceASecond) {
  Cluster c;
  c.run(seconds(10));
  const Instant from = c.now;
  c.run(seconds(300));
  for (const auto& n : c.nodes) {
    const auto times = rest_times(n, from);
    EXPECT_GE(times.size(), 270u);
    EXPECT_LE(times.size(), 300u);
    for (std::size_t k = 1; k < times.size(); ++k) EXPECT_GE(times[k] - times[k - 1], seconds(1));
    EXPECT_EQ(asked(n, ProbeKind::kDatabase, from), 0u)
        << "PostgreSQL is left alone while Patroni answers";
    EXPECT_LE(asked(n, ProbeKind::kCluster, from), 11u) << "the list of members";
  }
}

TEST(JudgeRounds, RoundsHaveJitter) {
  Cluster c;
  c.run(seconds(60));
  const auto times = rest_times(c.nodes[2], c.now - seconds(50));
  auto shortest = seconds(10) + std::chrono::nanoseconds(0), longest = shortest * 0;
  for (std::size_t k = 1; k < times.size(); ++k) {
    shortest = std::min(shortest, std::chrono::nanoseconds(times[k] - times[k - 1]));
    longest = std::max(longest, std::chrono::nanoseconds(times[k] - times[k - 1]));
  }
  EXPECT_GT(longest - shortest, milliseconds(30));
  EXPECT_LE(longest, milliseconds(1'101));
}

TEST(JudgeRounds, ConfigurationIsLookedUpEveryHalfMinuteFromAReplica) {
  Cluster c;
  c.run(seconds(5));
  EXPECT_TRUE(c.state.settings.known);
  const Instant from = c.now;
  c.run(seconds(300));
  EXPECT_EQ(asked(c.nodes[0], ProbeKind::kConfig, from), 0u);
  auto times =
      asked(c.nodes[1], ProbeKind::kConfig, from) + asked(c.nodes[2], ProbeKind::kConfig, from);
  EXPECT_GE(times, 9u);
  EXPECT_LE(times, 10u);
}

TEST(JudgeRounds, ASuspicionChecksAtOnceAndHuntsForASecond) {
  Cluster c;
  c.run(milliseconds(10'400));
  Instant from = c.now;
  c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}}});
  for (const auto& n : c.nodes) EXPECT_EQ(rest_times(n, from).size(), 1u) << "at once, every node";
  c.run(seconds(1));
  for (const auto& n : c.nodes) {
    EXPECT_GE(rest_times(n, from).size(), 9u);
    EXPECT_LE(rest_times(n, from).size(), 12u);
  }
  from = c.now;
  c.run(seconds(5));
  for (const auto& n : c.nodes) EXPECT_LE(rest_times(n, from).size(), 6u) << "calm again";
}

TEST(JudgeRounds, SuspicionsThatComeToNothingAreHeardLessAndLess) {
  Cluster c;
  c.run(seconds(10));
  const Instant from = c.now;
  for (int i = 0; i < 600; ++i) {  // a client that fails ten times a second, for a minute
    c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}}});
    c.run(milliseconds(100));
  }
  EXPECT_LE(rest_times(c.nodes[0], from).size(), 60u + 10u * 12u);
}

TEST(JudgeRounds, ASuspicionAboutANodeThatDoesNotExistIsIgnored) {
  Cluster c;
  c.run(seconds(2));
  c.step({SuspicionEvidence{{99, SuspicionKind::kServerEnded}}});
  EXPECT_FALSE(c.state.rounds.hunting);
}

TEST(JudgeRounds, HuntingCoversAllNodesEvery100Milliseconds) {
  Cluster c;
  c.run(seconds(10));
  c.answer(0, Cluster::replica(5));
  c.run(seconds(2));
  ASSERT_TRUE(c.state.rounds.hunting);
  const Instant from = c.now;
  c.run(seconds(10));
  for (const auto& n : c.nodes) {
    EXPECT_GE(rest_times(n, from).size(), 95u);
    EXPECT_LE(rest_times(n, from).size(), 105u);
  }
}

TEST(JudgeRounds, HuntingSlowsDownToFourTimesASecondAndStaysThere) {
  Cluster c;
  c.run(seconds(10));
  c.answer(0, Cluster::replica(5));
  c.run(seconds(40));
  Instant from = c.now;
  c.run(seconds(10));
  EXPECT_LE(rest_times(c.nodes[1], from).size(), 42u);
  c.run(seconds(300));
  from = c.now;
  c.run(seconds(10));
  EXPECT_LE(rest_times(c.nodes[1], from).size(), 42u);
  EXPECT_GE(rest_times(c.nodes[1], from).size(), 38u);
  c.answer(1, Cluster::leader(6));
  EXPECT_LE(c.run_until([&] { return c.admits(1); }, seconds(2)), milliseconds(255));
}

TEST(JudgeRounds, WhileSessionsAreServedHuntingEndsUpAtTheInterval) {
  Cluster c;
  for (auto& n : c.nodes) n.reply.pause = true;
  c.run(seconds(10));
  c.refuse(0);  // Patroni is being upgraded, which takes its time
  c.run(seconds(150));
  EXPECT_EQ(c.rw(0), "admit maintenance");
  const Instant from = c.now;
  c.run(seconds(10));
  EXPECT_LE(rest_times(c.nodes[1], from).size(), 12u);
}

// The one member in sight says whom the store names, and it may be the next leader itself.
TEST(JudgeRounds, WitnessesDoNotKeepANodeFromItsCheck) {
  Cluster c(2);
  c.run(seconds(5));
  c.silence(0);
  c.nodes[1].store_says = "nobody";
  c.run(seconds(60));
  ASSERT_FALSE(c.primary());
  const Instant from = c.now;
  c.run(seconds(10));
  EXPECT_GE(asked(c.nodes[1], ProbeKind::kCluster, from), 15u);
  EXPECT_GE(asked(c.nodes[1], ProbeKind::kLeader, from), 15u);
}

TEST(JudgeRounds, ADeadNodeWhoseLastAnswerWasIncompleteIsNotAskedFaster) {
  Cluster c;
  c.run(seconds(5));
  c.answer(2, Cluster::without_query(false, State::kUnknown, "unknown", Role::kReplica));
  c.run_until([&] { return c.state.nodes[2].rest.incomplete_replies == 1; }, seconds(2));
  c.refuse(2);
  c.run(seconds(5));
  const Instant from = c.now;
  c.run(seconds(10));
  EXPECT_LE(rest_times(c.nodes[2], from).size(), 11u);
}

TEST(JudgeRounds, WhatNeverWasPatroniIsAskedOncePerInterval) {
  for (const Outcome outcome : {Outcome::kTlsFailed, Outcome::kMalformed, Outcome::kEmpty}) {
    Cluster c;
    for (auto& n : c.nodes) {
      n.outcome = outcome;
      n.latency = milliseconds(2);
    }
    c.run(seconds(5));
    const Instant from = c.now;
    c.run(seconds(20));
    for (const auto& n : c.nodes) EXPECT_LE(rest_times(n, from).size(), 21u) << to_string(outcome);
  }
}

TEST(JudgeRounds, NewsWakesAHuntThatHadBackedOff) {
  Cluster c;
  c.run(seconds(10));
  c.answer(0, Cluster::replica(5));
  c.run(seconds(300));
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(3));
  const Instant from = c.now;
  c.run(seconds(1));
  EXPECT_GE(rest_times(c.nodes[1], from).size(), 9u);
}

TEST(JudgeRounds, NeverMoreThanOneRequestInFlightPerNode) {
  Cluster c;
  c.run(seconds(10));
  c.silence(0);
  c.nodes[1].latency = milliseconds(700);
  c.run(seconds(30));
  const auto slow = rest_times(c.nodes[1], c.now - seconds(20));
  for (std::size_t k = 1; k < slow.size(); ++k) EXPECT_GE(slow[k] - slow[k - 1], milliseconds(700));
  const auto silent = rest_times(c.nodes[0], c.now - seconds(20));
  for (std::size_t k = 1; k < silent.size(); ++k) EXPECT_GE(silent[k] - silent[k - 1], seconds(2));
}

TEST(JudgeRounds, ASlowReplyOfThePrimaryStartsTheHuntBeforeItsDeadline) {
  Cluster c;
  c.run(seconds(10));
  c.silence(0);
  c.run(milliseconds(1'700));  // the next round plus the half second that is still patience
  EXPECT_TRUE(c.state.rounds.hunting);
  EXPECT_EQ(c.state.nodes[0].rest.failures, 0u);
}

TEST(JudgeRounds, ADeadReplicaIsNoReasonToHunt) {
  Cluster c;
  c.run(seconds(10));
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(10));
  EXPECT_FALSE(c.state.rounds.hunting);
  const Instant from = c.now;
  c.run(seconds(60));
  EXPECT_LE(rest_times(c.nodes[0], from).size(), 60u);
  EXPECT_LE(rest_times(c.nodes[2], from).size(), 60u);
  EXPECT_LE(asked(c.nodes[2], ProbeKind::kDatabase, from), 13u)
      << "its port is checked now and then";
}

TEST(JudgeRounds, TlsIsLearntOnceAndAskedAgainWhenTheAddressChanges) {
  Cluster c;
  c.nodes[0].tls = TlsAnswer::kYes;
  c.run(seconds(300));
  EXPECT_EQ(c.state.published.nodes[0].tls, TlsAnswer::kYes);
  EXPECT_EQ(asked(c.nodes[0], ProbeKind::kTls, Instant{}), 1u);
  c.step({AddressEvidence{0, {Cluster::address(7)}}});
  EXPECT_EQ(c.state.published.nodes[0].tls, TlsAnswer::kUnknown);
  c.run(seconds(2));
  EXPECT_EQ(asked(c.nodes[0], ProbeKind::kTls, Instant{}), 2u);
  EXPECT_EQ(c.state.published.nodes[0].addresses.front(), Cluster::address(7));
}

TEST(JudgeRounds, UnknownTlsIsAskedOnceAMinute) {
  Cluster c;
  c.nodes[0].tls = TlsAnswer::kUnknown;
  c.run(seconds(301));
  EXPECT_LE(asked(c.nodes[0], ProbeKind::kTls, Instant{}), 6u);
  EXPECT_GE(asked(c.nodes[0], ProbeKind::kTls, Instant{}), 5u);
}

TEST(JudgeRounds, TheSameSeedAsksAtTheSameTimes) {
  Cluster a;
  Cluster b;
  a.run(seconds(60));
  b.run(seconds(60));
  EXPECT_EQ(a.nodes[1].asked_at, b.nodes[1].asked_at);
}

TEST(JudgeRounds, CallingAgainAtTheSameTimeAsksAndPublishesNothing) {
  Cluster c;
  c.run(seconds(10));
  const auto generations = c.generations;
  const auto requests = c.nodes[0].asked.size();
  c.step({});
  c.step({});
  EXPECT_EQ(c.generations, generations);
  EXPECT_EQ(c.nodes[0].asked.size(), requests);
}

}  // namespace
}  // namespace pgsteer
