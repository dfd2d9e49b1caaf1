// The evidence table: when even the fence deadline cuts nobody, because nobody could take over or
// because nothing can be checked.
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

class WithoutAnHeir : public testing::Test {
 protected:
  WithoutAnHeir() {
    for (auto& n : c.nodes) n.store_says = "pg-1";
  }
  Cluster c;
};

TEST_F(WithoutAnHeir, TheOnlyMemberIsNotCut) {
  c.nodes[1].member = c.nodes[2].member = false;
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.refuse(0);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  EXPECT_EQ(c.count(TransitionKind::kLost), 0u);
}

TEST_F(WithoutAnHeir, AMemberOutOfSightIsOne) {
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// It was listed nowhere when the members were last asked for.
TEST_F(WithoutAnHeir, AMemberThatHasJoinedSinceIsOne) {
  c.nodes[1].member = c.nodes[2].member = false;
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.answer(1, Cluster::replica(5));
  c.run(milliseconds(2'500));
  c.refuse(0);
  c.silence(1, DatabaseAnswer::kUnreachable);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// Whether it has joined cannot be told, as its API hangs and nobody can be asked for the members.
TEST_F(WithoutAnHeir, ANodeThatHangsMayBeOne) {
  c.nodes[1].member = c.nodes[2].member = false;
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.refuse(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  c.silence(1);
  c.run(seconds(5));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// The list of members is read also while the primary is kept for want of another.
TEST_F(WithoutAnHeir, AMemberThatJoinsLaterIsFoundOut) {
  c.nodes[1].reply.nofailover = true;
  c.nodes[2].member = false;
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.refuse(0);
  c.run(seconds(60));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  c.stranger_member = true;
  c.run(seconds(32));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST_F(WithoutAnHeir, AMemberThatIsNotConfiguredIsOne) {
  c.nodes[1].member = c.nodes[2].member = false;
  c.stranger_member = true;
  c.refuse(1, DatabaseAnswer::kRefused);
  c.refuse(2, DatabaseAnswer::kRefused);
  c.run(seconds(95));
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

// After pg_upgrade the others show a new identifier. The old leader, out of sight, is not kept.
TEST_F(WithoutAnHeir, ANodeThatWasBuiltAnewInOurScopeIsOne) {
  for (auto& n : c.nodes) {
    n.reply.scope = "main";
    n.reply.nofailover = true;
  }
  quiet(c);
  c.nodes[1].reply.system_identifier = "9009";
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
}

TEST_F(WithoutAnHeir, ANodeOfAnotherScopeIsNone) {
  for (auto& n : c.nodes) {
    n.reply.scope = "main";
    n.reply.nofailover = true;
  }
  c.nodes[1].reply.scope = "away";
  quiet(c);
  c.refuse(0);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "admit orphaned");
}

TEST_F(WithoutAnHeir, ReplicasThatNeverMayTakeOverAreNone) {
  for (std::size_t i : {1u, 2u}) c.nodes[i].reply.nofailover = true;
  quiet(c);
  c.refuse(0);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit orphaned");
}

TEST_F(WithoutAnHeir, ReplicasThatHaveLostTheStoreAreNoneUntilTheyReadItAgain) {
  quiet(c);
  for (std::size_t i : {1u, 2u}) {
    Report r = Cluster::replica(5);
    r.cluster_unlocked = true;
    c.answer(i, r);
    c.nodes[i].dcs_loop = false;
    c.nodes[i].dcs_stuck = c.wall(c.now);
    c.nodes[i].store_says = "";
  }
  c.refuse(0);
  c.run(seconds(120));
  EXPECT_EQ(c.rw(0), "admit orphaned");
  c.nodes[1].dcs_loop = true;
  EXPECT_LE(until_cut(c), milliseconds(300));
}

// An expired certificate of the CA, say: that is no verdict on a database.
TEST(JudgeWitness, TlsThatFailsEverywhereCostsNobodyASession) {
  Cluster c;
  quiet(c);
  for (auto& n : c.nodes) {
    n.outcome = Outcome::kTlsFailed;
    n.latency = milliseconds(3);
  }
  c.run(seconds(300));
  EXPECT_EQ(c.rw(0), "admit uncheckable");
  EXPECT_TRUE(c.alarm(AlarmKind::kUncheckable));
  EXPECT_EQ(c.count(TransitionKind::kLost) + c.count(TransitionKind::kHeld), 0u);
  for (const auto& n : c.nodes) {
    EXPECT_LE(std::count_if(n.asked_at.begin(), n.asked_at.end(),
                            [&](Instant t) { return t > c.now - seconds(100); }),
              320)
        << "the port is asked, Patroni at most once a second";
  }
  c.nodes[0].database = DatabaseAnswer::kRefused;
  c.run(seconds(2));
  EXPECT_EQ(c.rw(0), "drain down");
}

TEST(JudgeWitness, TlsThatFailsOnOneNodeAloneIsItsOwnTrouble) {
  Cluster c;
  quiet(c);
  c.nodes[0].outcome = Outcome::kTlsFailed;
  c.nodes[0].latency = milliseconds(3);
  c.run(seconds(25));
  EXPECT_EQ(c.rw(0), "cut fenced");
  EXPECT_FALSE(c.alarm(AlarmKind::kUncheckable));
}

}  // namespace
}  // namespace pgsteer
