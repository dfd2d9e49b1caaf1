#include "stats/json.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "stats/facts.h"

namespace pgsteer {
namespace {

using Json = nlohmann::ordered_json;

// One value as FactName describes it.
struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(const std::string& text) const {
    return text.empty() ? Json(nullptr) : Json(text);
  }
  Json operator()(WallTime time) const { return (*this)(rfc3339(time)); }
  Json operator()(const Series& series) const {
    Json object = Json::object();
    for (const auto& [name, number] : series) object[name] = number;
    return object;
  }
  Json operator()(const HistogramView* histogram) const {
    return {{"bounds", histogram->bounds}, {"counts", histogram->counts}, {"sum", histogram->sum}};
  }
  template <typename Plain>
  Json operator()(const Plain& value) const {
    return value;
  }
};

// An object with one member per row of the table.
template <typename View>
Json object_of(std::span<const Fact<View>> facts, const View& view) {
  Json object = Json::object();
  for (const Fact<View>& fact : facts) {
    if (*fact.name.json != '\0') object[fact.name.json] = std::visit(ToJson{}, fact.read(view));
  }
  return object;
}

template <typename View>
Json array_of(std::span<const Fact<View>> facts, const std::vector<View>& views) {
  Json array = Json::array();
  for (const View& view : views) array.push_back(object_of(facts, view));
  return array;
}

Json node_json(const ClusterView& cluster, const NodeView& node) {
  Json json = object_of(node_facts(), ClusterNode{cluster, node});
  Json& tags = json["tags"] = Json::object();
  for (const auto& [name, value] : node.tags) tags[name] = value;
  json["verdicts"] = array_of(verdict_facts(), node.verdicts);
  return json;
}

Json listener_json(const ListenerView& listener) {
  Json json = object_of(listener_facts(), listener);
  json["nodes"] = array_of(listener_node_facts(), listener.nodes);
  return json;
}

Json failover_json(const std::string& cluster, const FailoverView& failover) {
  Json json = object_of(failover_facts(), failover);
  json["cluster"] = ToJson{}(cluster);
  json["steps"] = array_of(failover_step_facts(), failover.steps);
  return json;
}

Json cluster_json(const ShownCluster& cluster, const FailoverCounts& counts) {
  Json json = object_of(cluster_facts(), cluster);
  json["failover_counts"] = object_of(failover_counts_facts(), counts);
  return json;
}

// Of all clusters, newest first.
Json failovers_json(const std::vector<ClusterSnapshot>& clusters) {
  std::vector<std::pair<const ClusterView*, const FailoverView*>> all;
  for (const ClusterSnapshot& cluster : clusters) {
    for (const FailoverView& each : cluster.view->failovers) {
      all.emplace_back(cluster.view.get(), &each);
    }
  }
  std::ranges::stable_sort(all, std::greater(), [](const auto& e) { return e.second->began_at; });
  Json array = Json::array();
  for (const auto& [cluster, each] : all) array.push_back(failover_json(cluster->name, *each));
  return array;
}

}  // namespace

Json status_json(const StatsSnapshot& snapshot) {
  Json json = object_of(process_facts(), snapshot);
  json["config"] = object_of(config_facts(), snapshot.config);
  Json& clusters = json["clusters"] = Json::array();
  Json& nodes = json["nodes"] = Json::array();
  for (const auto& [cluster, counts] : snapshot.clusters) {
    clusters.push_back(cluster_json({*cluster, snapshot.traffic.stopped(cluster->slot)}, counts));
    for (const NodeView& node : cluster->nodes) nodes.push_back(node_json(*cluster, node));
  }
  Json& listeners = json["listeners"] = Json::array();
  for (const ListenerView& listener : snapshot.traffic.listeners) {
    listeners.push_back(listener_json(listener));
  }
  json["failovers"] = failovers_json(snapshot.clusters);
  FailoverCounts total;
  for (const ClusterSnapshot& cluster : snapshot.clusters) total.add(cluster.failover_counts);
  json["failover_counts"] = object_of(failover_counts_facts(), total);
  json["events"] = array_of(event_facts(), snapshot.events);
  return json;
}

Json sessions_json(const std::vector<SessionView>& sessions, WallTime now) {
  return {{"generated_at", ToJson{}(now)}, {"sessions", array_of(session_facts(), sessions)}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pgsteer
