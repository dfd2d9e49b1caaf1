// The board, the failover tally and readiness: what observers are told, without HTTP.
#include "stats/stats_store.h"

#include <gtest/gtest.h>

#include "stats/readiness.h"

namespace pgsteer {
namespace {

FailoverView failover(std::uint64_t id, const char* kind, bool finished, double seconds) {
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
  FailoverCounts tally;
  tally.add(with({failover(0, "failover", false, 0.5)}));
  EXPECT_EQ(tally.failovers, 0u);
  tally.add(with({failover(0, "failover", true, 1.5)}));
  tally.add(with({failover(0, "failover", true, 1.5)}));
  EXPECT_EQ(tally.failovers, 1u);
  tally.add(with({failover(1, "interruption", true, 2), failover(0, "failover", true, 1.5)}));
  EXPECT_EQ(tally.failovers, 1u);
  EXPECT_EQ(tally.interruptions, 1u);
  EXPECT_DOUBLE_EQ(tally.no_primary_seconds, 3.5);
}

TEST(FailoverCounts, CountsSeveralAtOnceAndForgetsNoneThatLeftTheList) {
  FailoverCounts tally;
  tally.add(with({failover(3, "failover", true, 1), failover(2, "failover", true, 1)}));
  tally.add(with({failover(4, "failover", true, 1)}));
  tally.add(with({}));
  EXPECT_EQ(tally.failovers, 3u);
}

TEST(StatsStore, KeepsTheLastTwoHundredEventsNewestFirst) {
  StatsStore board;
  for (int i = 0; i < 250; ++i) board.event({{}, "info", std::to_string(i)});
  StatsSnapshot snapshot;
  board.read(snapshot);
  ASSERT_EQ(snapshot.events.size(), StatsStore::kEventsKept);
  EXPECT_EQ(snapshot.events.front().text, "249");
  EXPECT_EQ(snapshot.events.back().text, "50");
}

TEST(StatsStore, ShowsTheViewPublishedLast) {
  StatsStore board;
  StatsSnapshot snapshot;
  board.read(snapshot);
  EXPECT_EQ(snapshot.cluster, nullptr);
  const auto view = std::make_shared<const ClusterView>();
  board.publish(std::make_shared<const ClusterView>());
  board.publish(view);
  board.read(snapshot);
  EXPECT_EQ(snapshot.cluster, view);
}

class ReadinessTest : public testing::Test {
 protected:
  ReadinessTest() {
    for (const auto& [name, to] : {std::pair("read_write", "primary"), {"read_only", "replica"}}) {
      ListenerView listener;
      listener.name = name;
      listener.to = to;
      snapshot_.traffic.listeners.push_back(listener);
    }
  }

  void admit(const char* write, const char* read, bool first_round_done = true) {
    ClusterView cluster;
    cluster.first_round_done = first_round_done;
    cluster.no_primary_why = "pg-2 is being promoted";
    NodeView node;
    node.verdicts = {{"read_write", write, "x", ""}, {"read_only", read, "x", ""}};
    cluster.nodes = {NodeView{}, node};
    snapshot_.cluster = std::make_shared<const ClusterView>(cluster);
  }

  StatsSnapshot snapshot_;
};

using Answer = Readiness::Answer;

TEST_F(ReadinessTest, NotBeforeAnythingIsKnown) {
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kNotReady);
  admit("admit", "admit", false);
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kNotReady);
}

TEST_F(ReadinessTest, WhenEveryListenerHasANode) {
  admit("admit", "admit");
  EXPECT_EQ(readiness(snapshot_, std::nullopt).answer, Answer::kReady);
}

TEST_F(ReadinessTest, NamesTheListenerThatHasNoneAndWhy) {
  admit("drain", "admit");
  const Readiness got = readiness(snapshot_, std::nullopt);
  EXPECT_EQ(got.answer, Answer::kNotReady);
  EXPECT_EQ(got.text, "read_write: no node may serve it: pg-2 is being promoted\n");
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kReady);
  EXPECT_EQ(readiness(snapshot_, "read_write").answer, Answer::kNotReady);
}

TEST_F(ReadinessTest, DrainingAndCutDoNotCount) {
  admit("admit", "drain");
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kNotReady);
  admit("admit", "cut");
  EXPECT_EQ(readiness(snapshot_, "read_only").answer, Answer::kNotReady);
}

TEST_F(ReadinessTest, AListenerThatIsNotConfiguredIsSaidToBeUnknown) {
  admit("admit", "admit");
  EXPECT_EQ(readiness(snapshot_, "read_mostly").answer, Answer::kNoSuchListener);
}

}  // namespace
}  // namespace pgsteer
