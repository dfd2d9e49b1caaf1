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
  EXPECT_TRUE(snapshot.clusters.empty());
  const auto view = std::make_shared<const ClusterView>();
  store.publish(std::make_shared<const ClusterView>());
  store.publish(view);
  store.read(snapshot);
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  EXPECT_EQ(snapshot.clusters[0].view, view);
}

TEST(StatsStore, KeepsOneViewPerClusterUntilThatIsRemoved) {
  StatsStore store;
  for (const std::size_t slot : {5u, 2u}) {
    ClusterView view = with({failover(1, FailoverKind::kFailover, true, 1)});
    view.slot = slot;
    store.publish(std::make_shared<const ClusterView>(view));
  }
  StatsSnapshot snapshot;
  store.read(snapshot);
  ASSERT_EQ(snapshot.clusters.size(), 2u);
  EXPECT_EQ(snapshot.clusters[0].view->slot, 2u);
  EXPECT_EQ(snapshot.clusters[1].view->slot, 5u);
  for (const ClusterSnapshot& each : snapshot.clusters) {
    EXPECT_EQ(each.failover_counts.failovers, 1u) << "ids are those of their cluster";
  }
  store.remove(2);
  store.read(snapshot);
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  EXPECT_EQ(snapshot.clusters[0].view->slot, 5u);
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
    snapshot_.clusters = {{std::make_shared<const ClusterView>(cluster), {}}};
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
  snapshot_.traffic.checks_stopped = 1;
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

// A reload has removed it together with its last node; the other listener serves as before.
TEST_F(ReadinessTest, AListenerThatLeavesDoesNotCount) {
  admit(Admission::kAdmit, Admission::kDrain);
  snapshot_.traffic.listeners[1].leaving = true;
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kReady);
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kNoSuchListener);
}

TEST_F(ReadinessTest, EveryListenerAsksItsOwnCluster) {
  admit(Admission::kAdmit, Admission::kAdmit);
  ListenerView other;
  other.name = "billing";
  other.cluster_slot = 1;
  snapshot_.traffic.listeners.push_back(other);
  EXPECT_EQ(readiness(snapshot_, std::nullopt).text, "the first round of checks is not done\n");
  EXPECT_EQ(readiness(snapshot_, "read_write").answer, Answer::kReady);
  ClusterView cluster;
  cluster.slot = 1;
  cluster.first_round_done = true;
  cluster.no_primary_why = "nobody leads";
  NodeView node;
  node.verdicts = {{"billing", Admission::kDrain, Reason::kUnknown, ""},
                   {"read_write", Admission::kDrain, Reason::kUnknown, ""}};
  cluster.nodes = {node};
  snapshot_.clusters.push_back({std::make_shared<const ClusterView>(cluster), {}});
  EXPECT_EQ(readiness(snapshot_, std::nullopt).text,
            "billing: no node may serve it: nobody leads\n");
  snapshot_.traffic.checks_stopped = 0b10;
  EXPECT_EQ(readiness(snapshot_, "read_write").answer, Answer::kReady) << "its checks go on";
  EXPECT_EQ(readiness(snapshot_, "billing").text,
            "billing: no node may serve it: the checks of the nodes have stopped\n");
}

}  // namespace
}  // namespace pgsteer
