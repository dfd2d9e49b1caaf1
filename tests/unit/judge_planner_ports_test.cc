// When PostgreSQL's port is asked whether it answers, and whether it takes TLS.
#include "tests/unit/judge_planner.h"

namespace pgsteer {
namespace {

class PortChecks : public Planner {
 protected:
  PortChecks() {
    fails(0, Outcome::kRefused, 5, 5).database.answer = DatabaseAnswer::kAnswers;
    state.nodes[0].rest.in_flight = true;
  }
  bool is_asked(std::size_t i, milliseconds before) {
    state.nodes[i].database.in_flight = false;
    state.nodes[i].database.asked_at = ago(before);
    plan();
    return asked(ProbeKind::kDatabase) == Nodes{i};
  }
};

TEST_F(PortChecks, TwiceASecondAtFirst) {
  EXPECT_FALSE(is_asked(0, milliseconds(499)));
  EXPECT_EQ(wakes_in(), milliseconds(1));
  EXPECT_TRUE(is_asked(0, milliseconds(500)));
  EXPECT_TRUE(state.nodes[0].database.in_flight);
  EXPECT_EQ(state.nodes[0].database.asked_at, now);
  plan();
  EXPECT_TRUE(requests.empty()) << "one at a time";
}

TEST_F(PortChecks, LaterOnceInFiveSeconds) {
  state.nodes[0].rest.failing_since = ago(seconds(5) - milliseconds(1));
  EXPECT_TRUE(is_asked(0, milliseconds(500)));
  state.nodes[0].rest.failing_since = ago(seconds(5));
  EXPECT_FALSE(is_asked(0, milliseconds(4'999)));
  EXPECT_TRUE(is_asked(0, seconds(5)));
}

TEST_F(PortChecks, AtOnceAfterNewTrouble) {
  NodeState& n = state.nodes[0];
  n.database.answer = DatabaseAnswer::kUnknown;
  n.rest.leader_sent = ago(milliseconds(50));
  EXPECT_TRUE(is_asked(0, milliseconds(51)));
  EXPECT_FALSE(is_asked(0, milliseconds(50)));
  n.database.answer = DatabaseAnswer::kAnswers;
  EXPECT_FALSE(is_asked(0, milliseconds(51)));
}

TEST_F(PortChecks, OfThePrimaryAtTheHuntingPace) {
  state.nodes[0].rest.failures = 0;
  answers(0, Cluster::replica(5));
  unproven();
  hangs(1);
  hunting(seconds(1));
  state.nodes[1].rest.in_flight = true;
  EXPECT_FALSE(is_asked(1, milliseconds(199)));
  EXPECT_TRUE(is_asked(1, milliseconds(200)));
  state.rounds.hunting_since = ago(seconds(30));
  EXPECT_FALSE(is_asked(1, milliseconds(249)));
  EXPECT_TRUE(is_asked(1, milliseconds(250)));
}

TEST_F(PortChecks, OfANodeWhoseQueryFailsOrIsLate) {
  NodeState& n = answers(0, Cluster::replica(5));
  n.rest.in_flight = true;
  n.rest.kind = ProbeKind::kLeader;
  n.rest.sent = ago(kLate - milliseconds(1));
  EXPECT_FALSE(is_asked(0, seconds(9)));
  EXPECT_EQ(wakes_in(), milliseconds(900)) << "it is not the primary";
  n.rest.sent = ago(kLate);
  EXPECT_TRUE(is_asked(0, milliseconds(500)));
  EXPECT_FALSE(is_asked(0, milliseconds(499)));
  n.rest.in_flight = false;
  n.rest.incomplete_replies = 1;
  n.rest.leader_sent = now;
  n.rest.failing_since = ago(seconds(60));
  EXPECT_TRUE(is_asked(0, milliseconds(500)));
}

TEST_F(PortChecks, NotWithoutAnAddress) {
  state.nodes[0].addresses.clear();
  EXPECT_FALSE(is_asked(0, seconds(9)));
}

class TlsChecks : public Planner {
 protected:
  bool is_asked() {
    state.nodes[0].tls.in_flight = false;
    plan();
    return asked(ProbeKind::kTls) == Nodes{0};
  }
};

TEST_F(TlsChecks, OnceAndAgainAfterAMinuteWithoutAnAnswer) {
  TlsState& tls = state.nodes[0].tls;
  EXPECT_FALSE(is_asked());
  tls.asked = false;
  EXPECT_TRUE(is_asked());
  EXPECT_TRUE(tls.asked);
  EXPECT_TRUE(tls.in_flight);
  EXPECT_EQ(tls.asked_at, now);
  tls.answer = TlsAnswer::kUnknown;
  tls.asked_at = ago(seconds(60) - milliseconds(1));
  EXPECT_FALSE(is_asked());
  tls.asked_at = ago(seconds(60));
  EXPECT_TRUE(is_asked());
  plan();
  EXPECT_TRUE(requests.empty()) << "one at a time";
}

TEST_F(TlsChecks, OnlyWherePostgresqlAnswers) {
  NodeState& n = state.nodes[0];
  n.tls.asked = false;
  n.rest.report->replayed.reset();
  EXPECT_FALSE(is_asked());
  n.database.answer = DatabaseAnswer::kAnswers;
  EXPECT_TRUE(is_asked());
  n.tls.asked = false;
  n.addresses.clear();
  EXPECT_FALSE(is_asked());
}

TEST_F(TlsChecks, OneInFlightBlocksNoOtherNode) {
  state.nodes[0].tls.asked = state.nodes[2].tls.asked = false;
  state.nodes[0].tls.in_flight = true;
  plan();
  EXPECT_EQ(asked(ProbeKind::kTls), Nodes{2});
}

}  // namespace
}  // namespace pgsteer
