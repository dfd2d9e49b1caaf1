// Which nodes take reads: each condition of each rule, from one call of judge_pool().
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

// Node 1 is the primary; node 0 is the replica in question.
class ReplicaRules : public JudgeFacts {
 protected:
  ReplicaRules() {
    leads(1, milliseconds(100));
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5));
    listen.to = Target::kReplica;
    before(Admission::kDrain);
  }
  // What was published last about node 0.
  void before(Admission admission) {
    state.published.pools.assign(2, Pool{});
    for (Pool& pool : state.published.pools) {
      pool.by_node.assign(3, Verdict{Admission::kDrain, Reason::kUnknown, "before"});
      pool.by_node[0] = {admission, Reason::kReplica, "before"};
    }
  }
  Verdict judged(std::size_t i = 0) {
    JudgeContext j = context();
    return judge_pool(j, kReadOnly).by_node[i];
  }
  std::string verdict(std::size_t i = 0) { return Cluster::words(judged(i)); }
  std::string of(const Report& report) {
    answers(0, report);
    return verdict();
  }
  static Report standby_leader() {
    Report r = Cluster::promoting(5);
    r.role = Role::kStandbyLeader;
    return r;
  }

  ListenConfig& listen = config.listen[kReadOnly];
  NodeState& node = state.nodes[0];
};

TEST_F(ReplicaRules, OfAnAnswer) {
  EXPECT_EQ(verdict(), "admit replica");
  EXPECT_EQ(of(Cluster::promoting(5)), "drain promoting");
  EXPECT_EQ(of(standby_leader()), "drain standby_leader");
  EXPECT_EQ(of(foreign(Cluster::replica(5))), "cut foreign");
  EXPECT_EQ(of(Cluster::leader(5)), "drain not_primary");
  node.primary.lost = Reason::kSuperseded;
  EXPECT_EQ(of(Cluster::leader(5)), "cut superseded");
  node.primary.lost = Reason::kNotPrimary;
  EXPECT_EQ(of(Cluster::without_query(false, State::kStarting, "starting", Role::kReplica)),
            "drain not_running");
  Report starting = Cluster::replica(5);
  starting.state = State::kStarting;
  EXPECT_EQ(of(starting), "drain not_running") << "it replays, and does not run yet";
  listen.to = Target::kAny;
  EXPECT_EQ(of(standby_leader()), "admit replica");
  state.first_round_done = false;
  EXPECT_EQ(of(Cluster::replica(5)), "drain unknown");
}

TEST_F(ReplicaRules, WhoseNameDoesNotResolve) {
  node.addresses.clear();
  EXPECT_EQ(verdict(), "admit replica") << "it is being looked up";
  node.resolve_failed = true;
  EXPECT_EQ(verdict(), "drain unresolved");
  node.addresses = {Cluster::address(0)};
  EXPECT_EQ(verdict(), "admit replica") << "an old address is left";
}

TEST_F(ReplicaRules, OneIncompleteReplyChangesNothing) {
  const Report unknown = Cluster::without_query(false, State::kUnknown, "unknown", Role::kReplica);
  before(Admission::kAdmit);
  node.rest.incomplete_replies = 1;
  EXPECT_EQ(of(unknown), "admit replica");
  node.rest.incomplete_replies = 2;
  EXPECT_EQ(of(unknown), "drain degraded");
  node.rest.incomplete_replies = 1;
  state.published = {};
  EXPECT_EQ(of(unknown), "drain degraded");
}

TEST_F(ReplicaRules, TheListenersTargetAndTags) {
  const auto on = [&](Target to, bool sync, bool quorum) {
    listen.to = to;
    node.replica.sync = sync;
    node.replica.quorum = quorum;
    return verdict();
  };
  EXPECT_EQ(on(Target::kSync, true, false), "admit replica");
  EXPECT_EQ(on(Target::kSync, false, true), "drain not_sync");
  EXPECT_EQ(on(Target::kQuorum, false, true), "admit replica");
  EXPECT_EQ(on(Target::kQuorum, true, false), "drain not_quorum");
  EXPECT_EQ(on(Target::kAsync, false, false), "admit replica");
  EXPECT_EQ(on(Target::kAsync, true, false), "drain not_async");
  EXPECT_EQ(on(Target::kAsync, false, true), "drain not_async");
  listen.to = Target::kReplica;
  listen.tags = {{"zone", "a"}};
  EXPECT_EQ(verdict(), "drain tag_mismatch");
  node.rest.report->tags = {{"zone", "b"}};
  EXPECT_EQ(verdict(), "drain tag_mismatch");
  node.rest.report->tags = {{"zone", "a"}, {"x", "y"}};
  EXPECT_EQ(verdict(), "admit replica");
  node.rest.report->noloadbalance = true;
  EXPECT_EQ(verdict(), "drain no_load_balance");
}

TEST_F(ReplicaRules, ATimelineAboveThePrimarys) {
  EXPECT_EQ(of(Cluster::replica(6)), "drain not_streaming");
  state.primary->proven = false;
  EXPECT_EQ(of(Cluster::replica(6)), "admit replica");
  state.primary->proven = true;
  state.primary->timeline = 1;
  EXPECT_EQ(of(Cluster::replica(2)), "drain not_streaming");
  state.primary->timeline = 0;
  EXPECT_EQ(of(Cluster::replica(6)), "admit replica");
}

TEST_F(ReplicaRules, WhoDoesNotStreamForTenSeconds) {
  node.replica.not_streaming_since = ago(seconds(10) - milliseconds(1));
  EXPECT_EQ(verdict(), "drain not_streaming") << "it was not admitted before";
  before(Admission::kAdmit);
  EXPECT_EQ(verdict(), "admit replica");
  node.replica.not_streaming_since = ago(seconds(10));
  EXPECT_EQ(verdict(), "drain not_streaming");
  state.primary->since = ago(seconds(10) - milliseconds(1));
  EXPECT_EQ(verdict(), "admit replica") << "the primary is new";
  state.primary->since = ago(seconds(10));
  EXPECT_EQ(verdict(), "drain not_streaming");
  state.primary->proven = false;
  EXPECT_EQ(verdict(), "admit replica");
}

class ReplicaLag : public ReplicaRules {
 protected:
  ReplicaLag() {
    listen.max_lag = 100;
    state.nodes[1].rest.report_round = 7;
  }
  // The lag as of a new round.
  std::string lags(std::uint64_t lag) {
    node.replica.lag = lag;
    ++node.replica.lag_round;
    return verdict();
  }
  PoolMemory& memory = state.memory[kReadOnly][0];
};

TEST_F(ReplicaLag, TheFirstFigureDecidesAtOnce) {
  EXPECT_EQ(lags(100), "admit replica");
  memory = {};
  EXPECT_EQ(lags(101), "drain lagging");
}

TEST_F(ReplicaLag, ThenTwoRoundsAboveTheLimitDo) {
  lags(0);
  EXPECT_EQ(lags(101), "admit replica");
  EXPECT_EQ(verdict(), "admit replica") << "the same round again";
  EXPECT_EQ(lags(100), "admit replica");
  EXPECT_EQ(lags(101), "admit replica") << "they have to follow each other";
  EXPECT_EQ(lags(101), "drain lagging");
}

TEST_F(ReplicaLag, UntilItIsBelowThreeQuarters) {
  lags(500);
  EXPECT_EQ(lags(76), "drain lagging");
  EXPECT_EQ(lags(75), "admit replica");
}

TEST_F(ReplicaLag, ASmallLimitHasNoQuarters) {
  listen.max_lag = 3;
  lags(500);
  EXPECT_EQ(lags(3), "admit replica");
  listen.max_lag = 4;
  memory = {};
  lags(500);
  EXPECT_EQ(lags(4), "drain lagging");
  EXPECT_EQ(lags(3), "admit replica");
}

TEST_F(ReplicaLag, HasToBeMeasuredFirst) {
  EXPECT_EQ(verdict(), "drain unknown");
  before(Admission::kAdmit);
  EXPECT_EQ(verdict(), "admit replica");
  before(Admission::kDrain);
  state.nodes[1].rest.report_round = 1;
  EXPECT_EQ(verdict(), "drain unknown");
  state.nodes[1].rest.report_round = 0;
  EXPECT_EQ(verdict(), "admit replica") << "the primary's position is not known";
  state.nodes[1].rest.report_round = 7;
  state.primary->proven = false;
  EXPECT_EQ(verdict(), "admit replica");
  state.primary->proven = true;
  listen.max_lag.reset();
  EXPECT_EQ(verdict(), "admit replica");
}

// Patroni on the node does not answer.
class SilentReplica : public ReplicaRules {
 protected:
  SilentReplica() {
    fails(0, Outcome::kSilent, 3);
    before(Admission::kAdmit);
  }
  std::string with(DatabaseAnswer answer, unsigned failures = 0) {
    node.database.answer = answer;
    node.database.failures = failures;
    return verdict();
  }
};

TEST_F(SilentReplica, IsDrainedAfterThreeFailuresInTwoSeconds) {
  node.rest.failing_since = ago(seconds(2));
  EXPECT_EQ(verdict(), "drain silent");
  node.rest.failing_since = ago(seconds(2) - milliseconds(1));
  EXPECT_EQ(verdict(), "admit replica");
  node.rest.failing_since = ago(seconds(2));
  node.rest.failures = 2;
  EXPECT_EQ(verdict(), "admit replica");
  before(Admission::kDrain);
  EXPECT_EQ(verdict(), "drain silent") << "it was not admitted";
  node.rest.report.reset();
  EXPECT_EQ(verdict(), "drain unknown");
}

TEST_F(SilentReplica, WhosePortSpeaksAgainstIt) {
  node.rest.failures = 1;
  EXPECT_EQ(with(DatabaseAnswer::kAnswers), "admit replica");
  EXPECT_EQ(with(DatabaseAnswer::kHung), "drain silent");
  EXPECT_EQ(with(DatabaseAnswer::kRefused), "drain down") << "its Patroni may be alive";
  node.rest.attempt.outcome = Outcome::kRefused;
  EXPECT_EQ(with(DatabaseAnswer::kRefused), "cut down");
}

TEST_F(SilentReplica, WhosePortCannotBeReached) {
  EXPECT_EQ(with(DatabaseAnswer::kUnreachable, 1), "drain silent");
  node.rest.failures = 1;
  EXPECT_EQ(with(DatabaseAnswer::kUnreachable, 1), "admit replica") << "once is not enough";
  EXPECT_EQ(with(DatabaseAnswer::kUnreachable, 2), "drain down");
  node.rest.failing_since = ago(seconds(10) - milliseconds(1));
  EXPECT_EQ(with(DatabaseAnswer::kUnreachable, 2), "drain down");
  node.rest.failing_since = ago(seconds(10));
  EXPECT_EQ(with(DatabaseAnswer::kUnreachable, 2), "cut down");
}

TEST_F(SilentReplica, SaysWhetherPostgresqlAnswers) {
  with(DatabaseAnswer::kAnswers);
  EXPECT_EQ(judged().why, "Patroni does not answer (silent); PostgreSQL answers");
  with(DatabaseAnswer::kUnknown);
  EXPECT_EQ(judged().why, "Patroni does not answer (silent)");
}

TEST_F(SilentReplica, ThatWasThePrimaryIsCut) {
  node.rest.failures = 1;
  for (const auto& [lost, words] : {std::pair{Reason::kFenced, "cut fenced"},
                                    {Reason::kSuperseded, "cut superseded"},
                                    {Reason::kLostRole, "admit replica"}}) {
    node.primary.lost = lost;
    EXPECT_EQ(verdict(), words);
  }
}

TEST_F(SilentReplica, ThatWasNeverTriedIsUnknown) {
  state.nodes[0].rest = {};
  EXPECT_EQ(judged().why, "has not been checked yet");
  state.published = {};
  EXPECT_EQ(verdict(), "drain unknown");
}

TEST_F(SilentReplica, WithoutAVerdictBeforeItIsDrained) {
  node.rest.failures = 1;
  state.published.pools.clear();
  EXPECT_EQ(verdict(), "drain silent");
  state.published.pools.resize(1);
  EXPECT_EQ(verdict(), "drain silent");
  state.published.pools.resize(2);
  EXPECT_EQ(verdict(), "drain silent");
}

// The primary on a listener for replicas.
class PrimaryForReads : public ReplicaRules {
 protected:
  NodeState& primary = state.nodes[1];
};

TEST_F(PrimaryForReads, IsNotUsed) {
  EXPECT_EQ(verdict(1), "drain is_primary");
  listen.to = Target::kAny;
  EXPECT_EQ(verdict(1), "admit primary");
  listen.to = Target::kReplica;
  state.primary->verdict = {Admission::kDrain, Reason::kSilent, ""};
  EXPECT_EQ(verdict(1), "drain silent");
}

TEST_F(PrimaryForReads, ThatWasAReplicaDrainsForAWhile) {
  primary.replica.seen = true;
  listen.drain_timeout = seconds(60);
  primary.primary.since = ago(seconds(60) - milliseconds(1));
  EXPECT_EQ(verdict(1), "drain promoted");
  primary.primary.since = ago(seconds(60));
  EXPECT_EQ(verdict(1), "cut is_primary");
  primary.primary.since.reset();
  EXPECT_EQ(verdict(1), "drain promoted");
}

TEST_F(PrimaryForReads, TakesThemIfNoReplicaCan) {
  listen.fallback_to_primary = true;
  EXPECT_EQ(verdict(1), "drain stand_in");
  for (const std::size_t i : {0u, 2u}) answers(i, Cluster::promoting(5));
  EXPECT_EQ(verdict(1), "admit fallback");
  EXPECT_EQ(verdict(0), "drain promoting");
  state.first_round_done = false;
  EXPECT_EQ(verdict(1), "drain unknown");
  state.first_round_done = true;
  state.primary->verdict.admission = Admission::kDrain;
  EXPECT_EQ(verdict(1), "drain primary");
  answers(0, standby_leader());
  EXPECT_EQ(verdict(0), "admit fallback");
  listen.to = Target::kAny;
  EXPECT_EQ(verdict(0), "admit replica");
  listen.to = Target::kReplica;
  listen.fallback_to_primary = false;
  EXPECT_EQ(verdict(0), "drain standby_leader");
}

class MeasureLag : public ReplicaRules {
 protected:
  MeasureLag() {
    answers(1, Cluster::leader(5, 1'000));
    for (NodeState& n : state.nodes) n.rest.report_round = 7;
  }
  std::optional<std::uint64_t> measured(std::uint64_t replayed, std::size_t i = 0) {
    state.nodes[i].rest.report->replayed = replayed;
    JudgeContext j = context();
    measure_lag(j);
    return state.nodes[i].replica.lag;
  }
};

TEST_F(MeasureLag, AgainstThePrimaryOfTheSameRound) {
  EXPECT_EQ(measured(900), 100u);
  EXPECT_EQ(state.nodes[2].replica.lag_round, 7u);
  EXPECT_EQ(measured(800), 100u) << "once a round";
  node.rest.report_round = 8;
  EXPECT_EQ(measured(800), 100u) << "the primary has not answered in it";
  state.nodes[1].rest.report_round = 8;
  EXPECT_EQ(measured(800), 200u);
  node.rest.report_round = state.nodes[1].rest.report_round = 9;
  EXPECT_EQ(measured(1'001), 0u);
}

TEST_F(MeasureLag, NotOfNodesThatDoNotReplicateIt) {
  fails(0, Outcome::kSilent, 1);
  EXPECT_FALSE(measured(900));
  answers(0, foreign(Cluster::replica(5)));
  EXPECT_FALSE(measured(900));
  answers(0, Cluster::replica(5));
  state.primary->proven = false;
  EXPECT_FALSE(measured(900));
}

TEST_F(MeasureLag, ThePrimaryItselfHasNone) {
  state.nodes[1].replica.lag = 5;
  measured(900);
  EXPECT_FALSE(state.nodes[1].replica.lag);
}

TEST_F(MeasureLag, AgainstTheLeaderOfAStandbyCluster) {
  state.primary.reset();
  answers(1, Cluster::replica(5));
  EXPECT_FALSE(measured(900));
  Report leader = standby_leader();
  leader.replayed = 1'000;
  answers(0, leader).rest.report_round = 7;
  EXPECT_EQ(measured(900, 2), 100u);
  leader.replayed.reset();
  answers(0, leader).rest.report_round = 8;
  state.nodes[2].rest.report_round = 8;
  EXPECT_EQ(measured(800, 2), 100u) << "its position is not known";
}

}  // namespace
}  // namespace pgsteer
