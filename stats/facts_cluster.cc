// Facts about the clusters, their nodes, and what each listener may do with them.
#include <algorithm>

#include "health/reason.h"
#include "stats/facts.h"
#include "stats/format.h"

namespace pgsteer {
namespace {

using prometheus::MetricType;
constexpr auto kGauge = MetricType::Gauge;
constexpr auto kCounter = MetricType::Counter;

using C = const ShownCluster&;
constexpr Fact<ShownCluster> kCluster[] = {
    {{"name"}, [](C c) -> Value { return c.view.name; }},
    {{"leaving", "pgsteer_cluster_leaving", kGauge,
      "1 for a cluster that a reload has removed from the configuration file: it gets no new "
      "sessions, and goes when its last session has ended."},
     [](C c) -> Value { return c.view.leaving; }},
    {{"scope", "pgsteer_cluster_info", kGauge, "Always 1; the labels name the cluster.", "scope"},
     [](C c) -> Value { return c.view.scope; }},
    {{"system_identifier", "pgsteer_cluster_info", kGauge, "Always 1; the labels name the cluster.",
      "system_identifier"},
     [](C c) -> Value { return c.view.system_identifier; }},
    {{"first_round_done", "pgsteer_first_round_done", kGauge,
      "1 once every node has been checked since the start."},
     [](C c) -> Value { return c.view.first_round_done; }},
    {{"topology_generation", "pgsteer_topology_generation", kGauge,
      "Number of the current routing decision; every change increments it."},
     [](C c) -> Value { return c.view.topology_generation; }},
    {{"primary"}, [](C c) -> Value { return c.view.primary; }},
    {{"has_primary", "pgsteer_has_primary", kGauge,
      "1 while a node is the primary: confirmed by a check, or still within its lease."},
     [](C c) -> Value { return !c.view.primary.empty(); }},
    {{"primary_since", "pgsteer_primary_since_timestamp_seconds", kGauge,
      "When the current primary became the primary, in seconds since 1970."},
     [](C c) -> Value { return c.view.primary.empty() ? Value() : Value(c.view.primary_since); }},
    {{"timeline", "pgsteer_timeline", kGauge, "Timeline of the primary, or of the last one."},
     [](C c) { return nonzero(c.view.timeline); }},
    {{"no_primary_why"}, [](C c) -> Value { return c.view.no_primary_why; }},
    {{"paused", "pgsteer_paused", kGauge, "1 while Patroni is in maintenance mode."},
     [](C c) -> Value { return c.view.paused; }},
    {{"dcs_ok", "pgsteer_dcs_ok", kGauge,
      "1 while the members reach their configuration store (etcd, Consul, ZooKeeper, ...)."},
     [](C c) -> Value { return c.view.dcs_ok; }},
    {{"failsafe", "pgsteer_failsafe", kGauge, "1 while Patroni's failsafe mode is active."},
     [](C c) -> Value { return c.view.failsafe; }},
    {{"hunting", "pgsteer_hunting", kGauge,
      "1 while all nodes are checked every 100 ms because the primary is in doubt."},
     [](C c) -> Value { return c.view.hunting; }},
    {{"fence_seconds", "pgsteer_fence_seconds", kGauge,
      "Time left until pgsteer ends the sessions of a primary that it cannot confirm. Absent while "
      "the primary is confirmed."},
     [](C c) { return value_or_nothing(c.view.fence_seconds); }},
    {{"alarms", "pgsteer_alarms", kGauge, "Number of active alarms; the page shows their text."},
     [](C c) -> Value { return c.view.alarms; }},
    {{"checks_stopped", "pgsteer_checks_stopped", kGauge,
      "1 while pgsteer's own checks of the nodes stand still for so long that it acts as if there "
      "were no primary."},
     [](C c) -> Value { return c.checks_stopped; }},
};

// Oldest first, as it is drawn: "1" passed, "0" failed.
Value check_history(const NodeView& node) {
  std::string text;
  for (unsigned i = std::min(node.checks_kept, 64u); i > 0; --i) {
    text += (node.check_history >> (i - 1)) & 1 ? '1' : '0';
  }
  return text;
}

Value role_series(const NodeView& node) {
  Series series;
  for (unsigned i = 0; i <= static_cast<unsigned>(NodeRole::kUnknown); ++i) {
    const auto role = static_cast<NodeRole>(i);
    series.emplace_back(to_string(role), role == node.role);
  }
  return series;
}

constexpr const char* kChecksHelp =
    "Checks of the node's REST API; passed means that it answered as expected.";

using N = const ClusterNode&;
constexpr Fact<ClusterNode> kNode[] = {
    {{"name"}, [](N n) -> Value { return n.node.name; }},
    {{"cluster"}, [](N n) -> Value { return n.cluster.name; }},
    {{"primary", "pgsteer_primary", kGauge,
      "1 for the node that is the primary: confirmed by a check, or still within its lease."},
     [](N n) -> Value { return n.node.name == n.cluster.primary; }},
    {{"host"}, [](N n) -> Value { return n.node.host; }},
    {{"address"}, [](N n) -> Value { return n.node.address; }},
    {{"rest_url"}, [](N n) -> Value { return n.node.rest_url; }},
    {{"role"}, [](N n) -> Value { return to_string(n.node.role); }},
    {{"", "pgsteer_node_role", kGauge, "1 for the role that the node has, 0 for all others.",
      "role"},
     [](N n) { return role_series(n.node); }},
    {{"role_since"}, [](N n) -> Value { return n.node.role_since; }},
    {{"state"}, [](N n) -> Value { return n.node.state; }},
    {{"lease", "pgsteer_node_lease", kGauge, "1 for a node that says it holds the leader lease."},
     [](N n) -> Value { return n.node.lease; }},
    {{"timeline", "pgsteer_node_timeline", kGauge, "Timeline of the node, if known."},
     [](N n) { return nonzero(n.node.timeline); }},
    {{"wal_position"},
     [](N n) -> Value {
       return n.node.wal_position ? Value(lsn_text(n.node.wal_position)) : Value();
     }},
    {{"wal_position_bytes", "pgsteer_node_wal_position_bytes", kGauge,
      "Position in the WAL: written by the primary, replayed by a replica."},
     [](N n) { return nonzero(n.node.wal_position); }},
    {{"lag_bytes", "pgsteer_node_lag_bytes", kGauge,
      "WAL that the replica has not replayed yet, measured within one round of checks."},
     [](N n) { return value_or_nothing(n.node.lag_bytes); }},
    {{"replication_state"}, [](N n) -> Value { return n.node.replication_state; }},
    {{"server_version"}, [](N n) -> Value { return n.node.server_version; }},
    {{"patroni_version"}, [](N n) -> Value { return n.node.patroni_version; }},
    {{"database_answer"}, [](N n) -> Value { return to_string(n.node.database_answer); }},
    {{"tls"}, [](N n) -> Value { return to_string(n.node.tls); }},
    {{"weight"}, [](N n) -> Value { return n.node.weight; }},
    {{"leaving", "pgsteer_node_leaving", kGauge,
      "1 for a node that a reload has removed from the configuration file: it gets no new "
      "sessions, and goes when its last session has ended."},
     [](N n) -> Value { return n.node.leaving; }},
    {{"discovered"}, [](N n) -> Value { return n.node.discovered; }},
    {{"checks_total"}, [](N n) -> Value { return n.node.checks_total; }},
    {{"checks_passed", "pgsteer_node_checks_total", kCounter, kChecksHelp, "result", "passed"},
     [](N n) -> Value {
       return n.node.checks_total - std::min(n.node.checks_failed, n.node.checks_total);
     }},
    {{"checks_failed", "pgsteer_node_checks_total", kCounter, kChecksHelp, "result", "failed"},
     [](N n) -> Value { return n.node.checks_failed; }},
    {{"check_history"}, [](N n) { return check_history(n.node); }},
    {{"check_seconds", "pgsteer_node_check_seconds", kGauge, "Duration of the last check."},
     [](N n) { return n.node.checks_total > 0 ? Value(n.node.check_seconds) : Value(); }},
    {{"last_check_at", "pgsteer_node_last_check_timestamp_seconds", kGauge,
      "When the last check ended, in seconds since 1970."},
     [](N n) -> Value { return n.node.last_check_at; }},
    {{"last_check_result"}, [](N n) -> Value { return n.node.last_check_result; }},
};

using V = const VerdictView&;
constexpr Fact<VerdictView> kVerdict[] = {
    {{"listener"}, [](V v) -> Value { return v.listener; }},
    {{"admission"}, [](V v) -> Value { return to_string(v.admission); }},
    {{"", "pgsteer_node_admitted", kGauge,
      "1 if new sessions of the listener may go to the node. 0 is normal for a replica on a "
      "listener that routes to the primary."},
     [](V v) -> Value { return v.admission == Admission::kAdmit; }},
    {{"", "pgsteer_node_draining", kGauge,
      "1 if the listener's sessions may stay on the node but new sessions go elsewhere."},
     [](V v) -> Value { return v.admission == Admission::kDrain; }},
    {{"reason"}, [](V v) -> Value { return to_string(v.reason); }},
    {{"why"}, [](V v) -> Value { return v.why; }},
};

}  // namespace

std::span<const Fact<ShownCluster>> cluster_facts() { return kCluster; }
std::span<const Fact<ClusterNode>> node_facts() { return kNode; }
std::span<const Fact<VerdictView>> verdict_facts() { return kVerdict; }

}  // namespace pgsteer
