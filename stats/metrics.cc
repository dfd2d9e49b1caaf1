#include "stats/metrics.h"

#include <prometheus/text_serializer.h>

#include <limits>
#include <map>
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

  // Texts with the same metric's name are labels of one series.
  void add(const FactName& name, const Labels& labels, const std::string& text) {
    MetricFamily& info = family(name);
    if (info.metric.empty()) add_number(name, labels, 1);
    info.metric.back().label.push_back({name.label, text});
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
};

void add_traffic(FamilyList& families, const TrafficView& traffic) {
  for (const ListenerView& listener : traffic.listeners) {
    families.add(listener_facts(), {{"listener", listener.name}}, listener);
    for (const NodeTrafficView& node : listener.nodes) {
      families.add(listener_node_facts(), {{"listener", listener.name}, {"node", node.node}}, node);
    }
  }
}

void add_cluster(FamilyList& families, const ClusterView& cluster) {
  families.add(cluster_facts(), {}, cluster);
  for (const NodeView& node : cluster.nodes) {
    families.add(node_facts(), {{"node", node.name}}, ClusterNode{cluster, node});
    for (const VerdictView& verdict : node.verdicts) {
      families.add(verdict_facts(), {{"listener", verdict.listener}, {"node", node.name}}, verdict);
    }
  }
}

}  // namespace

std::vector<MetricFamily> metric_families(const StatsSnapshot& snapshot) {
  FamilyList families;
  families.add(process_facts(), {}, snapshot);
  add_traffic(families, snapshot.traffic);
  if (snapshot.cluster) add_cluster(families, *snapshot.cluster);
  families.add(failover_counts_facts(), {}, snapshot.failover_counts);
  if (snapshot.cluster && !snapshot.cluster->failovers.empty()) {
    families.add(failover_facts(), {}, snapshot.cluster->failovers.front());
  }
  return std::move(families).take();
}

std::string metrics_text(const StatsSnapshot& snapshot) {
  const prometheus::TextSerializer serializer;
  return serializer.Serialize(metric_families(snapshot));
}

}  // namespace pgsteer
