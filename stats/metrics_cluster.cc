// The families about the cluster: what the checker knows and did.
#include <algorithm>

#include "stats/metrics.h"
#include "stats/metrics_family.h"

namespace pgsteer {

using prometheus::MetricType;

const std::vector<std::string>& node_roles() {
  static const std::vector<std::string> kRoles = {
      "primary", "promoting", "replica", "sync_replica", "standby_leader",
      "stopped", "silent",    "down",    "foreign",      "unknown"};
  return kRoles;
}

namespace {

const std::string& known_role(const std::string& role) {
  const std::vector<std::string>& roles = node_roles();
  const auto found = std::find(roles.begin(), roles.end(), role);
  return found == roles.end() ? roles.back() : *found;
}

// A family with one series per node; `value` gives an optional, unset: no series for this node.
template <typename Value>
void per_node(Families& families, const ClusterView& cluster, MetricType type, const char* name,
              const char* help, Value value) {
  Family family(type, name, help);
  for (const NodeView& node : cluster.nodes) {
    if (const auto number = value(node)) family.add({{"node", node.name}}, *number);
  }
  std::move(family).to(families);
}

void add_verdict_families(Families& families, const ClusterView& cluster) {
  Family admitted(MetricType::Gauge, "pgsteer_node_admitted",
                  "1 if new sessions of the listener may go to the node. 0 is ordinary for a "
                  "replica on a listener that leads to the primary.");
  Family draining(MetricType::Gauge, "pgsteer_node_draining",
                  "1 if the listener's sessions may stay on the node and new ones go elsewhere.");
  for (const NodeView& node : cluster.nodes) {
    for (const VerdictView& verdict : node.verdicts) {
      const Labels labels{{"listener", verdict.listener}, {"node", node.name}};
      admitted.add(labels, verdict.admission == "admit" ? 1 : 0);
      draining.add(labels, verdict.admission == "drain" ? 1 : 0);
    }
  }
  std::move(admitted).to(families);
  std::move(draining).to(families);
}

void add_check_families(Families& families, const ClusterView& cluster) {
  using N = const NodeView&;
  Family checks(MetricType::Counter, "pgsteer_node_checks_total",
                "Checks of the node's REST API, by whether it answered as it should.");
  for (const NodeView& node : cluster.nodes) {
    checks.add({{"node", node.name}, {"result", "passed"}},
               node.checks_total - std::min(node.checks_failed, node.checks_total));
    checks.add({{"node", node.name}, {"result", "failed"}}, node.checks_failed);
  }
  std::move(checks).to(families);
  per_node(families, cluster, MetricType::Gauge, "pgsteer_node_check_seconds",
           "How long the last check took.", [](N n) {
             return n.checks_total > 0 ? std::optional(n.last_check_seconds) : std::nullopt;
           });
  per_node(families, cluster, MetricType::Gauge, "pgsteer_node_last_check_timestamp_seconds",
           "When the last check ended, in seconds since 1970.", [](N n) {
             return n.last_check == WallTime{} ? std::nullopt
                                               : std::optional(unix_seconds(n.last_check));
           });
}

}  // namespace

void add_cluster_families(Families& families, const ClusterView& cluster) {
  const auto gauge = MetricType::Gauge;
  Family info(gauge, "pgsteer_cluster_info", "Always 1; the labels say which cluster this is.");
  info.add({{"scope", cluster.scope}, {"system_identifier", cluster.system_identifier}}, 1);
  std::move(info).to(families);
  add_single(families, gauge, "pgsteer_first_round_done",
             "1 once every node has been checked since the start.",
             cluster.first_round_done ? 1 : 0);
  add_single(families, gauge, "pgsteer_topology_generation",
             "Number of the routing decision in force; each change raises it.", cluster.generation);
  add_single(families, gauge, "pgsteer_has_primary",
             "1 while a node is the primary, proven or within its lease.",
             cluster.primary.empty() ? 0 : 1);
  if (cluster.primary_since != WallTime{} && !cluster.primary.empty()) {
    add_single(families, gauge, "pgsteer_primary_since_timestamp_seconds",
               "When the present primary became it, in seconds since 1970.",
               unix_seconds(cluster.primary_since));
  }
  add_single(families, gauge, "pgsteer_timeline", "The primary's timeline, or the last one known.",
             cluster.timeline);
  add_single(families, gauge, "pgsteer_paused", "1 while Patroni is in maintenance mode.",
             cluster.paused ? 1 : 0);
  add_single(families, gauge, "pgsteer_hunting",
             "1 while all nodes are checked fast because something is in doubt.",
             cluster.hunting ? 1 : 0);
  add_single(families, gauge, "pgsteer_dcs_ok",
             "1 while the members reach their configuration store.", cluster.dcs_ok ? 1 : 0);
  add_single(families, gauge, "pgsteer_failsafe", "1 while Patroni's failsafe mode is active.",
             cluster.failsafe ? 1 : 0);
  add_single(families, gauge, "pgsteer_alarms", "Alarms in force; the page says them in words.",
             cluster.alarms.size());
  if (cluster.fence_seconds) {
    add_single(families, gauge, "pgsteer_fence_seconds",
               "Time left until the sessions of a primary that cannot be proven are cut. Absent "
               "while the primary is proven.",
               *cluster.fence_seconds);
  }
}

void add_node_families(Families& families, const ClusterView& cluster) {
  using N = const NodeView&;
  const auto gauge = MetricType::Gauge;
  per_node(families, cluster, gauge, "pgsteer_primary",
           "1 for the node that is the primary, proven or within its lease.",
           [&](N n) { return std::optional(n.name == cluster.primary ? 1 : 0); });
  Family role(gauge, "pgsteer_node_role", "1 for the role that the node has, 0 for the others.");
  for (const NodeView& node : cluster.nodes) {
    for (const std::string& name : node_roles()) {
      role.add({{"node", node.name}, {"role", name}}, name == known_role(node.role) ? 1 : 0);
    }
  }
  std::move(role).to(families);
  per_node(families, cluster, gauge, "pgsteer_node_lease",
           "1 for a node that says it holds the leader lease.",
           [](N n) { return std::optional(n.lease ? 1 : 0); });
  per_node(families, cluster, gauge, "pgsteer_node_timeline", "The node's timeline, if known.",
           [](N n) { return n.timeline ? std::optional(n.timeline) : std::nullopt; });
  per_node(families, cluster, gauge, "pgsteer_node_lag_bytes",
           "WAL that the replica has not replayed yet, as of one round of checks.",
           [](N n) { return n.lag; });
  per_node(families, cluster, gauge, "pgsteer_node_wal_position_bytes",
           "Position in the WAL: written by the primary, replayed by a replica.",
           [](N n) { return n.lsn ? std::optional(n.lsn) : std::nullopt; });
  add_verdict_families(families, cluster);
  add_check_families(families, cluster);
}

void add_failover_families(Families& families, const StatsSnapshot& snapshot) {
  const auto gauge = MetricType::Gauge;
  Family count(MetricType::Counter, "pgsteer_failovers_total",
               "Times without a primary that ended: kind failover with another node as primary, "
               "interruption with the same one.");
  count.add({{"kind", "failover"}}, snapshot.tally.failovers);
  count.add({{"kind", "interruption"}}, snapshot.tally.interruptions);
  std::move(count).to(families);
  add_single(families, MetricType::Counter, "pgsteer_no_primary_seconds_total",
             "Time without a primary, over all that are counted in pgsteer_failovers_total.",
             snapshot.tally.no_primary_seconds);
  if (!snapshot.cluster || snapshot.cluster->failovers.empty()) return;
  const FailoverView& last = snapshot.cluster->failovers.front();
  add_single(families, gauge, "pgsteer_last_failover_timestamp_seconds",
             "When the last failover or interruption began, in seconds since 1970.",
             unix_seconds(last.began));
  add_single(families, gauge, "pgsteer_last_failover_finished",
             "0 while the last failover is still under way.", last.finished ? 1 : 0);
  add_single(families, gauge, "pgsteer_last_failover_no_primary_seconds",
             "How long the last one left no node to write to.", last.no_primary_seconds);
  add_single(families, gauge, "pgsteer_last_failover_held_longest_seconds",
             "The longest that a client waited in the last one.", last.held_longest_seconds);
  add_single(families, gauge, "pgsteer_last_failover_sessions_cut",
             "Sessions that the last one ended.", last.cut);
  add_single(families, gauge, "pgsteer_last_failover_clients_held",
             "Clients that waited in the last one.", last.held);
}

}  // namespace pgsteer
