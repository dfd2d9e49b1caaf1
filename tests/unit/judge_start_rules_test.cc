// When enough has been heard to decide something, and what GET /cluster tells.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

class FirstRound : public JudgeFacts {
 protected:
  FirstRound() {
    state.first_round_done = false;
    state.rounds.number = 1;
    state.rounds.first = now;
  }
  bool done() {
    state.first_round_done = false;
    JudgeContext j = context();
    note_first_round(j);
    return state.first_round_done;
  }
};

TEST_F(FirstRound, NotBeforeItHasBegun) {
  for (const std::size_t i : {0u, 1u, 2u}) answers(i, Cluster::replica(5));
  state.rounds.number = 0;
  EXPECT_FALSE(done());
  state.rounds.number = 1;
  EXPECT_TRUE(done());
}

TEST_F(FirstRound, ItStaysDone) {
  state.first_round_done = true;
  JudgeContext j = context();
  note_first_round(j);
  EXPECT_TRUE(state.first_round_done) << "though nobody was tried";
}

TEST_F(FirstRound, WhenAllWereTried) {
  fails(0, Outcome::kSilent, 1);
  fails(1, Outcome::kSilent, 1);
  EXPECT_FALSE(done());
  fails(2, Outcome::kSilent, 1);
  EXPECT_TRUE(done());
}

TEST_F(FirstRound, WhenOneAnsweredAndTheOthersHadTheirTime) {
  state.rounds.first = ago(milliseconds(100));
  EXPECT_FALSE(done());
  answers(0, Cluster::replica(5));
  EXPECT_TRUE(done());
  state.rounds.first = ago(milliseconds(99));
  EXPECT_FALSE(done());
}

TEST_F(FirstRound, WhenTheAnswersOfAMajorityAreClear) {
  answers(0, Cluster::replica(5));
  EXPECT_FALSE(done());
  answers(1, Cluster::leader(5));
  EXPECT_TRUE(done());
  answers(0, Cluster::replica(4));
  EXPECT_TRUE(done()) << "it is behind";
  state.nodes.resize(4);
  config.nodes.resize(4);
  EXPECT_FALSE(done()) << "a half is no majority";
}

TEST_F(FirstRound, AndTheyAreNotClear) {
  answers(0, Cluster::replica(5));
  const auto with = [&](const Report& second) {
    answers(1, second);
    return done();
  };
  ASSERT_TRUE(with(Cluster::leader(5)));
  EXPECT_FALSE(with(Cluster::replica(5))) << "nobody leads";
  EXPECT_FALSE(with(Cluster::promoting(5))) << "it does not yet";
  EXPECT_FALSE(with(by_role(Cluster::leader(5))));
  EXPECT_FALSE(with(Cluster::leader(4))) << "another one is on a higher timeline";
  EXPECT_FALSE(with(foreign(Cluster::leader(5)))) << "they belong to two clusters";
  Report scope = Cluster::leader(5);
  scope.scope = "away";
  EXPECT_FALSE(with(scope));
  answers(0, Cluster::promoting(5));
  EXPECT_FALSE(with(Cluster::leader(5))) << "two have the lease";
  answers(0, Cluster::leader(5));
  EXPECT_FALSE(with(Cluster::leader(4)));
}

TEST_F(FirstRound, OneDifferenceAmongThreeIsEnough) {
  state.nodes.resize(5);
  config.nodes.resize(5, config.nodes[0]);
  answers(0, Cluster::leader(5));
  answers(1, Cluster::replica(5));
  answers(2, Cluster::replica(6));
  EXPECT_FALSE(done());
  answers(2, foreign(Cluster::replica(5)));
  EXPECT_FALSE(done());
  answers(2, Cluster::promoting(5));
  EXPECT_FALSE(done()) << "the last one has the lease, too";
  answers(2, Cluster::replica(5));
  EXPECT_TRUE(done());
}

class NoteCluster : public JudgeFacts {
 protected:
  NoteCluster() { answers(0, Cluster::replica(5)); }
  static ClusterMember member(const std::string& name, const std::string& role = "replica") {
    ClusterMember m;
    m.name = name;
    m.role = role;
    m.leader = role != "replica";
    m.timeline = 6;
    return m;
  }
  void reply(std::vector<ClusterMember> members, milliseconds age = milliseconds(50)) {
    ClusterReport report;
    for (const ClusterMember& m : members) {
      if (m.leader) report.leader = m;
    }
    report.members = std::move(members);
    JudgeContext j = context();
    note_cluster(j, ClusterEvidence{0, ago(age), now, report});
  }
  const std::optional<StoreAnswer>& answer = state.nodes[0].store;
};

TEST_F(NoteCluster, WhomTheStoreNames) {
  state.nodes[0].rest.in_flight = true;
  reply({member("pg-1"), member("pg-2", "leader")});
  EXPECT_FALSE(state.nodes[0].rest.in_flight);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->sent, ago(milliseconds(50)));
  EXPECT_TRUE(answer->named);
  EXPECT_EQ(answer->leader, 1u);
  EXPECT_FALSE(answer->standby);
  EXPECT_EQ(answer->timeline, 6u);
  reply({member("pg-2", "standby_leader")});
  EXPECT_TRUE(answer->standby);
  reply({member("other", "leader")});
  EXPECT_TRUE(answer->named);
  EXPECT_FALSE(answer->leader);
  reply({member("pg-2", "standby_leader")});
  reply({member("pg-2")});
  EXPECT_FALSE(answer->named);
  EXPECT_FALSE(answer->leader);
  EXPECT_FALSE(answer->standby);
}

TEST_F(NoteCluster, TheMembers) {
  reply({member("pg-1"), member("pg-2", "leader"), member("other")});
  EXPECT_TRUE(state.members.known);
  EXPECT_EQ(state.members.strangers, 1u);
  EXPECT_EQ(state.members.by_node, (std::vector<bool>{true, true, false}));
  EXPECT_FALSE(answer->complete);
  EXPECT_EQ(state.members.due, now + seconds(30));
  reply({member("pg-3")});
  EXPECT_EQ(state.members.strangers, 0u);
  EXPECT_EQ(state.members.by_node, (std::vector<bool>{false, false, true}));
}

TEST_F(NoteCluster, AMemberKeepsItsNodeAndEachNodeHasOne) {
  ClusterMember m = member("a", "leader");
  m.host = "10.0.0.2";
  m.port = 5432;
  reply({m});
  EXPECT_EQ(answer->leader, 1u) << "by its address";
  EXPECT_EQ(state.nodes[1].member, "a");
  m.host = "10.0.0.3";
  reply({m});
  EXPECT_EQ(answer->leader, 1u) << "by its name, at a new address";
  ClusterMember other = member("b");
  other.host = "10.0.0.2";
  other.port = 5432;
  reply({other, m});
  EXPECT_EQ(answer->leader, 1u);
  EXPECT_EQ(state.members.strangers, 1u) << "the old address belongs to nobody";
  reply({member("pg-1"), member("a"), member("pg-3")});
  EXPECT_TRUE(answer->complete);
}

TEST_F(NoteCluster, AFailureProvesNothing) {
  reply({member("pg-2", "leader")});
  state.nodes[0].rest.in_flight = true;
  JudgeContext j = context();
  note_cluster(j, ClusterEvidence{0, now, now, std::nullopt});
  EXPECT_FALSE(state.nodes[0].rest.in_flight);
  EXPECT_EQ(answer->leader, 1u);
}

TEST_F(NoteCluster, NorDoesAForeignNodeOrAnOlderAnswer) {
  reply({member("pg-2", "leader")});
  reply({member("pg-3", "leader")}, milliseconds(51));
  EXPECT_EQ(answer->leader, 1u);
  reply({member("pg-3", "leader")}, milliseconds(50));
  EXPECT_EQ(answer->leader, 2u);
  answers(0, foreign(Cluster::replica(5)));
  reply({member("pg-2", "leader")}, milliseconds(1));
  EXPECT_EQ(answer->leader, 2u);
}

class NamesNode : public JudgeFacts {
 protected:
  NamesNode() {
    config.nodes[1].host = "pg-2.example";
    config.nodes[1].port = 6000;
    config.nodes[1].rest = "http://pg-2.example:9008";
    member.name = "m2";
  }
  bool found() { return names_node(config, state, member, 1); }

  ClusterMember member;
};

TEST_F(NamesNode, ByTheNameThatItReportsItself) {
  answers(1, Cluster::replica(5)).rest.report->patroni_name = "m2";
  EXPECT_TRUE(found());
  state.nodes[1].rest.report->patroni_name = "m3";
  EXPECT_FALSE(found());
  member.name = "pg-2";
  member.api_url = "http://pg-2.example:9008/patroni";
  EXPECT_FALSE(found()) << "its own word stands against name and address";
}

TEST_F(NamesNode, ByItsApi) {
  answers(1, Cluster::replica(5));  // before 3.2 it does not tell its name
  for (const char* url : {"http://pg-2.example:9008/patroni", "http://pg-2.example:9008",
                          "https://pg-2.example:9008/x/y"}) {
    member.api_url = url;
    EXPECT_TRUE(found()) << url;
  }
  for (const char* url :
       {"http://pg-2.example:8008/patroni", "http://xg-2.example:9008", "", "x"}) {
    member.api_url = url;
    EXPECT_FALSE(found()) << url;
  }
}

TEST_F(NamesNode, ByHostAndPort) {
  member.host = "pg-2.example";
  member.port = 6000;
  EXPECT_TRUE(found());
  member.port = 6001;
  EXPECT_FALSE(found());
  member.port = 6000;
  member.host = "pg-3.example";
  EXPECT_FALSE(found());
}

TEST_F(NamesNode, ByAnAddressOfItsHost) {
  state.nodes[1].addresses = {with_port(*numeric_address("10.0.0.7"), 6000),
                              with_port(*numeric_address("fd00::7"), 6000)};
  member.port = 6000;
  for (const char* host : {"10.0.0.7", "fd00::7"}) {
    member.host = host;
    EXPECT_TRUE(found()) << host;
  }
  for (const char* host : {"10.0.0.8", "fd00::8", "0.0.0.7"}) {
    member.host = host;
    EXPECT_FALSE(found()) << host;
  }
}

TEST_F(NamesNode, ByTheConfiguredName) {
  EXPECT_FALSE(found());
  member.name = "pg-2";
  EXPECT_TRUE(found());
}

// No primary, and Patroni hangs on node 1, which members name.
class ChooseWitnessed : public JudgeFacts {
 protected:
  ChooseWitnessed() {
    answers(0, Cluster::replica(5));
    answers(2, Cluster::replica(5));
    hangs(1);
    reads_store(0, 1, seconds(1));
  }
  NodeState& hangs(std::size_t i) {
    NodeState& n = fails(i, Outcome::kSilent, 3);
    n.database.answer = DatabaseAnswer::kAnswers;
    return n;
  }
  std::string chosen() {
    state.primary.reset();
    JudgeContext j = context();
    choose_witnessed(j);
    told = j.out.transitions;
    if (!state.primary) return "nobody";
    return "pg-" + std::to_string(state.primary->node + 1) + " " +
           Cluster::words(state.primary->verdict);
  }
  NodeState& node = state.nodes[1];
  std::vector<Transition> told;
};

TEST_F(ChooseWitnessed, OnTrialByOneWitness) {
  node.primary.lost = Reason::kLostRole;
  EXPECT_EQ(chosen(), "pg-2 admit trial");
  EXPECT_TRUE(state.primary->on_trial);
  EXPECT_FALSE(state.primary->proven);
  EXPECT_EQ(state.primary->timeline, 5u);
  EXPECT_EQ(state.primary->since, now);
  EXPECT_EQ(state.last_primary, 1u);
  EXPECT_EQ(node.primary.since, now);
  EXPECT_EQ(node.primary.lost, Reason::kNotPrimary);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].kind, TransitionKind::kNewPrimary);
  EXPECT_EQ(told[0].node, 1u);
}

TEST_F(ChooseWitnessed, ByTwoWithoutATrial) {
  reads_store(2, 1, seconds(1));
  EXPECT_EQ(chosen(), "pg-2 admit witnessed");
  state.nodes.push_back(state.nodes[2]);
  config.nodes.push_back(config.nodes[2]);
  EXPECT_EQ(chosen(), "pg-2 admit witnessed") << "by three";
}

TEST_F(ChooseWitnessed, WithoutATrialIfASessionCouldWriteSince) {
  node.database.writable_at = node.rest.failing_since;
  EXPECT_EQ(chosen(), "pg-2 admit trial");
  node.database.writable_at = node.rest.failing_since + milliseconds(1);
  EXPECT_EQ(chosen(), "pg-2 admit witnessed");
}

TEST_F(ChooseWitnessed, NotOneThatHasSteppedDownSince) {
  node.rest.report = Cluster::replica(5);
  EXPECT_EQ(chosen(), "nobody");
  state.nodes[0].store->timeline = 6;
  EXPECT_EQ(chosen(), "pg-2 admit trial") << "it was promoted since";
  state.nodes[0].store->timeline = 5;
  node.rest.report = Cluster::promoting(5);
  EXPECT_EQ(chosen(), "nobody") << "it was in recovery, and has not been promoted since";
  state.nodes[0].store->timeline = 6;
  EXPECT_EQ(chosen(), "pg-2 admit trial");
  state.nodes[0].store->timeline = 5;
  node.rest.report = Cluster::leader(5);
  node.rest.report->lease = false;
  EXPECT_EQ(chosen(), "pg-2 admit trial") << "it took writes";
}

TEST_F(ChooseWitnessed, NobodyWhileAnotherShowsTheLease) {
  answers(2, Cluster::leader(5));
  EXPECT_EQ(chosen(), "nobody");
  answers(2, by_role(Cluster::leader(5)));
  EXPECT_EQ(chosen(), "pg-2 admit trial");
  answers(2, foreign(Cluster::leader(5)));
  EXPECT_EQ(chosen(), "pg-2 admit trial");
}

TEST_F(ChooseWitnessed, NobodyWithoutTheSigns) {
  state.identity.identifier = "";
  EXPECT_EQ(chosen(), "nobody");
  state.identity.identifier = "7001";
  node.database.in_recovery = true;
  EXPECT_EQ(chosen(), "nobody");
  node.database.in_recovery = false;
  node.database.answer = DatabaseAnswer::kUnknown;
  EXPECT_EQ(chosen(), "nobody");
  node.database.answer = DatabaseAnswer::kAnswers;
  node.rest.report = foreign(Cluster::leader(5));
  EXPECT_EQ(chosen(), "nobody");
  node.rest.report.reset();
  node.rest.definite_failures = 2;
  EXPECT_EQ(chosen(), "nobody");
  node.rest.definite_failures = 0;
  EXPECT_EQ(chosen(), "pg-2 admit trial");
  state.nodes[0].store.reset();
  EXPECT_EQ(chosen(), "nobody");
}

TEST_F(ChooseWitnessed, OnlyOnAKnownTimelineThatIsTheHighestInSight) {
  state.nodes[0].store->timeline = 0;
  EXPECT_EQ(chosen(), "nobody");
  state.nodes[0].store->timeline = 4;
  EXPECT_EQ(chosen(), "nobody");
  for (const std::size_t i : {0u, 2u}) answers(i, Cluster::replica(1));
  state.nodes[0].store->timeline = 1;
  EXPECT_EQ(chosen(), "pg-2 admit trial");
}

TEST_F(ChooseWitnessed, OneThatHangsAndIsNotNamedIsPassedOver) {
  hangs(2).rest.report = Cluster::leader(5);
  reads_store(0, 2, seconds(1));
  EXPECT_EQ(chosen(), "pg-3 admit trial");
}

}  // namespace
}  // namespace pgsteer
