#include "stats/metrics.h"

#include <prometheus/text_serializer.h>

#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "stats/facts.h"

namespace pgsteer {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

ClientMetric::Histogram cumulated(const HistogramView& view) {
  ClientMetric::Histogram histogram;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i <= view.bounds.size(); ++i) {
    if (i < view.counts.size()) count += view.counts[i];
    const bool last = i == view.bounds.size();
    histogram.bucket.push_back(
        {count, last ? std::numeric_limits<double>::infinity() : view.bounds[i]});
  }
  histogram.sample_count = count;
  histogram.sample_sum = view.sum;
  return histogram;
}

// The families in the order in which their first series came. A family without series says nothing
// and is left out.
class FamilyList {
 public:
  // Every fact of the table that is a metric; `labels` say which row of the view it is.
  template <typename View>
  void add(std::span<const Fact<View>> facts, const Labels& labels, const View& view) {
    texts_.clear();
    for (const Fact<View>& fact : facts) {
      if (*fact.name.metric == '\0') continue;
      std::visit([&](const auto& value) { add(fact.name, labels, value); }, fact.read(view));
    }
  }

  std::vector<MetricFamily> take() && { return std::move(families_); }

 private:
  MetricFamily& family(const FactName& name) {
    const auto [found, is_new] = by_name_.emplace(name.metric, families_.size());
    if (is_new) {
      MetricFamily& added = families_.emplace_back();
      added.name = name.metric;
      added.help = name.help;
      added.type = name.type;
    }
    return families_[found->second];
  }

  void add_number(const FactName& name, Labels labels, double number) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (name.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = number;
    family(name).metric.push_back(std::move(metric));
  }

  static Labels with(Labels labels, const char* label, const std::string& value) {
    if (*label != '\0') labels.push_back({label, value});
    return labels;
  }

  void add(const FactName&, const Labels&, std::monostate) {}

  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void add(const FactName& name, const Labels& labels, Number number) {
    add_number(name, with(labels, name.label, name.label_value), static_cast<double>(number));
  }

  void add(const FactName& name, const Labels& labels, WallTime time) {
    if (time == WallTime{}) return;
    add(name, labels, std::chrono::duration<double>(time.time_since_epoch()).count());
  }

  // Texts of a view with the same metric's name are labels of one series.
  void add(const FactName& name, const Labels& labels, const std::string& text) {
    if (texts_.insert(name.metric).second) add_number(name, labels, 1);
    family(name).metric.back().label.push_back({name.label, text});
  }

  void add(const FactName& name, const Labels& labels, const std::vector<std::string>& list) {
    add(name, labels, list.size());
  }

  void add(const FactName& name, const Labels& labels, const Series& series) {
    for (const auto& [label_value, number] : series) {
      add_number(name, with(labels, name.label, label_value), static_cast<double>(number));
    }
  }

  void add(const FactName& name, const Labels& labels, const HistogramView* histogram) {
    ClientMetric metric;
    metric.label = labels;
    metric.histogram = cumulated(*histogram);
    family(name).metric.push_back(std::move(metric));
  }

  std::vector<MetricFamily> families_;
  std::map<std::string_view, std::size_t> by_name_;
  std::set<std::string_view> texts_;  // that have a series of the view that is being added
};

// The label `cluster` comes first, if the cluster has a name.
Labels of_cluster(const std::string& cluster, Labels labels = {}) {
  if (!cluster.empty()) labels.insert(labels.begin(), {"cluster", cluster});
  return labels;
}

void add_traffic(FamilyList& families, const TrafficView& traffic) {
  for (const ListenerView& listener : traffic.listeners) {
    families.add(listener_facts(), of_cluster(listener.cluster, {{"listener", listener.name}}),
                 listener);
    for (const NodeTrafficView& node : listener.nodes) {
      const Labels labels{{"listener", listener.name}, {"node", node.node}};
      families.add(listener_node_facts(), of_cluster(listener.cluster, labels), node);
    }
  }
}

void add_cluster(FamilyList& families, const ClusterView& cluster, bool checks_stopped) {
  families.add(cluster_facts(), of_cluster(cluster.name), {cluster, checks_stopped});
  for (const NodeView& node : cluster.nodes) {
    families.add(node_facts(), of_cluster(cluster.name, {{"node", node.name}}),
                 ClusterNode{cluster, node});
    for (const VerdictView& verdict : node.verdicts) {
      const Labels labels{{"listener", verdict.listener}, {"node", node.name}};
      families.add(verdict_facts(), of_cluster(cluster.name, labels), verdict);
    }
  }
}

void add_failovers(FamilyList& families, const ClusterSnapshot& cluster) {
  const Labels labels = of_cluster(cluster.view->name);
  families.add(failover_counts_facts(), labels, cluster.failover_counts);
  if (cluster.view->failovers.empty()) return;
  families.add(failover_facts(), labels, cluster.view->failovers.front());
}

}  // namespace

std::vector<MetricFamily> metric_families(const StatsSnapshot& snapshot) {
  FamilyList families;
  families.add(process_facts(), {}, snapshot);
  families.add(config_facts(), {}, snapshot.config);
  add_traffic(families, snapshot.traffic);
  for (const ClusterSnapshot& cluster : snapshot.clusters) {
    add_cluster(families, *cluster.view, snapshot.traffic.stopped(cluster.view->slot));
  }
  for (const ClusterSnapshot& cluster : snapshot.clusters) add_failovers(families, cluster);
  return std::move(families).take();
}

std::string metrics_text(const StatsSnapshot& snapshot) {
  const prometheus::TextSerializer serializer;
  return serializer.Serialize(metric_families(snapshot));
}

}  // namespace pgsteer
