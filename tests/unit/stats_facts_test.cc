// What holds for every row of the tables of facts.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <tuple>

#include "stats/facts.h"

namespace pgsteer {
namespace {

using Table = std::pair<std::string, std::vector<FactName>>;

template <typename View>
Table table(const char* subject, std::span<const Fact<View>> facts) {
  Table table{subject, {}};
  for (const Fact<View>& fact : facts) table.second.push_back(fact.name);
  return table;
}

std::vector<Table> all_tables() {
  return {table("process", process_facts()),
          table("config", config_facts()),
          table("listener", listener_facts()),
          table("listener node", listener_node_facts()),
          table("session", session_facts()),
          table("cluster", cluster_facts()),
          table("node", node_facts()),
          table("verdict", verdict_facts()),
          table("failover", failover_facts()),
          table("step", failover_step_facts()),
          table("counts", failover_counts_facts()),
          table("event", event_facts())};
}

TEST(StatsFacts, NoTableIsEmptyAndEveryRowHasAName) {
  for (const auto& [subject, names] : all_tables()) {
    EXPECT_FALSE(names.empty()) << subject;
    for (const FactName& name : names) {
      EXPECT_TRUE(*name.json != '\0' || *name.metric != '\0') << subject;
    }
  }
}

TEST(StatsFacts, JsonNamesAreUniqueWithinATable) {
  for (const auto& [subject, names] : all_tables()) {
    std::set<std::string> seen;
    for (const FactName& name : names) {
      if (*name.json == '\0') continue;
      EXPECT_TRUE(seen.insert(name.json).second) << subject << ": " << name.json;
    }
  }
}

// Rows may share a metric only if a label tells them apart.
TEST(StatsFacts, MetricsAreUnique) {
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> subjects;
  for (const auto& [subject, names] : all_tables()) {
    for (const FactName& name : names) {
      if (*name.metric == '\0') continue;
      EXPECT_TRUE(seen.emplace(name.metric, name.label, name.label_value).second)
          << subject << ": " << name.metric;
      EXPECT_EQ(subjects.emplace(name.metric, subject).first->second, subject) << name.metric;
      const std::string key = std::string(name.metric) + (*name.label_value ? " value" : " plain");
      const std::string other =
          std::string(name.metric) + (*name.label_value ? " plain" : " value");
      labels.emplace(key, name.label);
      EXPECT_FALSE(labels.contains(other)) << name.metric << " with and without a label";
    }
  }
}

TEST(StatsFacts, EveryMetricHasHelpAndRowsOfOneMetricAgree) {
  std::map<std::string, FactName> first;
  for (const auto& [subject, names] : all_tables()) {
    for (const FactName& name : names) {
      const std::string help = name.help;
      if (*name.metric == '\0') {
        EXPECT_EQ(help, "") << subject << ": help is written for metrics";
        continue;
      }
      EXPECT_GT(help.size(), 15u) << name.metric;
      EXPECT_TRUE(help.ends_with('.')) << name.metric << ": " << help;
      const FactName& same = first.emplace(name.metric, name).first->second;
      EXPECT_EQ(same.help, help) << name.metric;
      EXPECT_EQ(same.type, name.type) << name.metric;
    }
  }
}

// pgsteer_clients_total of a listener is "clients_total". Exceptions are listed, each for a reason.
TEST(StatsFacts, JsonFollowsTheMetricsName) {
  const std::map<std::string, std::string> exceptions = {
      {"version", "pgsteer_build_info"},  // texts are labels
      {"scope", "pgsteer_cluster_info"},
      {"system_identifier", "pgsteer_cluster_info"},
      {"bytes_in", "pgsteer_bytes_total"},  // a label in the metric, a name of its own in JSON
      {"bytes_out", "pgsteer_bytes_total"},
      {"checks_passed", "pgsteer_node_checks_total"},
      {"checks_failed", "pgsteer_node_checks_total"},
      {"interruptions_total", "pgsteer_failovers_total"},
      {"reloads_done_total", "pgsteer_config_reloads_total"},
      {"reloads_failed_total", "pgsteer_config_reloads_total"},
      {"session_ends", "pgsteer_session_ends_total"},  // an object of totals
      {"started_at", "pgsteer_start_time_seconds"},    // the usual name of this metric
      {"began_at", "pgsteer_last_failover_timestamp_seconds"},
  };
  for (const auto& [subject, names] : all_tables()) {
    for (const FactName& name : names) {
      if (*name.json == '\0' || *name.metric == '\0') continue;
      const std::string json = name.json;
      if (const auto found = exceptions.find(json); found != exceptions.end()) {
        EXPECT_EQ(found->second, name.metric);
        continue;
      }
      std::string want = name.metric;
      for (const char* prefix :
           {"pgsteer_", "config_", "last_failover_", "node_", "listener_", "cluster_"}) {
        if (want.starts_with(prefix)) want.erase(0, std::string(prefix).size());
      }
      const std::string time = "_timestamp_seconds";
      if (want.ends_with(time)) {
        want.erase(want.size() - time.size());
        if (!want.ends_with("_since")) want += "_at";
      }
      EXPECT_EQ(json, want) << subject << ": " << name.metric;
    }
  }
}

// The alerts and the dashboard name only metrics that exist.
TEST(StatsFacts, MonitoringFilesUseTheseMetrics) {
  std::set<std::string> known;
  for (const auto& [subject, names] : all_tables()) {
    for (const FactName& name : names) {
      known.insert(name.metric);
      if (name.type != prometheus::MetricType::Histogram) continue;
      for (const char* part : {"_bucket", "_sum", "_count"}) {
        known.insert(std::string(name.metric) + part);
      }
    }
  }
  const std::string folder = PGSTEER_FIXTURES "/../../deploy/monitoring/";
  const std::regex metric("pgsteer_[a-z_]+");
  for (const char* file : {"pgsteer.rules.yml", "grafana/pgsteer.json"}) {
    std::ifstream in(folder + file);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::sregex_iterator found(text.begin(), text.end(), metric);
    EXPECT_GT(std::distance(found, {}), 5) << file;
    for (; found != std::sregex_iterator(); ++found) {
      EXPECT_TRUE(known.contains(found->str())) << file << ": " << found->str();
    }
  }
}

}  // namespace
}  // namespace pgsteer
