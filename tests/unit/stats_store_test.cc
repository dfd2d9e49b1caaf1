// The store, the failover counts and readiness, without HTTP.
#include "stats/stats_store.h"

#include <gtest/gtest.h>

#include "stats/readiness.h"

namespace pgsteer {
namespace {

FailoverView failover(std::uint64_t id, FailoverKind kind, bool finished, double seconds) {
  FailoverView view;
  view.id = id;
  view.kind = kind;
  view.finished = finished;
  view.no_primary_seconds = seconds;
  return view;
}

ClusterView with(std::vector<FailoverView> failovers) {
  ClusterView view;
  view.failovers = std::move(failovers);
  return view;
}

TEST(FailoverCounts, CountsEachRecordOnceWhenItIsFinished) {
  FailoverCounts counts;
  counts.add(with({failover(0, FailoverKind::kFailover, false, 0.5)}));
  EXPECT_EQ(counts.failovers, 0u);
  counts.add(with({failover(0, FailoverKind::kFailover, true, 1.5)}));
  counts.add(with({failover(0, FailoverKind::kFailover, true, 1.5)}));
  EXPECT_EQ(counts.failovers, 1u);
  counts.add(with({failover(1, FailoverKind::kInterruption, true, 2),
                   failover(0, FailoverKind::kFailover, true, 1.5)}));
  EXPECT_EQ(counts.failovers, 1u);
  EXPECT_EQ(counts.interruptions, 1u);
  EXPECT_DOUBLE_EQ(counts.no_primary_seconds, 3.5);
}

TEST(FailoverCounts, CountsSeveralAtOnceAndForgetsNoneThatLeftTheList) {
  FailoverCounts counts;
  counts.add(with({failover(3, FailoverKind::kFailover, true, 1),
                   failover(2, FailoverKind::kFailover, true, 1)}));
  counts.add(with({failover(4, FailoverKind::kFailover, true, 1)}));
  counts.add(with({}));
  EXPECT_EQ(counts.failovers, 3u);
}

TEST(StatsStore, KeepsTheLastTwoHundredEventsNewestFirst) {
  StatsStore store;
  for (int i = 0; i < 250; ++i) store.event({{}, Severity::kInfo, std::to_string(i)});
  StatsSnapshot snapshot;
  store.read(snapshot);
  ASSERT_EQ(snapshot.events.size(), StatsStore::kEventsKept);
  EXPECT_EQ(snapshot.events.front().text, "249");
  EXPECT_EQ(snapshot.events.back().text, "50");
}

TEST(StatsStore, ShowsTheViewPublishedLast) {
  StatsStore store;
  StatsSnapshot snapshot;
  store.read(snapshot);
  EXPECT_EQ(snapshot.cluster, nullptr);
  const auto view = std::make_shared<const ClusterView>();
  store.publish(std::make_shared<const ClusterView>());
  store.publish(view);
  store.read(snapshot);
  EXPECT_EQ(snapshot.cluster, view);
}

class ReadinessTest : public testing::Test {
 protected:
  ReadinessTest() {
    for (const auto& [name, to] :
         {std::pair("read_write", Target::kPrimary), {"read_only", Target::kReplica}}) {
      ListenerView listener;
      listener.name = name;
      listener.to = to;
      snapshot_.traffic.listeners.push_back(listener);
    }
  }

  void admit(Admission write, Admission read, bool first_round_done = true) {
    ClusterView cluster;
    cluster.first_round_done = first_round_done;
    cluster.no_primary_why = "pg-2 is being promoted";
    NodeView node;
    node.verdicts = {{"read_write", write, Reason::kUnknown, ""},
                     {"read_only", read, Reason::kUnknown, ""}};
    cluster.nodes = {NodeView{}, node};
    snapshot_.cluster = std::make_shared<const ClusterView>(cluster);
  }

  StatsSnapshot snapshot_;
};

using Answer = Readiness::Answer;

TEST_F(ReadinessTest, NotBeforeAnythingIsKnown) {
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kNotReady);
  admit(Admission::kAdmit, Admission::kAdmit, false);
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kNotReady);
}

TEST_F(ReadinessTest, WhenEveryListenerHasANode) {
  admit(Admission::kAdmit, Admission::kAdmit);
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kReady);
}

TEST_F(ReadinessTest, NamesTheListenerThatHasNoneAndWhy) {
  admit(Admission::kDrain, Admission::kAdmit);
  const Readiness got = readiness(snapshot_, std::nullopt);
  EXPECT_EQ(got.answer, Answer::kNotReady);
  EXPECT_EQ(got.text, "read_write: no node may serve it: pg-2 is being promoted\n");
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kReady);
  EXPECT_EQ(readiness(snapshot_, "read_write").answer, Answer::kNotReady);
}

// The cluster view is as old as the last check.
TEST_F(ReadinessTest, WhileTheChecksStandStillNobodyMayWrite) {
  admit(Admission::kAdmit, Admission::kAdmit);
  snapshot_.traffic.checks_stopped = true;
  const Readiness got = readiness(snapshot_, std::nullopt);
  EXPECT_EQ(got.answer, Answer::kNotReady);
  EXPECT_EQ(got.text, "read_write: no node may serve it: the checks of the nodes have stopped\n");
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kReady);
}

TEST_F(ReadinessTest, DrainingAndCutDoNotCount) {
  admit(Admission::kAdmit, Admission::kDrain);
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kNotReady);
  admit(Admission::kAdmit, Admission::kCut);
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kNotReady);
}

TEST_F(ReadinessTest, AListenerThatIsNotConfiguredIsSaidToBeUnknown) {
  admit(Admission::kAdmit, Admission::kAdmit);
  EXPECT_EQ(readiness(snapshot_, "read_mostly").answer, Answer::kNoSuchListener);
}

}  // namespace
}  // namespace pgsteer
