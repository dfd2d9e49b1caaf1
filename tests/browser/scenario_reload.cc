#include "tests/browser/scenario_reload.h"

namespace pgsteer {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kRemoved = "was removed from the configuration";

void leave(NodeView& node) {
  node.leaving = true;
  for (VerdictView& verdict : node.verdicts) {
    verdict = {verdict.listener, Admission::kDrain, Reason::kRemoved, kRemoved};
  }
}

// The machine has been switched off although it had not left yet.
void switch_off(NodeView& node, WallTime now) {
  node.role = NodeRole::kDown;
  node.role_since = now - seconds(95);
  node.check_history = ~0ull << 47;
  node.checks_failed += 47;
  node.last_check_result = "no connection within 2.0 s";
  node.check_seconds = 2;
  node.database_answer = DatabaseAnswer::kUnreachable;
  for (VerdictView& verdict : node.verdicts) {
    verdict.admission = Admission::kCut;
    verdict.reason = Reason::kDown;
    verdict.why =
        "Patroni does not answer (no connection within 2.0 s), and PostgreSQL's port "
        "cannot be reached";
  }
}

}  // namespace

ConfigView config_view(const std::string& name, WallTime now) {
  ConfigView config;
  config.file = "/etc/pgsteer/pgsteer.toml";
  config.in_force_since = config.reload_at = now - hours(79);
  if (name == "healthy" || name == "many") {
    config.number = 4;
    config.reloads_done = 3;
    config.in_force_since = config.reload_at = now - minutes(261);
    config.changes = {"node \"pg-3\" is new", "node \"pg-1\": weight: 1 -> 2"};
  }
  if (name == "reload_failed") {
    config.number = 2;
    config.reloads_done = 2;
    config.reloads_failed = 1;
    config.reload_at = now - seconds(190);
    config.reload_error =
        "/etc/pgsteer/pgsteer.toml:31: listen[1].hodl: is unknown (did you mean \"hold\"?) (and 2 "
        "more errors)";
  }
  if (name == "leaving") {
    config.number = 2;
    config.reloads_done = 1;
    config.in_force_since = config.reload_at = now - minutes(4);
    config.changes = {"node \"pg-2\" is removed", "node \"pg-4\" is removed",
                      "node \"pg-5\" is new", "listener \"reports\" is removed"};
  }
  if (name == "hostile") {
    const std::string evil = "<img src=x onerror=\"window.hacked=1\">";
    config.file = "/etc/" + evil;
    config.reloads_failed = 1;
    config.reload_error = evil;
  }
  return config;
}

void add_leaving(ClusterView& cluster, WallTime now) {
  for (const char* name : {"pg-4", "pg-5"}) {
    NodeView& node = cluster.nodes.emplace_back(cluster.nodes[1]);
    node.name = name;
    node.host = node.address = std::string("10.131.0.4") + name[3] + ":5432";
    node.rest_url = std::string("http://10.131.0.4") + name[3] + ":8008";
    node.role = NodeRole::kReplica;
  }
  // No node takes new sessions of the listener that leaves.
  for (NodeView& node : cluster.nodes) {
    node.verdicts.push_back(
        {"reports", Admission::kDrain, Reason::kLagging, "replays 1.2 GB behind, limit 16.0 MB"});
  }
  leave(cluster.nodes[1]);
  leave(cluster.nodes[3]);
  switch_off(cluster.nodes[3], now);
}

void add_leaving(TrafficView& traffic, double elapsed) {
  ListenerView reports = traffic.listeners[1];
  NodeTrafficView& left = traffic.listeners[1].nodes[1];
  left.sessions = 12;
  left.sessions_most = 40;
  left.sessions_total = 9'214;
  left.bytes_in = 730'112'044 + static_cast<std::uint64_t>(elapsed * 51'000);
  left.bytes_out = 8'112'730'044;
  traffic.listeners[1].clients += left.sessions;
  reports.name = "reports";
  reports.bind = {"*:5002"};
  reports.leaving = true;
  for (NodeTrafficView& node : reports.nodes) node.sessions = 0;
  reports.nodes[2].sessions = reports.clients = 5;
  // Before those that stay: the page puts them last.
  traffic.listeners.insert(traffic.listeners.begin(), reports);
}

}  // namespace pgsteer
