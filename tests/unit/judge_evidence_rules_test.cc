// Evidence into facts: what each piece changes, and at which moment.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

using std::chrono::minutes;

class EvidenceRules : public JudgeFacts {
 protected:
  void take(const Evidence& evidence) {
    JudgeContext j = context();
    apply(j, evidence);
    told = j.out.transitions;
  }
  // Sent `ago` before now, received now.
  void reply(const Report& report, milliseconds before = milliseconds(10)) {
    take(LeaderEvidence{1, ago(before), now, report});
  }
  void failure(Outcome outcome, milliseconds before = milliseconds(10)) {
    reply(failed_report(outcome, to_string(outcome)), before);
  }
  void port(DatabaseAnswer answer) { take(DatabaseEvidence{1, ago(milliseconds(5)), now, answer}); }
  bool suspect(SuspicionKind kind = SuspicionKind::kServerEnded, std::size_t i = 1) {
    take(SuspicionEvidence{{i, kind}});
    return !told.empty();
  }

  NodeState& node = state.nodes[1];
  std::vector<Transition> told;
};

TEST_F(EvidenceRules, OfNodesThatDoNotExistIsIgnored) {
  const std::size_t none = state.nodes.size();
  take(LeaderEvidence{none, now, now, Cluster::leader(5)});
  take(ConfigEvidence{none, now, now, DcsTimes{}});
  take(ClusterEvidence{none, now, now, ClusterReport{}});
  take(DatabaseEvidence{none, now, now, DatabaseAnswer::kAnswers});
  take(TlsEvidence{none, TlsAnswer::kYes});
  take(AddressEvidence{none, {}});
  take(WritableEvidence{none});
  EXPECT_FALSE(suspect(SuspicionKind::kServerEnded, none));
  EXPECT_FALSE(state.settings.known);
}

TEST_F(EvidenceRules, FailuresInARow) {
  failure(Outcome::kRefused, milliseconds(30));
  EXPECT_EQ(node.rest.failing_since, ago(milliseconds(30)));
  failure(Outcome::kEmpty, milliseconds(20));
  EXPECT_EQ(node.rest.failures, 2u);
  EXPECT_EQ(node.rest.definite_failures, 2u);
  EXPECT_EQ(node.rest.failing_since, ago(milliseconds(30)));
  for (const Outcome outcome : {Outcome::kSilent, Outcome::kUnreachable, Outcome::kTlsFailed}) {
    failure(Outcome::kRefused);
    failure(outcome);
    EXPECT_EQ(node.rest.definite_failures, 0u) << to_string(outcome);
  }
  failure(Outcome::kRefused);
  EXPECT_EQ(node.rest.failures, 9u);
  EXPECT_EQ(node.rest.definite_failures, 1u);
  reply(Cluster::replica(5));
  EXPECT_EQ(node.rest.failures, 0u);
  EXPECT_EQ(node.rest.definite_failures, 0u);
}

TEST_F(EvidenceRules, AnOlderAnswerOfThePortCountsNoMore) {
  node.database = {DatabaseAnswer::kAnswers, ago(milliseconds(10)), {}, false, 0, {}, false, {}};
  failure(Outcome::kRefused, milliseconds(10));
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kAnswers) << "of the same moment";
  reply(Cluster::replica(5));
  node.database.answer = DatabaseAnswer::kAnswers;
  failure(Outcome::kRefused, milliseconds(9));
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kUnknown);
  node.database.answer = DatabaseAnswer::kAnswers;
  failure(Outcome::kRefused, milliseconds(1));
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kAnswers) << "only with the first failure";
}

TEST_F(EvidenceRules, AnAnswerReplacesWhatThePortAndSessionsTold) {
  const auto spoil = [&] {
    node.database.answer = DatabaseAnswer::kHung;
    node.database.failures = 3;
    node.database.in_recovery = true;
  };
  spoil();
  reply(Cluster::without_query(true, State::kUnknown, "unknown", Role::kPrimary));
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kHung) << "PostgreSQL has not been heard of";
  EXPECT_TRUE(node.database.in_recovery);
  EXPECT_EQ(node.rest.incomplete_replies, 1u);
  reply(Cluster::leader(5));
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kUnknown);
  EXPECT_EQ(node.database.failures, 0u);
  EXPECT_FALSE(node.database.in_recovery);
  EXPECT_EQ(node.rest.incomplete_replies, 0u);
}

TEST_F(EvidenceRules, TheLeaseCountsFromItsFirstReply) {
  reply(Cluster::leader(5));
  const Instant first = now;
  EXPECT_EQ(node.lease.replies, 1u);
  EXPECT_EQ(node.lease.since, first);
  now += seconds(1);
  reply(Cluster::leader(5));
  EXPECT_EQ(node.lease.replies, 2u);
  EXPECT_EQ(node.lease.since, first);
  reply(by_role(Cluster::leader(5)));
  EXPECT_EQ(node.lease.replies, 0u);
  reply(Cluster::leader(5));
  EXPECT_EQ(node.lease.since, now);
  failure(Outcome::kSilent);
  EXPECT_EQ(node.lease.replies, 0u);
}

TEST_F(EvidenceRules, WhoIsSynchronousStandsWhileTheStoreIsAway) {
  const auto standby = [&](bool sync, bool quorum, bool unlocked) {
    Report r = Cluster::replica(5);
    r.sync = sync;
    r.quorum = quorum;
    r.cluster_unlocked = unlocked;
    reply(r);
  };
  standby(true, false, false);
  standby(false, false, true);
  EXPECT_TRUE(node.replica.sync);
  standby(false, true, true);
  EXPECT_FALSE(node.replica.sync);
  EXPECT_TRUE(node.replica.quorum);
  standby(true, false, true);
  EXPECT_TRUE(node.replica.sync);
  EXPECT_FALSE(node.replica.quorum);
  standby(false, false, false);
  EXPECT_FALSE(node.replica.sync);
}

TEST_F(EvidenceRules, APatroniThatCameBackMayNotKnowOfThePause) {
  Report paused = Cluster::replica(5);
  paused.pause = true;
  reply(Cluster::replica(5));
  EXPECT_FALSE(node.pause.known) << "it is the first answer";
  now += milliseconds(4'999);
  reply(Cluster::replica(5));
  EXPECT_FALSE(node.pause.known);
  now += milliseconds(1);
  reply(Cluster::replica(5));
  EXPECT_TRUE(node.pause.known);
  failure(Outcome::kRefused);
  reply(Cluster::replica(5));
  EXPECT_FALSE(node.pause.known) << "it has just come back";
  reply(paused);
  EXPECT_TRUE(node.pause.known);
  EXPECT_TRUE(node.pause.paused);
  reply(Cluster::replica(5));
  EXPECT_FALSE(node.pause.known);
  EXPECT_TRUE(node.pause.paused) << "until it knows otherwise";
  reply(Cluster::leader(5));
  EXPECT_TRUE(node.pause.known);
  EXPECT_FALSE(node.pause.paused);
}

TEST_F(EvidenceRules, ANodeThatCameBackIsAskedForTlsAgain) {
  const auto asked_again = [&](bool failing, TlsAnswer answer, std::chrono::milliseconds age) {
    reply(Cluster::replica(5));
    if (failing) failure(Outcome::kRefused);
    node.tls = {answer, true, ago(age), false};
    reply(Cluster::replica(5));
    return !node.tls.asked;
  };
  EXPECT_TRUE(asked_again(true, TlsAnswer::kNo, minutes(1) + milliseconds(1)));
  EXPECT_FALSE(asked_again(true, TlsAnswer::kNo, minutes(1)));
  EXPECT_FALSE(asked_again(false, TlsAnswer::kNo, minutes(5)));
  EXPECT_FALSE(asked_again(true, TlsAnswer::kUnknown, minutes(5))) << "it is asked anyway";
}

TEST_F(EvidenceRules, TheConfiguration) {
  node.rest.in_flight = true;
  take(ConfigEvidence{1, ago(seconds(1)), now, std::nullopt});
  EXPECT_FALSE(node.rest.in_flight);
  EXPECT_FALSE(state.settings.known);
  EXPECT_EQ(state.settings.due, now + seconds(5));
  const DcsTimes first{seconds(20), seconds(4), seconds(3)};
  take(ConfigEvidence{1, ago(seconds(1)), now, first});
  EXPECT_TRUE(state.settings.known);
  EXPECT_EQ(state.settings.times, first);
  EXPECT_EQ(state.settings.due, now + seconds(30));
  EXPECT_FALSE(state.settings.changed) << "nothing was known before";
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].text,
            "Patroni's configuration: ttl 20.0 s, loop_wait 4.0 s, retry_timeout 3.0 s");
  take(ConfigEvidence{1, ago(seconds(1)), now, first});
  EXPECT_TRUE(told.empty());
  EXPECT_FALSE(state.settings.changed);
  const DcsTimes second{seconds(60), seconds(4), seconds(3)};
  now += seconds(1);
  take(ConfigEvidence{1, ago(seconds(1)), now, second});
  EXPECT_EQ(told.size(), 1u);
  EXPECT_EQ(state.settings.before, first);
  EXPECT_EQ(state.settings.changed, now);
  EXPECT_EQ(state.settings.times, second);
}

// PostgreSQL's port while Patroni does not answer.
TEST_F(EvidenceRules, ThePortIsHeardOnlyWhilePatroniIsNot) {
  reply(Cluster::replica(5));
  node.database.in_flight = true;
  port(DatabaseAnswer::kRefused);
  EXPECT_FALSE(node.database.in_flight);
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kUnknown);
  EXPECT_EQ(node.database.answered_at, Instant{});
  failure(Outcome::kSilent);
  port(DatabaseAnswer::kRefused);
  EXPECT_EQ(node.database.answer, DatabaseAnswer::kRefused);
  EXPECT_EQ(node.database.answered_at, now);
  EXPECT_EQ(node.database.failures, 1u);
}

TEST_F(EvidenceRules, OneSlowAnswerOfALivingPortDoesNotCount) {
  for (const DatabaseAnswer slow : {DatabaseAnswer::kHung, DatabaseAnswer::kUnreachable}) {
    failure(Outcome::kSilent);
    port(DatabaseAnswer::kAnswers);
    EXPECT_EQ(node.database.failures, 0u);
    port(slow);
    EXPECT_EQ(node.database.answer, DatabaseAnswer::kAnswers);
    port(slow);
    EXPECT_EQ(node.database.answer, slow);
    EXPECT_EQ(node.database.failures, 2u);
    port(DatabaseAnswer::kAnswers);
    EXPECT_EQ(node.database.answer, DatabaseAnswer::kAnswers);
    port(DatabaseAnswer::kRefused);
    EXPECT_EQ(node.database.answer, DatabaseAnswer::kRefused) << "a refusal is definite";
    port(slow);
    EXPECT_EQ(node.database.answer, slow) << "it did not live";
  }
}

TEST_F(EvidenceRules, ARefusalEndsWhatASessionSaw) {
  failure(Outcome::kSilent);
  node.database.in_recovery = true;
  port(DatabaseAnswer::kAnswers);
  EXPECT_TRUE(node.database.in_recovery);
  port(DatabaseAnswer::kRefused);
  EXPECT_FALSE(node.database.in_recovery);
}

TEST_F(EvidenceRules, Addresses) {
  node.tls = {TlsAnswer::kYes, true, now, false};
  node.addresses.clear();
  take(AddressEvidence{1, {Cluster::address(4)}});
  EXPECT_EQ(node.addresses.size(), 1u);
  EXPECT_TRUE(told.empty()) << "the first one is no news";
  EXPECT_TRUE(node.tls.asked);
  take(AddressEvidence{1, {}});
  EXPECT_TRUE(node.resolve_failed);
  EXPECT_EQ(node.addresses.front(), Cluster::address(4)) << "an old one is better than none";
  take(AddressEvidence{1, {Cluster::address(4)}});
  EXPECT_FALSE(node.resolve_failed);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(node.tls.answer, TlsAnswer::kYes);
  take(AddressEvidence{1, {Cluster::address(5)}});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].text.find("resolves to"), std::string::npos);
  EXPECT_EQ(node.tls.answer, TlsAnswer::kUnknown);
  EXPECT_FALSE(node.tls.asked);
}

TEST_F(EvidenceRules, FutileSuspicionsAreIgnoredForLonger) {
  EXPECT_TRUE(suspect());
  EXPECT_EQ(state.suspicion.until, now + seconds(1));
  now = state.suspicion.until - milliseconds(1);
  EXPECT_FALSE(suspect()) << "one is being looked into";
  for (int futile = 1; futile <= 12; ++futile) {
    const auto pause = std::min(seconds(10), seconds(futile));
    now = state.suspicion.until + pause - milliseconds(1);
    EXPECT_FALSE(suspect()) << futile;
    now += milliseconds(1);
    EXPECT_TRUE(suspect()) << futile;
  }
  EXPECT_EQ(state.suspicion.futile, 10u);
}

TEST_F(EvidenceRules, AfterAQuietMinuteASuspicionIsNew) {
  suspect();
  state.suspicion.futile = 7;
  now = state.suspicion.until + minutes(1);
  EXPECT_TRUE(suspect());
  EXPECT_EQ(state.suspicion.futile, 8u);
  now = state.suspicion.until + minutes(1) + milliseconds(1);
  EXPECT_TRUE(suspect());
  EXPECT_EQ(state.suspicion.futile, 1u);
}

TEST_F(EvidenceRules, ASuspicionThatWasNotFutileDelaysNone) {
  suspect();
  state.suspicion.futile = 0;
  now = state.suspicion.until;
  EXPECT_TRUE(suspect());
}

TEST_F(EvidenceRules, WhoTurnedASessionAwayGetsNoOthers) {
  for (const auto& [kind, away] : {std::pair{SuspicionKind::kShuttingDown, true},
                                   {SuspicionKind::kConnectRefused, true},
                                   {SuspicionKind::kInHotStandby, true},
                                   {SuspicionKind::kServerEnded, false},
                                   {SuspicionKind::kConnectTimedOut, false}}) {
    state.suspicion = {};
    node.database.turned_away.reset();
    suspect(kind);
    EXPECT_EQ(node.database.turned_away.has_value(), away) << to_string(kind);
    EXPECT_FALSE(node.database.in_recovery) << "Patroni answers";
  }
}

TEST_F(EvidenceRules, AnIgnoredSuspicionCountsWhilePatroniIsSilent) {
  suspect();
  suspect(SuspicionKind::kShuttingDown);
  EXPECT_FALSE(node.database.turned_away);
  node.rest.failures = 1;
  suspect(SuspicionKind::kShuttingDown);
  EXPECT_EQ(node.database.turned_away, now);
}

TEST_F(EvidenceRules, ASessionFindsItInRecovery) {
  const auto found = [&](unsigned failures, unsigned incomplete) {
    node.database.in_recovery = false;
    node.rest.failures = failures;
    node.rest.incomplete_replies = incomplete;
    suspect(SuspicionKind::kShuttingDown);
    EXPECT_FALSE(node.database.in_recovery);
    suspect(SuspicionKind::kInHotStandby);
    return node.database.in_recovery;
  };
  EXPECT_FALSE(found(0, 0)) << "Patroni knows better";
  EXPECT_TRUE(found(1, 0));
  EXPECT_TRUE(found(0, 1));
  take(WritableEvidence{1});
  EXPECT_FALSE(node.database.in_recovery);
  EXPECT_EQ(node.database.writable_at, now);
}

}  // namespace
}  // namespace pgsteer
