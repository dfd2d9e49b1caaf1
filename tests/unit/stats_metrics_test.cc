#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "stats/metrics.h"

namespace pgsteer {
namespace {

StatsSnapshot full_snapshot() {
  StatsSnapshot snapshot;
  snapshot.version = "0.1.0";
  snapshot.started = WallTime{std::chrono::seconds(1'740'821'400)};
  ClusterView cluster;
  cluster.first_round_done = true;
  cluster.scope = "orders";
  cluster.system_identifier = "7301256113947229513";
  cluster.primary = "pg-1";
  cluster.primary_since = snapshot.started;
  cluster.timeline = 7;
  cluster.fence_seconds = 11.5;
  cluster.alarms = {"two nodes claim to lead"};
  for (const char* name : {"pg-1", "pg-2 \"quoted\\\n"}) {
    NodeView node;
    node.name = name;
    node.role = cluster.nodes.empty() ? NodeRole::kPrimary : NodeRole::kReplica;
    node.timeline = 7;
    node.wal_position = 1'000'000;
    node.checks_total = 10;
    node.checks_failed = 3;
    node.last_check_at = snapshot.started;
    const bool first = cluster.nodes.empty();
    node.verdicts = {
        {"read_write", first ? Admission::kAdmit : Admission::kCut, Reason::kUnknown, ""},
        {"read_only", first ? Admission::kCut : Admission::kDrain, Reason::kUnknown, ""}};
    if (!cluster.nodes.empty()) node.lag_bytes = 4096;
    cluster.nodes.push_back(node);
  }
  FailoverView failover;
  failover.id = 1;
  failover.kind = FailoverKind::kFailover;
  failover.finished = true;
  failover.no_primary_seconds = 1.25;
  failover.sessions_ended_by_server = 20;
  failover.sessions_cut = 4;
  cluster.failovers.push_back(failover);
  ClusterSnapshot& shown = snapshot.clusters.emplace_back();
  shown.failover_counts.add(cluster);
  shown.view = std::make_shared<const ClusterView>(cluster);
  for (const char* name : {"read_write", "read_only"}) {
    ListenerView listener;
    listener.name = name;
    listener.clients = 5;
    listener.held_clients = 2;
    listener.session_ends[static_cast<std::size_t>(EndReason::kClientClosed)] = 40;
    listener.hold_seconds = {{0.1, 1}, {3, 2, 1}, 4.5};
    listener.connect_seconds = {{0.1}, {9, 0}, 0.2};
    NodeTrafficView traffic;
    traffic.node = "pg-1";
    traffic.sessions = 3;
    traffic.bytes_in = 9'007'199'254'740'991;  // 2^53 - 1: every digit must survive
    traffic.bytes_out = 12;
    listener.nodes.push_back(traffic);
    snapshot.traffic.listeners.push_back(listener);
  }
  return snapshot;
}

// As full_snapshot(), and a second cluster like it.
StatsSnapshot two_clusters() {
  StatsSnapshot snapshot = full_snapshot();
  ClusterView second = *snapshot.clusters[0].view;
  ClusterView first = second;
  first.name = "orders";
  second.name = "billing";
  second.slot = 1;
  second.scope = "billing";
  second.leaving = true;
  snapshot.clusters.push_back(snapshot.clusters[0]);
  snapshot.clusters[0].view = std::make_shared<const ClusterView>(first);
  snapshot.clusters[1].view = std::make_shared<const ClusterView>(second);
  for (std::size_t i = 0; i < 2; ++i) {
    ListenerView& listener = snapshot.traffic.listeners[i];
    listener.cluster = i == 0 ? "orders" : "billing";
    listener.cluster_slot = i;
  }
  snapshot.traffic.checks_stopped = 0b10;
  return snapshot;
}

struct Exposition {
  std::map<std::string, std::string> types;
  std::map<std::string, std::string> samples;  // "name{labels}" -> value
};

// Reads the text format 0.0.4 strictly; every violation is a test failure.
Exposition parse(const std::string& text) {
  static const std::regex kHelp("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex kType("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)");
  static const std::regex kSample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+))");
  Exposition exposition;
  std::string family;
  std::set<std::string> helped;
  EXPECT_TRUE(text.ends_with('\n'));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kHelp)) {
      EXPECT_TRUE(helped.insert(match[1]).second) << "twice: " << line;
      EXPECT_TRUE(match[2].str().ends_with('.')) << "HELP is a sentence: " << line;
      family = match[1];
    } else if (std::regex_match(line, match, kType)) {
      EXPECT_EQ(match[1], family) << line;
      exposition.types[family] = match[2];
    } else if (std::regex_match(line, match, kSample)) {
      const std::string name = match[1];
      EXPECT_TRUE(name == family || name == family + "_bucket" || name == family + "_sum" ||
                  name == family + "_count")
          << "sample outside of its family: " << line;
      EXPECT_TRUE(exposition.samples.emplace(name + match[2].str(), match[3]).second)
          << "series twice: " << line;
    } else {
      ADD_FAILURE() << "not a line of the format: " << line;
    }
  }
  return exposition;
}

double value(const Exposition& exposition, const std::string& series) {
  const auto found = exposition.samples.find(series);
  if (found == exposition.samples.end()) {
    ADD_FAILURE() << "no such series: " << series;
    return -1;
  }
  return std::stod(found->second);
}

TEST(StatsMetrics, TextIsWellFormedWithAndWithoutACluster) {
  EXPECT_GT(parse(metrics_text(full_snapshot())).samples.size(), 80u);
  StatsSnapshot nothing;
  nothing.version = "0.1.0";
  const Exposition exposition = parse(metrics_text(nothing));
  EXPECT_EQ(exposition.types.count("pgsteer_has_primary"), 0u);
  EXPECT_EQ(value(exposition, "pgsteer_build_info{version=\"0.1.0\"}"), 1);
}

TEST(StatsMetrics, EveryNameHasThePrefixAndCountersEndInTotal) {
  for (const auto& [name, type] : parse(metrics_text(full_snapshot())).types) {
    EXPECT_TRUE(name.starts_with("pgsteer_")) << name;
    EXPECT_EQ(name.ends_with("_total"), type == "counter") << name;
    EXPECT_EQ(name.find("millis"), std::string::npos) << name;
  }
}

TEST(StatsMetrics, LabelsAreBounded) {
  const std::set<std::string> allowed = {"version",  "scope",     "system_identifier",
                                         "listener", "node",      "reason",
                                         "role",     "direction", "result",
                                         "kind",     "cluster"};
  for (const auto& family : metric_families(two_clusters())) {
    for (const auto& metric : family.metric) {
      for (const auto& label : metric.label) {
        EXPECT_TRUE(allowed.contains(label.name)) << family.name << " " << label.name;
      }
    }
  }
}

TEST(StatsMetrics, SaysWhoLeadsAndWhoIsAdmitted) {
  const Exposition got = parse(metrics_text(full_snapshot()));
  const std::string other = "node=\"pg-2 \\\"quoted\\\\\\n\"";
  EXPECT_EQ(value(got, "pgsteer_has_primary"), 1);
  EXPECT_EQ(value(got, "pgsteer_primary{node=\"pg-1\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_primary{" + other + "}"), 0);
  EXPECT_EQ(value(got, "pgsteer_node_admitted{listener=\"read_write\",node=\"pg-1\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_node_admitted{listener=\"read_write\"," + other + "}"), 0);
  EXPECT_EQ(value(got, "pgsteer_node_draining{listener=\"read_only\"," + other + "}"), 1);
  EXPECT_EQ(value(got, "pgsteer_node_lag_bytes{" + other + "}"), 4096);
  EXPECT_EQ(got.samples.count("pgsteer_node_lag_bytes{node=\"pg-1\"}"), 0u);
  EXPECT_EQ(value(got, "pgsteer_fence_seconds"), 11.5);
  EXPECT_EQ(value(got, "pgsteer_alarms"), 1);
}

TEST(StatsMetrics, SaysWhatLeavesAndWhetherTheLastReloadFailed) {
  StatsSnapshot snapshot = full_snapshot();
  ClusterView cluster = *snapshot.clusters[0].view;
  cluster.nodes[0].leaving = true;
  snapshot.clusters[0].view = std::make_shared<const ClusterView>(cluster);
  snapshot.traffic.listeners[1].leaving = true;
  snapshot.config.number = 4;
  snapshot.config.reloads_done = 3;
  snapshot.config.reloads_failed = 1;
  snapshot.config.reload_error = "node[0].port: must be 1 to 65535";
  const Exposition got = parse(metrics_text(snapshot));
  EXPECT_EQ(value(got, "pgsteer_node_leaving{node=\"pg-1\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_node_leaving{node=\"pg-2 \\\"quoted\\\\\\n\"}"), 0);
  EXPECT_EQ(value(got, "pgsteer_listener_leaving{listener=\"read_write\"}"), 0);
  EXPECT_EQ(value(got, "pgsteer_listener_leaving{listener=\"read_only\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_config_number"), 4);
  EXPECT_EQ(value(got, "pgsteer_config_reloads_total{result=\"done\"}"), 3);
  EXPECT_EQ(value(got, "pgsteer_config_reloads_total{result=\"failed\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_config_last_reload_failed"), 1);
}

TEST(StatsMetrics, ExactlyOneRoleIsSet) {
  StatsSnapshot snapshot = full_snapshot();
  ClusterView cluster = *snapshot.clusters[0].view;
  cluster.nodes[0].role = NodeRole::kUnknown;
  snapshot.clusters[0].view = std::make_shared<const ClusterView>(cluster);
  const Exposition got = parse(metrics_text(snapshot));
  double sum = 0;
  for (unsigned i = 0; i <= static_cast<unsigned>(NodeRole::kUnknown); ++i) {
    const std::string word = to_string(static_cast<NodeRole>(i));
    sum += value(got, "pgsteer_node_role{node=\"pg-1\",role=\"" + word + "\"}");
  }
  EXPECT_EQ(sum, 1);
  EXPECT_EQ(value(got, "pgsteer_node_role{node=\"pg-1\",role=\"unknown\"}"), 1);
}

TEST(StatsMetrics, CountsAreExactUpToTwoToThe53) {
  const Exposition got = parse(metrics_text(full_snapshot()));
  EXPECT_EQ(
      value(got, "pgsteer_bytes_total{listener=\"read_write\",node=\"pg-1\",direction=\"in\"}"),
      9'007'199'254'740'991.0);
  EXPECT_EQ(value(got, "pgsteer_node_checks_total{node=\"pg-1\",result=\"passed\"}"), 7);
  EXPECT_EQ(value(got, "pgsteer_node_checks_total{node=\"pg-1\",result=\"failed\"}"), 3);
}

TEST(StatsMetrics, HistogramBucketsAreCumulatedUpToInfinity) {
  const Exposition got = parse(metrics_text(full_snapshot()));
  const std::string listener = "{listener=\"read_write\"";
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_bucket" + listener + ",le=\"0.1\"}"), 3);
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_bucket" + listener + ",le=\"1\"}"), 5);
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_bucket" + listener + ",le=\"+Inf\"}"), 6);
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_count" + listener + "}"), 6);
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_sum" + listener + "}"), 4.5);
}

TEST(StatsMetrics, HistogramWithoutBucketsYetIsStillWellFormed) {
  StatsSnapshot snapshot = full_snapshot();
  snapshot.traffic.listeners[0].hold_seconds = {};
  const Exposition got = parse(metrics_text(snapshot));
  EXPECT_EQ(value(got, "pgsteer_hold_seconds_bucket{listener=\"read_write\",le=\"+Inf\"}"), 0);
}

TEST(StatsMetrics, FailoversAreCountedAndTheLastIsDescribed) {
  const Exposition got = parse(metrics_text(full_snapshot()));
  EXPECT_EQ(value(got, "pgsteer_failovers_total{kind=\"failover\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_failovers_total{kind=\"interruption\"}"), 0);
  EXPECT_EQ(value(got, "pgsteer_no_primary_seconds_total"), 1.25);
  EXPECT_EQ(value(got, "pgsteer_last_failover_no_primary_seconds"), 1.25);
  EXPECT_EQ(value(got, "pgsteer_last_failover_sessions_ended_by_server"), 20);
  EXPECT_EQ(value(got, "pgsteer_last_failover_sessions_cut"), 4);
}

// Two clusters have a pg-1 each.
TEST(StatsMetrics, TheLabelClusterTellsClustersApart) {
  const Exposition got = parse(metrics_text(two_clusters()));
  EXPECT_EQ(value(got, "pgsteer_has_primary{cluster=\"orders\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_has_primary{cluster=\"billing\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_cluster_leaving{cluster=\"orders\"}"), 0);
  EXPECT_EQ(value(got, "pgsteer_cluster_leaving{cluster=\"billing\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_checks_stopped{cluster=\"orders\"}"), 0);
  EXPECT_EQ(value(got, "pgsteer_checks_stopped{cluster=\"billing\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_primary{cluster=\"billing\",node=\"pg-1\"}"), 1);
  EXPECT_EQ(
      value(got, "pgsteer_sessions{cluster=\"orders\",listener=\"read_write\",node=\"pg-1\"}"), 3);
  EXPECT_EQ(value(got, "pgsteer_clients{cluster=\"billing\",listener=\"read_only\"}"), 5);
  EXPECT_EQ(value(got, "pgsteer_failovers_total{cluster=\"billing\",kind=\"failover\"}"), 1);
  EXPECT_EQ(value(got, "pgsteer_last_failover_sessions_cut{cluster=\"orders\"}"), 4);
  const std::string id = "\",system_identifier=\"7301256113947229513\"}";
  EXPECT_EQ(value(got, "pgsteer_cluster_info{cluster=\"orders\",scope=\"orders" + id), 1);
  EXPECT_EQ(value(got, "pgsteer_cluster_info{cluster=\"billing\",scope=\"billing" + id), 1);
}

// A cluster without a name, which leaves, beside one with a name.
TEST(StatsMetrics, EachClusterHasASeriesOfItsTexts) {
  StatsSnapshot snapshot = two_clusters();
  ClusterView unnamed = *snapshot.clusters[1].view;
  unnamed.name.clear();
  snapshot.clusters[1].view = std::make_shared<const ClusterView>(unnamed);
  const Exposition got = parse(metrics_text(snapshot));
  const std::string id = "\",system_identifier=\"7301256113947229513\"}";
  EXPECT_EQ(value(got, "pgsteer_cluster_info{scope=\"billing" + id), 1);
}

TEST(StatsMetrics, WithoutANameOfTheClusterThereIsNoLabel) {
  EXPECT_EQ(metrics_text(full_snapshot()).find("cluster=\""), std::string::npos);
}

}  // namespace
}  // namespace pgsteer
