#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "stats/json.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

WallTime at(std::int64_t millis) { return WallTime{milliseconds(millis)}; }

StatsSnapshot one_node() {
  ClusterView cluster;
  cluster.first_round_done = true;
  cluster.scope = "orders";
  cluster.primary = "pg-1";
  cluster.primary_since = at(1'740'821'400'250);
  cluster.timeline = 7;
  NodeView node;
  node.name = "pg-1";
  node.role = NodeRole::kPrimary;
  node.wal_position = 0x1A2B3C4D50;
  node.check_history = 0b1101;
  node.checks_kept = 4;
  node.tags = {{"zone", "a"}};
  node.verdicts = {{"read_write", Admission::kAdmit, Reason::kPrimary, "It leads."}};
  cluster.nodes.push_back(node);
  StatsSnapshot snapshot;
  snapshot.now = at(1'740'821'460'000);
  snapshot.cluster = std::make_shared<const ClusterView>(cluster);
  return snapshot;
}

TEST(StatsJson, TimesAreRfc3339InUtcWithMilliseconds) {
  EXPECT_EQ(rfc3339(at(1'740'821'400'250)), "2025-03-01T09:30:00.250Z");
  EXPECT_EQ(rfc3339(at(1)), "1970-01-01T00:00:00.001Z");
  EXPECT_EQ(rfc3339(at(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(rfc3339(WallTime{}), "");
}

TEST(StatsJson, LsnReadsLikePostgresWritesIt) {
  EXPECT_EQ(lsn_text(0x1A2B3C4D50), "1A/2B3C4D50");
  EXPECT_EQ(lsn_text(0x3000060), "0/3000060");
  EXPECT_EQ(lsn_text(~0ull), "FFFFFFFF/FFFFFFFF");
}

TEST(StatsJson, NothingKnownIsNullAndEmptyNotAbsent) {
  const auto json = status_json(StatsSnapshot{});
  EXPECT_FALSE(json.at("cluster").at("first_round_done").get<bool>());
  EXPECT_TRUE(json.at("cluster").at("primary").is_null());
  EXPECT_TRUE(json.at("cluster").at("primary_since").is_null());
  EXPECT_TRUE(json.at("cluster").at("fence_seconds").is_null());
  for (const char* list : {"nodes", "listeners", "failovers", "events"}) {
    EXPECT_TRUE(json.at(list).is_array()) << list;
    EXPECT_TRUE(json.at(list).empty()) << list;
  }
}

TEST(StatsJson, NodeCarriesWhatThePageShows) {
  const auto node = status_json(one_node()).at("nodes").at(0);
  EXPECT_EQ(node.at("name"), "pg-1");
  EXPECT_EQ(node.at("role"), "primary");
  EXPECT_EQ(node.at("wal_position"), "1A/2B3C4D50");
  EXPECT_EQ(node.at("wal_position_bytes"), 0x1A2B3C4D50);
  EXPECT_TRUE(node.at("lag_bytes").is_null());
  EXPECT_EQ(node.at("tags").at("zone"), "a");
  EXPECT_EQ(node.at("verdicts").at(0).at("why"), "It leads.");
}

TEST(StatsJson, LagOfZeroIsANumberAndNoLagIsNull) {
  StatsSnapshot snapshot = one_node();
  ClusterView cluster = *snapshot.cluster;
  cluster.nodes[0].lag_bytes = 0;
  snapshot.cluster = std::make_shared<const ClusterView>(cluster);
  EXPECT_EQ(status_json(snapshot).at("nodes").at(0).at("lag_bytes"), 0);
}

TEST(StatsJson, CheckHistoryIsOldestFirstAndOnlyWhatWasKept) {
  StatsSnapshot snapshot = one_node();
  EXPECT_EQ(status_json(snapshot).at("nodes").at(0).at("check_history"), "1101");
  ClusterView cluster = *snapshot.cluster;
  cluster.nodes[0].check_history = 1ull << 63;
  cluster.nodes[0].checks_kept = 64;
  snapshot.cluster = std::make_shared<const ClusterView>(cluster);
  const std::string history = status_json(snapshot).at("nodes").at(0).at("check_history");
  EXPECT_EQ(history, "1" + std::string(63, '0'));
}

TEST(StatsJson, ListenerEndsAndHistogramsAreWhole) {
  StatsSnapshot snapshot;
  ListenerView listener;
  listener.name = "read_write";
  listener.session_ends[static_cast<std::size_t>(EndReason::kClientClosed)] = 4;
  listener.hold_seconds.bounds = {0.1, 1};
  listener.hold_seconds.counts = {3, 2, 1};
  listener.hold_seconds.sum = 4.5;
  snapshot.traffic.listeners.push_back(listener);
  const auto json = status_json(snapshot).at("listeners").at(0);
  EXPECT_EQ(json.at("session_ends").at("client_closed"), 4);
  EXPECT_EQ(json.at("session_ends").at("role_lost"), 0);
  EXPECT_EQ(json.at("hold_seconds").at("counts").size(), 3u);
  EXPECT_DOUBLE_EQ(json.at("hold_seconds").at("sum"), 4.5);
}

TEST(StatsJson, FailoverKeepsItsStepsInOrder) {
  StatsSnapshot snapshot = one_node();
  ClusterView cluster = *snapshot.cluster;
  FailoverView failover;
  failover.id = 3;
  failover.kind = FailoverKind::kFailover;
  failover.steps = {{0, FailoverStepKind::kFirstSuspicion, "a"},
                    {0.02, FailoverStepKind::kProof, "b"}};
  cluster.failovers.push_back(failover);
  snapshot.cluster = std::make_shared<const ClusterView>(cluster);
  const auto json = status_json(snapshot).at("failovers").at(0);
  EXPECT_EQ(json.at("steps").at(1).at("what"), "proof");
  EXPECT_DOUBLE_EQ(json.at("steps").at(1).at("at_seconds"), 0.02);
  EXPECT_TRUE(json.at("to").is_null());
}

TEST(StatsJson, BytesThatAreNotUtf8DoNotBreakIt) {
  SessionView session;
  session.user = "caf\xe9";
  session.application = std::string("nul\0byte", 8);
  const std::string text = dump(sessions_json({session}, at(1000)));
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json.at("sessions").at(0).at("user"), "caf\xef\xbf\xbd");
  EXPECT_EQ(json.at("sessions").at(0).at("application"), std::string("nul\0byte", 8));
}

TEST(StatsJson, WaitingSessionHasNoNode) {
  SessionView session;
  session.phase = SessionPhase::kHeld;
  const auto json = sessions_json({session}, at(1000)).at("sessions").at(0);
  EXPECT_TRUE(json.at("node").is_null());
  EXPECT_TRUE(json.at("local").is_null());
}

}  // namespace
}  // namespace pgsteer
