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
  snapshot.clusters = {{std::make_shared<const ClusterView>(cluster), {}}};
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
  StatsSnapshot snapshot;
  snapshot.clusters = {{std::make_shared<const ClusterView>(), {}}};
  const auto json = status_json(snapshot);
  const auto& cluster = json.at("clusters").at(0);
  EXPECT_TRUE(cluster.at("name").is_null());
  EXPECT_FALSE(cluster.at("first_round_done").get<bool>());
  EXPECT_TRUE(cluster.at("primary").is_null());
  EXPECT_TRUE(cluster.at("primary_since").is_null());
  EXPECT_TRUE(cluster.at("fence_seconds").is_null());
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

TEST(StatsJson, SaysWhatBecameOfTheLastReload) {
  StatsSnapshot snapshot;
  snapshot.config.file = "/etc/pgsteer/pgsteer.toml";
  snapshot.config.number = 3;
  snapshot.config.in_force_since = at(1'740'821'400'250);
  snapshot.config.changes = {"node \"pg-4\" is new"};
  const auto done = status_json(snapshot).at("config");
  EXPECT_EQ(done.at("file"), "/etc/pgsteer/pgsteer.toml");
  EXPECT_EQ(done.at("number"), 3);
  EXPECT_EQ(done.at("in_force_since"), "2025-03-01T09:30:00.250Z");
  EXPECT_EQ(done.at("last_reload_failed"), false);
  EXPECT_TRUE(done.at("last_reload_error").is_null());
  EXPECT_EQ(done.at("last_reload_changes").at(0), "node \"pg-4\" is new");
  snapshot.config.reload_error = "listen[0].hodl: is unknown";
  const auto failed = status_json(snapshot).at("config");
  EXPECT_EQ(failed.at("last_reload_failed"), true);
  EXPECT_EQ(failed.at("last_reload_error"), "listen[0].hodl: is unknown");
}

// Its sockets are closed, whatever the acceptor's flag says.
TEST(StatsJson, AListenerThatLeavesIsNotOpen) {
  StatsSnapshot snapshot;
  snapshot.traffic.listeners.resize(2);
  snapshot.traffic.listeners[1].leaving = true;
  const auto listeners = status_json(snapshot).at("listeners");
  EXPECT_EQ(listeners.at(0).at("open"), true);
  EXPECT_EQ(listeners.at(0).at("leaving"), false);
  EXPECT_EQ(listeners.at(1).at("open"), false);
  EXPECT_EQ(listeners.at(1).at("leaving"), true);
}

TEST(StatsJson, LagOfZeroIsANumberAndNoLagIsNull) {
  StatsSnapshot snapshot = one_node();
  ClusterView cluster = *snapshot.clusters[0].view;
  cluster.nodes[0].lag_bytes = 0;
  snapshot.clusters = {{std::make_shared<const ClusterView>(cluster), {}}};
  EXPECT_EQ(status_json(snapshot).at("nodes").at(0).at("lag_bytes"), 0);
}

TEST(StatsJson, CheckHistoryIsOldestFirstAndOnlyWhatWasKept) {
  StatsSnapshot snapshot = one_node();
  EXPECT_EQ(status_json(snapshot).at("nodes").at(0).at("check_history"), "1101");
  ClusterView cluster = *snapshot.clusters[0].view;
  cluster.nodes[0].check_history = 1ull << 63;
  cluster.nodes[0].checks_kept = 64;
  snapshot.clusters = {{std::make_shared<const ClusterView>(cluster), {}}};
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
  ClusterView cluster = *snapshot.clusters[0].view;
  FailoverView failover;
  failover.id = 3;
  failover.kind = FailoverKind::kFailover;
  failover.steps = {{0, FailoverStepKind::kFirstSuspicion, "a"},
                    {0.02, FailoverStepKind::kProof, "b"}};
  cluster.failovers.push_back(failover);
  snapshot.clusters = {{std::make_shared<const ClusterView>(cluster), {}}};
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

// Two clusters, each with a pg-1; the second has the later failover, and its checks stand still.
StatsSnapshot two_clusters() {
  StatsSnapshot snapshot;
  for (const char* name : {"orders", "billing"}) {
    ClusterView cluster = *one_node().clusters[0].view;
    cluster.name = name;
    cluster.slot = 3 * snapshot.clusters.size();
    FailoverView failover;
    failover.id = 1;
    failover.finished = true;
    failover.no_primary_seconds = 2;
    failover.began_at = at(1'740'821'400'000 + static_cast<int>(cluster.slot));
    cluster.failovers = {failover};
    ClusterSnapshot& added = snapshot.clusters.emplace_back();
    added.failover_counts.add(cluster);
    added.view = std::make_shared<const ClusterView>(cluster);
    ListenerView listener;
    listener.name = std::string(name) + "_rw";
    listener.cluster = name;
    listener.cluster_slot = cluster.slot;
    snapshot.traffic.listeners.push_back(listener);
  }
  snapshot.traffic.checks_stopped = 0b1000;
  snapshot.events = {{at(2), Severity::kInfo, "billing: hello", "billing"},
                     {at(1), Severity::kInfo, "of all"}};
  return snapshot;
}

TEST(StatsJson, EverythingNamesItsCluster) {
  const auto json = status_json(two_clusters());
  EXPECT_EQ(json.at("clusters").at(0).at("name"), "orders");
  EXPECT_EQ(json.at("clusters").at(1).at("name"), "billing");
  for (const char* list : {"nodes", "listeners"}) {
    EXPECT_EQ(json.at(list).at(0).at("cluster"), "orders") << list;
    EXPECT_EQ(json.at(list).at(1).at("cluster"), "billing") << list;
  }
  EXPECT_EQ(json.at("failovers").at(0).at("cluster"), "billing") << "newest first";
  EXPECT_EQ(json.at("failovers").at(1).at("cluster"), "orders");
  EXPECT_EQ(json.at("events").at(0).at("cluster"), "billing");
  EXPECT_TRUE(json.at("events").at(1).at("cluster").is_null());
  EXPECT_TRUE(status_json(one_node()).at("nodes").at(0).at("cluster").is_null());
}

TEST(StatsJson, WhatIsCountedForEachClusterIsSummedUpForTheProcess) {
  const auto json = status_json(two_clusters());
  EXPECT_FALSE(json.at("clusters").at(0).at("checks_stopped").get<bool>());
  EXPECT_TRUE(json.at("clusters").at(1).at("checks_stopped").get<bool>());
  EXPECT_TRUE(json.at("checks_stopped").get<bool>());
  EXPECT_EQ(json.at("clusters").at(0).at("failover_counts").at("failovers_total"), 1);
  EXPECT_EQ(json.at("failover_counts").at("failovers_total"), 2);
  EXPECT_DOUBLE_EQ(json.at("failover_counts").at("no_primary_seconds_total"), 4);
}

}  // namespace
}  // namespace pgsteer
