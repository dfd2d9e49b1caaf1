#include "stats/metrics.h"

#include <prometheus/text_serializer.h>

#include <limits>

#include "stats/metrics_family.h"

namespace pgsteer {

using prometheus::MetricType;

void Family::add(Labels labels, const HistogramView& histogram) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  std::uint64_t cumulated = 0;
  for (std::size_t i = 0; i <= histogram.bounds.size(); ++i) {
    if (i < histogram.counts.size()) cumulated += histogram.counts[i];
    const bool last = i == histogram.bounds.size();
    metric.histogram.bucket.push_back(
        {cumulated, last ? std::numeric_limits<double>::infinity() : histogram.bounds[i]});
  }
  metric.histogram.sample_count = cumulated;
  metric.histogram.sample_sum = histogram.sum;
  family_.metric.push_back(std::move(metric));
}

double unix_seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

namespace {

void add_process_families(Families& families, const StatsSnapshot& snapshot) {
  Family build(MetricType::Gauge, "pgsteer_build_info", "Always 1; the label says which version.");
  build.add({{"version", snapshot.version}}, 1);
  std::move(build).to(families);
  add_single(families, MetricType::Gauge, "pgsteer_start_time_seconds",
             "When this process started, in seconds since 1970.", unix_seconds(snapshot.started));
  add_single(families, MetricType::Gauge, "pgsteer_workers", "Threads that relay sessions.",
             snapshot.traffic.workers);
  add_single(families, MetricType::Counter, "pgsteer_accept_errors_total",
             "Failures to accept a client, such as no file descriptor left.",
             snapshot.traffic.accept_errors);
}

// A family with one series per listener.
template <typename Value>
void per_listener(Families& families, const TrafficView& traffic, MetricType type, const char* name,
                  const char* help, Value value) {
  Family family(type, name, help);
  for (const ListenerView& listener : traffic.listeners) {
    family.add({{"listener", listener.name}}, value(listener));
  }
  std::move(family).to(families);
}

// A family with one series per listener and node.
template <typename Value>
void per_route(Families& families, const TrafficView& traffic, MetricType type, const char* name,
               const char* help, Value value) {
  Family family(type, name, help);
  for (const ListenerView& listener : traffic.listeners) {
    for (const NodeTrafficView& node : listener.nodes) {
      family.add({{"listener", listener.name}, {"node", node.node}}, value(node));
    }
  }
  std::move(family).to(families);
}

void add_client_families(Families& families, const TrafficView& traffic) {
  const auto counter = MetricType::Counter;
  const auto gauge = MetricType::Gauge;
  using L = const ListenerView&;
  per_listener(families, traffic, gauge, "pgsteer_listener_open",
               "1 while the listener accepts; 0 while it is closed because no node may serve it.",
               [](L l) { return l.open ? 1 : 0; });
  per_listener(families, traffic, gauge, "pgsteer_clients",
               "Connected clients, those that wait for a node included.",
               [](L l) { return l.now; });
  per_listener(families, traffic, gauge, "pgsteer_clients_most",
               "Most clients connected at the same time since the start.",
               [](L l) { return l.most; });
  per_listener(families, traffic, counter, "pgsteer_clients_total", "Clients accepted.",
               [](L l) { return l.total; });
  per_listener(families, traffic, gauge, "pgsteer_held_clients",
               "Clients that wait for a node to appear.", [](L l) { return l.held; });
  per_listener(families, traffic, counter, "pgsteer_held_clients_total",
               "Clients that had to wait for a node.", [](L l) { return l.held_total; });
  per_listener(families, traffic, counter, "pgsteer_cancels_total",
               "CancelRequests passed on to nodes.", [](L l) { return l.cancels; });
  per_listener(families, traffic, MetricType::Histogram, "pgsteer_connect_seconds",
               "Time to establish a TCP connection to a node.", [](L l) { return l.connect; });
  per_listener(families, traffic, MetricType::Histogram, "pgsteer_hold_seconds",
               "How long those clients waited that had to wait for a node.",
               [](L l) { return l.hold; });

  Family ends(counter, "pgsteer_session_ends_total",
              "Sessions ended, by the reason that also stands in the log.");
  for (const ListenerView& listener : traffic.listeners) {
    for (const auto& [reason, count] : listener.ends) {
      ends.add({{"listener", listener.name}, {"reason", reason}}, count);
    }
  }
  std::move(ends).to(families);
}

void add_session_families(Families& families, const TrafficView& traffic) {
  const auto counter = MetricType::Counter;
  const auto gauge = MetricType::Gauge;
  using N = const NodeTrafficView&;
  per_route(families, traffic, gauge, "pgsteer_sessions", "Sessions on the node.",
            [](N n) { return n.now; });
  per_route(families, traffic, gauge, "pgsteer_sessions_most",
            "Most sessions on the node at the same time since the start.",
            [](N n) { return n.most; });
  per_route(families, traffic, counter, "pgsteer_sessions_total",
            "Sessions that were led to the node.", [](N n) { return n.total; });
  per_route(families, traffic, counter, "pgsteer_connect_errors_total",
            "Connections to the node that failed or timed out.",
            [](N n) { return n.connect_errors; });

  Family bytes(counter, "pgsteer_bytes_total",
               "Bytes relayed; direction in is from clients to the node, out is back to clients.");
  for (const ListenerView& listener : traffic.listeners) {
    for (const NodeTrafficView& node : listener.nodes) {
      const auto labels = [&](const char* direction) {
        return Labels{{"listener", listener.name}, {"node", node.node}, {"direction", direction}};
      };
      bytes.add(labels("in"), node.bytes_in);
      bytes.add(labels("out"), node.bytes_out);
    }
  }
  std::move(bytes).to(families);
}

}  // namespace

Families metric_families(const StatsSnapshot& snapshot) {
  Families families;
  add_process_families(families, snapshot);
  add_client_families(families, snapshot.traffic);
  add_session_families(families, snapshot.traffic);
  if (snapshot.cluster) {
    add_cluster_families(families, *snapshot.cluster);
    add_node_families(families, *snapshot.cluster);
  }
  add_failover_families(families, snapshot);
  return families;
}

std::string metrics_text(const StatsSnapshot& snapshot) {
  const prometheus::TextSerializer serializer;
  return serializer.Serialize(metric_families(snapshot));
}

}  // namespace pgsteer
