// How long the lease surely lasts, as far as the replies of its holder tell.
#include "tests/unit/judge_facts.h"

namespace pgsteer {
namespace {

using std::chrono::hours;

// What the replies of node 1 say about the reads of the store by its Patroni.
class NoteLease : public JudgeFacts {
 protected:
  // Sent at `at`, received 10 ms later.
  void reply(milliseconds at, std::optional<std::int64_t> read, std::optional<std::int64_t> date) {
    Report r = Cluster::leader(5);
    r.dcs_last_seen = read;
    r.date = date;
    JudgeContext j = context();
    note_lease(j, state.nodes[1],
               LeaderEvidence{1, begin + at, begin + at + milliseconds(10), std::move(r)});
  }

  const Instant begin = now;
  LeaseState& lease = state.nodes[1].lease;
};

TEST_F(NoteLease, EachReplyIsAProof) {
  reply(seconds(1), std::nullopt, std::nullopt);
  EXPECT_EQ(lease.proof_sent, begin + seconds(1));
  EXPECT_EQ(lease.proof_received, begin + milliseconds(1'010));
  EXPECT_FALSE(lease.read_known);
}

TEST_F(NoteLease, AFirstReadWithoutADateMayBeOfAnyAge) {
  reply(seconds(1), 100, std::nullopt);
  EXPECT_FALSE(lease.read_known);
}

TEST_F(NoteLease, TheDateTellsTheAgeOfTheRead) {
  reply(seconds(1), 100, 103);
  EXPECT_TRUE(lease.read_known);
  EXPECT_EQ(lease.read_value, 100);
  EXPECT_EQ(lease.read_before, begin + milliseconds(1'010));
  EXPECT_EQ(lease.read_after, begin + seconds(1) - seconds(4)) << "both are cut to whole seconds";
  EXPECT_FALSE(lease.renewed_after);
}

TEST_F(NoteLease, ADateBeforeTheReadMeansNow) {
  reply(seconds(1), 100, 50);
  EXPECT_EQ(lease.read_after, begin + seconds(1));
}

TEST_F(NoteLease, AgesEndAfterADay) {
  reply(seconds(1), 100, 10'000'000);
  EXPECT_EQ(lease.read_after, begin + seconds(1) - hours(24));
}

TEST_F(NoteLease, AReadThatMovesIsYoungerThanTheRequestBefore) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 103, std::nullopt);
  EXPECT_EQ(lease.read_value, 103);
  EXPECT_EQ(lease.read_after, begin + seconds(1));
  EXPECT_EQ(lease.read_before, begin + milliseconds(3'010));
}

TEST_F(NoteLease, TheSameReadKeepsItsFirstMoment) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 100, std::nullopt);
  EXPECT_EQ(lease.read_before, begin + milliseconds(1'010));
  EXPECT_EQ(lease.read_after, begin + seconds(1) - seconds(1));
}

TEST_F(NoteLease, TheReadBeforeIsTheOneThatRenewed) {
  reply(seconds(1), 100, 100);
  const Instant older = lease.read_after;
  reply(seconds(3), 102, 102);
  EXPECT_EQ(lease.renewed_after, older);
  EXPECT_EQ(lease.older_before, begin + milliseconds(1'010));
}

// Nobody looked for longer than a loop. Patroni may have stood still all the time, and be killed
// before the renewal that follows its first read.
TEST_F(NoteLease, AGapProvesNoRenewal) {
  reply(seconds(1), 100, 100);
  const Instant older = lease.read_after;
  reply(seconds(20), 119, 119);
  EXPECT_EQ(lease.renewed_after, older);
}

// Patroni believes in its lease only after it has written the key.
TEST_F(NoteLease, ALeaseAfterADenialWasWrittenSince) {
  lease.denied = begin + seconds(1);
  reply(seconds(2), 100, std::nullopt);
  EXPECT_EQ(lease.denied, begin + seconds(1)) << "no read is known yet";
  reply(seconds(3), 100, 101);
  EXPECT_EQ(lease.renewed_after, begin + seconds(1));
  EXPECT_FALSE(lease.denied);
  const Instant later = *lease.renewed_after;
  lease.denied = begin - seconds(30);
  reply(seconds(4), 100, 102);
  EXPECT_EQ(lease.renewed_after, later) << "an older denial tells nothing new";
}

TEST_F(NoteLease, WhoOutlivesTheOldReadHasRenewedSince) {
  const DcsTimes& t = state.settings.times;
  reply(seconds(1), 100, 100);
  reply(seconds(3), 102, 102);
  const auto older = lease.renewed_after;
  const milliseconds end = milliseconds(1'010) + t.retry_timeout + t.ttl;
  reply(end, 102, std::nullopt);
  EXPECT_EQ(lease.renewed_after, older);
  reply(end + milliseconds(1), 102, std::nullopt);
  EXPECT_EQ(lease.renewed_after, lease.read_after);
}

// The read that is shown is the first one under this lease: nothing has run out before it.
TEST_F(NoteLease, AfterADenialTheSameReadTellsNothingNew) {
  lease.denied = begin + seconds(90);
  reply(seconds(100), 100, 101);
  const auto first = lease.renewed_after;
  reply(seconds(101), 100, 102);
  EXPECT_EQ(lease.renewed_after, first);
  lease.denied = begin + seconds(150);
  reply(seconds(160), 160, 161);
  const auto second = lease.renewed_after;
  reply(seconds(161), 160, 162);
  EXPECT_EQ(lease.renewed_after, second);
}

TEST_F(NoteLease, TheOldReadMayHaveRenewedForALongerTtl) {
  const DcsTimes was = state.settings.times;
  state.settings.changed = begin;
  state.settings.before = was;
  state.settings.times.ttl = was.ttl / 2;
  reply(seconds(1), 100, 100);
  reply(seconds(3), 102, 102);
  const auto older = lease.renewed_after;
  reply(milliseconds(1'010) + was.retry_timeout + was.ttl, 102, std::nullopt);
  EXPECT_EQ(lease.renewed_after, older);
}

TEST_F(NoteLease, WithoutTheReadNothingIsKnown) {
  reply(seconds(1), 100, 100);
  reply(seconds(3), 102, 102);
  ASSERT_TRUE(lease.renewed_after);
  reply(seconds(4), std::nullopt, 103);
  EXPECT_FALSE(lease.read_known);
  EXPECT_FALSE(lease.renewed_after);
}

}  // namespace
}  // namespace pgsteer
