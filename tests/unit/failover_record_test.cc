// The failover record, fed with single transitions and reports. judge_record_test.cc feeds it from
// a scripted cluster.
#include "health/failover_record.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = TransitionKind;
using Step = FailoverStepKind;

class FailoverRecordOf : public testing::Test {
 protected:
  FailoverRecordOf() {
    config.nodes.resize(2);
    config.nodes[0].name = "pg-1";
    config.nodes[1].name = "pg-2";
  }
  Instant at(milliseconds t) const { return Instant{} + std::chrono::hours(1) + t; }
  WallTime wall(milliseconds t) const { return WallTime{} + std::chrono::hours(400'000) + t; }

  Transition transition(milliseconds t, Kind kind, std::optional<std::size_t> node = 0) {
    Transition x;
    x.at = at(t);
    x.kind = kind;
    x.node = node;
    x.text = "text " + std::to_string(t.count());
    x.generation = 10;
    return x;
  }
  // `seen`: when the record hears of it.
  void tell(milliseconds t, Kind kind, std::optional<std::size_t> node = 0,
            milliseconds later = {}) {
    record.observe(transition(t, kind, node), at(t + later), wall(t + later));
  }
  void suspect(milliseconds t, bool by_judge) {
    Transition x = transition(t, Kind::kSuspicion);
    x.by_judge = by_judge;
    record.observe(x, at(t), wall(t));
  }
  WorkerReport report(milliseconds t) const {
    WorkerReport r;
    r.generation = 10;
    r.at = at(t);
    return r;
  }
  FailoverView only(milliseconds t) const {
    const auto views = record.views(at(t));
    EXPECT_EQ(views.size(), 1u);
    return views.empty() ? FailoverView{} : views[0];
  }
  std::vector<Step> steps(const FailoverView& v) const {
    std::vector<Step> kinds;
    for (const FailoverStep& s : v.steps) kinds.push_back(s.what);
    return kinds;
  }

  Config config;
  FailoverRecord record{config};
};

TEST_F(FailoverRecordOf, BeginsWithTheFirstSuspicion) {
  suspect(seconds(1), false);
  tell(seconds(3), Kind::kHeld, 0, milliseconds(500));
  const FailoverView v = only(seconds(4));
  EXPECT_EQ(v.id, 1u);
  EXPECT_EQ(v.began_at, wall(seconds(1)));
  EXPECT_EQ(v.from, "pg-1");
  EXPECT_EQ(v.to, "");
  EXPECT_EQ(v.kind, FailoverKind::kFailover);
  EXPECT_FALSE(v.finished);
  ASSERT_EQ(steps(v), (std::vector<Step>{Step::kFirstSuspicion, Step::kProof}));
  EXPECT_EQ(v.steps[0].text, "text 1000");
  EXPECT_DOUBLE_EQ(v.steps[0].at_seconds, 0);
  EXPECT_DOUBLE_EQ(v.steps[1].at_seconds, 2);
}

TEST_F(FailoverRecordOf, ASessionsSuspicionIsForgottenAfterFiveSeconds) {
  suspect(seconds(1), false);
  record.tick(at(seconds(6)));
  suspect(seconds(6), false);  // the first one still stands
  tell(seconds(6), Kind::kLost);
  EXPECT_EQ(only(seconds(6)).began_at, wall(seconds(1)));
}

TEST_F(FailoverRecordOf, AnOldSuspicionIsNotTheBeginning) {
  suspect(seconds(1), false);
  record.tick(at(milliseconds(6'001)));
  tell(seconds(7), Kind::kLost);
  EXPECT_EQ(only(seconds(7)).began_at, wall(seconds(7)));
  EXPECT_EQ(steps(only(seconds(7))), (std::vector<Step>{Step::kProof}));
}

TEST_F(FailoverRecordOf, ANewSuspicionReplacesAnOldOne) {
  suspect(seconds(1), false);
  suspect(milliseconds(6'001), false);
  tell(seconds(7), Kind::kLost);
  EXPECT_EQ(only(seconds(7)).began_at, wall(milliseconds(6'001)));
}

TEST_F(FailoverRecordOf, JudgesSuspicionLastsUntilItWithdrawsIt) {
  suspect(seconds(1), true);
  record.tick(at(seconds(20)));
  suspect(seconds(20), false);
  tell(seconds(25), Kind::kLost);
  EXPECT_EQ(only(seconds(25)).began_at, wall(seconds(1)));
}

TEST_F(FailoverRecordOf, AWithdrawnSuspicionIsNotTheBeginning) {
  suspect(seconds(1), true);
  tell(seconds(2), Kind::kSuspicionOver);
  tell(seconds(3), Kind::kLost);
  EXPECT_EQ(only(seconds(3)).began_at, wall(seconds(3)));
}

TEST_F(FailoverRecordOf, TheFirstPrimaryAfterTheStartIsNoFailover) {
  tell(seconds(1), Kind::kNewPrimary);
  EXPECT_TRUE(record.views(at(seconds(1))).empty());
  EXPECT_FALSE(record.due());
}

TEST_F(FailoverRecordOf, AnotherTimelineOfTheSameNodeInterrupts) {
  Transition t = transition(seconds(1), Kind::kNewPrimary);
  t.interrupts = true;
  record.observe(t, at(seconds(1)), wall(seconds(1)));
  const FailoverView v = only(seconds(1));
  EXPECT_EQ(v.kind, FailoverKind::kInterruption);
  EXPECT_EQ(v.from, "pg-1");
  EXPECT_EQ(v.to, "pg-1");
  EXPECT_DOUBLE_EQ(v.no_primary_seconds, 0);
}

TEST_F(FailoverRecordOf, TheTimeWithoutAPrimaryGoesOnUntilThereIsOne) {
  tell(seconds(1), Kind::kHeld);
  tell(seconds(2), Kind::kLost);
  EXPECT_DOUBLE_EQ(only(seconds(4)).no_primary_seconds, 3);
  tell(seconds(5), Kind::kNewPrimary, 1);
  EXPECT_DOUBLE_EQ(only(seconds(8)).no_primary_seconds, 4);
  EXPECT_EQ(only(seconds(8)).to, "pg-2");
  EXPECT_EQ(only(seconds(8)).kind, FailoverKind::kFailover);
}

TEST_F(FailoverRecordOf, ARelapseBelongsToTheSameRecord) {
  tell(seconds(1), Kind::kLost);
  tell(seconds(3), Kind::kNewPrimary, 1);
  EXPECT_EQ(record.due(), at(seconds(8)));
  tell(seconds(4), Kind::kHeld, 1);
  EXPECT_FALSE(record.due());
  EXPECT_TRUE(record.tick(at(seconds(9))).empty());
  EXPECT_DOUBLE_EQ(only(seconds(9)).no_primary_seconds, 2 + 5);
  tell(seconds(10), Kind::kResumed, 1);
  EXPECT_DOUBLE_EQ(only(seconds(11)).no_primary_seconds, 2 + 6);
  EXPECT_EQ(record.tick(at(seconds(15))).size(), 1u);
}

TEST_F(FailoverRecordOf, ClosesFiveSecondsAfterThePrimaryIsThere) {
  tell(seconds(1), Kind::kLost);
  tell(seconds(3), Kind::kNewPrimary, 1);
  EXPECT_TRUE(record.tick(at(milliseconds(7'999))).empty());
  EXPECT_FALSE(only(seconds(7)).finished);
  ASSERT_EQ(record.tick(at(seconds(8))).size(), 1u);
  const FailoverView v = only(seconds(8));
  EXPECT_TRUE(v.finished);
  EXPECT_EQ(steps(v), (std::vector<Step>{Step::kProof, Step::kNewPrimary, Step::kDone}));
  EXPECT_DOUBLE_EQ(v.steps.back().at_seconds, 7);
  EXPECT_FALSE(record.due());
}

TEST_F(FailoverRecordOf, TheNextOneHasItsOwnBeginning) {
  suspect(seconds(1), true);
  tell(seconds(2), Kind::kLost);
  tell(seconds(3), Kind::kNewPrimary, 1);
  record.tick(at(seconds(8)));
  tell(seconds(10), Kind::kLost, 1);
  const auto views = record.views(at(seconds(10)));
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].id, 2u);
  EXPECT_EQ(views[0].began_at, wall(seconds(10)));
  EXPECT_EQ(views[1].id, 1u);
}

TEST_F(FailoverRecordOf, ReportsWithoutARecordAreIgnored) {
  WorkerReport r = report(seconds(1));
  r.cut = 1;
  record.observe(r);
  EXPECT_TRUE(record.views(at(seconds(1))).empty());
}

TEST_F(FailoverRecordOf, ReportsOfAnOlderGenerationAreIgnored) {
  tell(seconds(1), Kind::kLost);
  WorkerReport r = report(seconds(1));
  r.cut = 1;
  r.generation = 9;
  record.observe(r);
  EXPECT_EQ(only(seconds(1)).sessions_cut, 0u);
  r.generation = 10;
  record.observe(r);
  EXPECT_EQ(only(seconds(1)).sessions_cut, 1u);
  EXPECT_EQ(steps(only(seconds(1))), (std::vector<Step>{Step::kProof, Step::kCut}));
}

TEST_F(FailoverRecordOf, OnlyWhatHappenedIsAStep) {
  tell(seconds(1), Kind::kLost);
  WorkerReport r = report(seconds(2));
  r.first_primary_session = true;  // of the primary before
  record.observe(r);
  EXPECT_EQ(steps(only(seconds(2))), (std::vector<Step>{Step::kProof}));
  tell(seconds(3), Kind::kNewPrimary, 1);
  record.observe(report(seconds(4)));
  EXPECT_EQ(steps(only(seconds(4))), (std::vector<Step>{Step::kProof, Step::kNewPrimary}));
  r = report(seconds(4));
  r.first_primary_session = true;
  r.held = 1;
  r.held_longest = milliseconds(1'500);
  record.observe(r);
  record.observe(r);
  const FailoverView v = only(seconds(4));
  EXPECT_EQ(steps(v), (std::vector<Step>{Step::kProof, Step::kNewPrimary, Step::kFirstSession,
                                         Step::kHeldReleased}));
  EXPECT_EQ(v.clients_held, 2u);
  EXPECT_DOUBLE_EQ(v.held_longest_seconds, 1.5);
}

TEST_F(FailoverRecordOf, TheStepsAreSortedByTime) {
  tell(seconds(1), Kind::kLost);
  tell(seconds(3), Kind::kNewPrimary, 1);
  WorkerReport r = report(seconds(2));
  r.cut = 2;
  record.observe(r);  // it was on its way
  record.tick(at(seconds(8)));
  EXPECT_EQ(steps(only(seconds(8))),
            (std::vector<Step>{Step::kProof, Step::kCut, Step::kNewPrimary, Step::kDone}));
}

TEST_F(FailoverRecordOf, TwentyAreShownTheOpenOneIncluded) {
  for (int i = 0; i < 21; ++i) {
    tell(seconds(10 * i), Kind::kLost);
    tell(seconds(10 * i + 1), Kind::kNewPrimary, 1);
    record.tick(at(seconds(10 * i + 6)));
  }
  EXPECT_EQ(record.views(at(seconds(210))).size(), 20u);
  tell(seconds(210), Kind::kLost);
  const auto views = record.views(at(seconds(210)));
  ASSERT_EQ(views.size(), 20u);
  EXPECT_EQ(views.front().id, 22u);
  EXPECT_EQ(views.back().id, 3u);
}

}  // namespace
}  // namespace pgsteer
