// The failover record, fed by a scripted cluster.
#include "health/failover_record.h"
#include "tests/unit/judge_cluster.h"

namespace pgsteer {
namespace {

using Cluster = ScriptedCluster;

struct Recorded {
  Cluster c;
  FailoverRecord record{c.config};
  std::size_t told = 0;
  WallTime epoch = WallTime{} + std::chrono::hours(24 * 365 * 50);

  WallTime wall() const {
    return epoch + std::chrono::duration_cast<WallTime::duration>(c.now.time_since_epoch());
  }
  void observe() {
    for (; told < c.transitions.size(); ++told) record.observe(c.transitions[told], c.now, wall());
  }
  void run(milliseconds d) {
    const Instant end = c.now + d;
    while (c.now < end) {
      c.run(std::min<std::chrono::steady_clock::duration>(end - c.now, milliseconds(20)));
      observe();
      for (auto& line : record.tick(c.now)) lines.push_back(line);
    }
  }
  void feedback(std::uint64_t cut, std::uint64_t told_why, std::uint64_t held, bool first) {
    WorkerReport f;
    f.generation = c.state.published.generation;
    f.at = c.now;
    f.cut = cut;
    f.cut_told = told_why;
    f.held = held;
    f.held_longest = milliseconds(held ? 1'500 : 0);
    f.first_primary_session = first;
    record.observe(f);
  }
  void server_ended(std::uint64_t count, Instant first) {
    WorkerReport f;
    f.generation = c.state.published.generation;
    f.at = c.now;
    f.server_ended = count;
    f.first_server_ended = first;
    record.observe(f);
  }
  // pg-1 crashes, is noticed, and pg-2 follows it.
  void crash() {
    c.answer(0, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
    run(seconds(2));
    c.answer(0, Cluster::replica(5));
    run(milliseconds(300));
  }
  FailoverView only() const {
    const std::vector<FailoverView> views = record.views(c.now);
    EXPECT_EQ(views.size(), 1u);
    return views.empty() ? FailoverView() : views[0];
  }
  static double at(const FailoverView& v, FailoverStepKind what) {
    for (const FailoverStep& s : v.steps) {
      if (s.what == what) return s.at_seconds;
    }
    return -1;
  }
  std::vector<std::string> steps(const FailoverView& v) const {
    std::vector<std::string> words;
    for (const FailoverStep& s : v.steps) words.emplace_back(to_string(s.what));
    return words;
  }
  std::vector<std::string> lines;
};

TEST(FailoverRecord, StartingUpIsNone) {
  Recorded r;
  r.run(seconds(20));
  EXPECT_TRUE(r.record.views(r.c.now).empty());
}

TEST(FailoverRecord, ASwitchoverHasItsSteps) {
  Recorded r;
  r.run(seconds(10));
  r.c.step({SuspicionEvidence{{0, SuspicionKind::kShuttingDown}}});
  r.observe();
  r.c.answer(0, Cluster::without_query(true, State::kStopping, "stopping", Role::kPrimary));
  r.run(milliseconds(900));
  r.c.answer(0, Cluster::without_query(false, State::kStopped, "stopped", Role::kDemoted));
  r.run(milliseconds(300));
  r.feedback(5, 4, 0, false);
  r.feedback(3, 3, 0, false);
  r.c.answer(1, Cluster::leader(6));
  r.run(milliseconds(300));
  r.feedback(0, 0, 2, true);
  r.feedback(0, 0, 7, true);
  ASSERT_EQ(r.record.views(r.c.now).size(), 1u);
  EXPECT_FALSE(r.record.views(r.c.now)[0].finished);
  r.run(seconds(6));
  ASSERT_EQ(r.record.views(r.c.now).size(), 1u);
  FailoverView v = r.record.views(r.c.now)[0];
  EXPECT_TRUE(v.finished);
  EXPECT_EQ(v.kind, FailoverKind::kFailover);
  EXPECT_EQ(v.from, "pg-1");
  EXPECT_EQ(v.to, "pg-2");
  EXPECT_EQ(v.sessions_cut, 8u);
  EXPECT_EQ(v.sessions_cut_told, 7u);
  EXPECT_EQ(v.clients_held, 9u);
  EXPECT_DOUBLE_EQ(v.held_longest_seconds, 1.5);
  EXPECT_GT(v.no_primary_seconds, 1.0);
  EXPECT_LT(v.no_primary_seconds, 1.6);
  EXPECT_EQ(r.steps(v),
            (std::vector<std::string>{"first_suspicion", "proof", "proof", "cut", "new_primary",
                                      "first_session", "held_released", "done"}));
  EXPECT_DOUBLE_EQ(v.steps.front().at_seconds, 0);
  EXPECT_NE(v.steps.front().text.find("shutting_down"), std::string::npos);
  ASSERT_EQ(r.lines.size(), 1u);
  EXPECT_NE(r.lines[0].find("pg-1 -> pg-2"), std::string::npos);
  EXPECT_NE(r.lines[0].find("0 sessions ended by their server, 8 cut by pgsteer (7 told why)"),
            std::string::npos);
}

// Clients saw 2.49 s where the record said 1.92 s: pgsteer needed the rest to notice.
TEST(FailoverRecord, BeginsWithTheFirstSessionThatTheServerEnded) {
  Recorded r;
  r.run(seconds(10));
  const Instant first = r.c.now;
  r.server_ended(20, first);
  r.run(milliseconds(20));
  r.c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}}});
  r.observe();
  r.server_ended(5, first + milliseconds(3));
  r.crash();
  r.c.answer(1, Cluster::leader(6));
  r.run(milliseconds(300));
  EXPECT_EQ(r.only().steps.front().what, FailoverStepKind::kServerEnded);
  r.run(seconds(6));
  const FailoverView v = r.only();
  EXPECT_TRUE(v.finished);
  EXPECT_EQ(v.sessions_ended_by_server, 25u);
  EXPECT_EQ(v.sessions_cut, 0u);
  EXPECT_EQ(v.steps.front().what, FailoverStepKind::kServerEnded);
  EXPECT_EQ(v.steps.front().text, "25 sessions ended by their server");
  EXPECT_DOUBLE_EQ(v.steps.front().at_seconds, 0);
  EXPECT_GT(Recorded::at(v, FailoverStepKind::kProof), 0);
  EXPECT_DOUBLE_EQ(v.no_primary_seconds, Recorded::at(v, FailoverStepKind::kNewPrimary));
  ASSERT_EQ(r.lines.size(), 1u);
  EXPECT_NE(r.lines[0].find(", 25 sessions ended by their server, 0 cut by pgsteer (0 told why), "),
            std::string::npos)
      << r.lines[0];
}

TEST(FailoverRecord, AReportThatComesLateCountsFromWhenItHappened) {
  Recorded r;
  r.run(seconds(10));
  const Instant first = r.c.now;
  r.run(milliseconds(20));
  r.c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}}});
  r.observe();
  r.crash();
  const double held = r.only().no_primary_seconds;
  r.server_ended(1, first + milliseconds(5));
  EXPECT_GT(r.only().no_primary_seconds, held);
  r.c.answer(1, Cluster::leader(6));
  r.run(milliseconds(300));
  const double before = r.only().no_primary_seconds;
  r.server_ended(1, first + milliseconds(2));
  const FailoverView v = r.only();
  EXPECT_NEAR(v.no_primary_seconds, before + 0.003, 1e-9);
  EXPECT_EQ(v.sessions_ended_by_server, 2u);
  EXPECT_DOUBLE_EQ(v.steps.front().at_seconds, 0);
}

TEST(FailoverRecord, SessionsThatEndedForOtherReasonsDoNotCount) {
  Recorded r;
  r.run(seconds(10));
  r.server_ended(3, r.c.now);  // pg_terminate_backend()
  r.run(seconds(4));
  r.crash();
  EXPECT_EQ(r.only().sessions_ended_by_server, 0u);
  r.c.answer(1, Cluster::leader(6));
  r.run(milliseconds(300));
  const double before = r.only().no_primary_seconds;
  r.server_ended(3, r.c.now);
  r.run(seconds(6));
  EXPECT_EQ(r.only().sessions_ended_by_server, 0u);
  EXPECT_DOUBLE_EQ(r.only().no_primary_seconds, before);
  EXPECT_NE(r.lines.at(0).find(" 0 sessions ended by their server"), std::string::npos);
}

// The new primary fails at once, too: its sessions belong to the second gap of the same record.
TEST(FailoverRecord, ASecondGapBeginsWithItsOwnSessions) {
  Recorded r;
  r.run(seconds(10));
  r.crash();
  r.c.answer(1, Cluster::leader(6));
  r.run(milliseconds(500));
  const double first_gap = r.only().no_primary_seconds;
  const Instant ended = r.c.now;
  r.server_ended(2, ended);
  r.c.answer(1, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  r.run(seconds(2));
  const FailoverView v = r.only();
  EXPECT_EQ(v.sessions_ended_by_server, 2u);
  const double second_gap = std::chrono::duration<double>(r.c.now - ended).count();
  EXPECT_NEAR(v.no_primary_seconds, first_gap + second_gap, 1e-6);
}

TEST(FailoverRecord, TheSameNodeComingBackIsAnInterruption) {
  Recorded r;
  r.run(seconds(10));
  r.c.answer(0, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
  r.run(seconds(3));
  r.c.answer(0, Cluster::leader(5));
  r.run(seconds(10));
  const auto views = r.record.views(r.c.now);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].kind, FailoverKind::kInterruption);
  EXPECT_EQ(views[0].to, "pg-1");
  EXPECT_TRUE(views[0].finished);
}

TEST(FailoverRecord, ASuspicionThatComesToNothingLeavesNone) {
  Recorded r;
  r.run(seconds(10));
  r.c.step({SuspicionEvidence{{0, SuspicionKind::kServerEnded}}});
  r.run(seconds(20));
  EXPECT_TRUE(r.record.views(r.c.now).empty());
  // And it is not taken for the beginning of a later one.
  r.c.answer(0, Cluster::replica(5));
  r.run(seconds(2));
  r.c.answer(1, Cluster::leader(6));
  r.run(seconds(8));
  const auto views = r.record.views(r.c.now);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_LT(views[0].no_primary_seconds, 3);
  EXPECT_LT(views[0].steps.back().at_seconds, 10);
}

TEST(FailoverRecord, TheFirstSuspicionOfALongSilenceIsItsBeginning) {
  Recorded r;
  r.run(seconds(62));
  r.c.refuse(0);
  r.run(seconds(25));
  ASSERT_TRUE(r.c.cuts(0));
  const auto views = r.record.views(r.c.now);
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].steps[0].what, FailoverStepKind::kFirstSuspicion);
  EXPECT_EQ(views[0].steps[1].what, FailoverStepKind::kProof);
  EXPECT_GT(views[0].steps[1].at_seconds, 5) << "it kept its sessions until the fence deadline";
}

TEST(FailoverRecord, KeepsTwenty) {
  Recorded r;
  r.run(seconds(5));
  for (int i = 0; i < 22; ++i) {
    r.c.answer(0, Cluster::without_query(true, State::kCrashed, "crashed", Role::kPrimary));
    r.run(seconds(2));
    r.c.answer(0, Cluster::leader(5));
    r.run(seconds(8));
  }
  const auto views = r.record.views(r.c.now);
  ASSERT_EQ(views.size(), 20u);
  EXPECT_EQ(views.front().id, 22u);
}

}  // namespace
}  // namespace pgsteer
