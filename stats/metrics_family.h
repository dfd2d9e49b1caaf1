// How metrics.cc and metrics_cluster.cc write down a family. Used by these two alone.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "health/views.h"
#include "proxy/routing/traffic_view.h"
#include "stats/snapshot.h"

namespace pgsteer {

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

// One family under construction; the series keep the order in which they are added.
class Family {
 public:
  Family(prometheus::MetricType type, std::string name, std::string help) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  template <typename Number>
  void add(Labels labels, Number value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (family_.type == prometheus::MetricType::Counter) {
      metric.counter.value = static_cast<double>(value);
    } else {
      metric.gauge.value = static_cast<double>(value);
    }
    family_.metric.push_back(std::move(metric));
  }

  void add(Labels labels, const HistogramView& histogram);

  // A family without series says nothing and is left out.
  void to(Families& families) && {
    if (!family_.metric.empty()) families.push_back(std::move(family_));
  }

 private:
  prometheus::MetricFamily family_;
};

template <typename Number>
void add_single(Families& families, prometheus::MetricType type, std::string name, std::string help,
                Number value) {
  Family family(type, std::move(name), std::move(help));
  family.add({}, value);
  std::move(family).to(families);
}

double unix_seconds(WallTime time);

void add_cluster_families(Families& families, const ClusterView& cluster);
void add_node_families(Families& families, const ClusterView& cluster);
void add_failover_families(Families& families, const StatsSnapshot& snapshot);

}  // namespace pgsteer
