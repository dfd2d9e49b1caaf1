#include "tests/browser/scenarios.h"

#include "health/judge.h"
#include "tests/browser/scenario_clusters.h"
#include "tests/browser/scenario_reload.h"
#include "tests/browser/scenario_traffic.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using Step = FailoverStepKind;

WallTime ago(WallTime now, double seconds) {
  return now - milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

constexpr std::uint64_t kLsn = 0x1A2B3C4D50;

NodeView healthy_node(const std::string& name, const std::string& host, WallTime now) {
  NodeView node;
  node.name = name;
  node.host = host + ":5432";
  node.address = host + ":5432";
  node.rest_url = "http://" + host + ":8008";
  node.role = NodeRole::kReplica;
  node.role_since = ago(now, 3 * 86400 + 4 * 3600);
  node.state = "running";
  node.timeline = 7;
  node.wal_position = kLsn;
  node.lag_bytes = 0;
  node.replication_state = "streaming";
  node.server_version = "15.8";
  node.patroni_version = "3.0.2";
  node.tls = TlsAnswer::kYes;
  node.check_history = ~0ull;
  node.checks_kept = 64;
  node.checks_total = 273'411;
  node.checks_failed = 3;
  node.last_check_at = ago(now, 0.4);
  node.check_seconds = 0.0031;
  node.last_check_result = "503";
  node.database_answer = DatabaseAnswer::kAnswers;
  node.verdicts = {{"read_write", Admission::kCut, Reason::kNotPrimary,
                    "It is a replica; this listener routes to the primary."},
                   {"read_only", Admission::kAdmit, Reason::kReplica,
                    "A healthy replica, 0 B behind the primary."}};
  return node;
}

void make_primary(NodeView& node) {
  node.role = NodeRole::kPrimary;
  node.lease = true;
  node.lag_bytes.reset();
  node.replication_state.clear();
  node.last_check_result = "200";
  node.verdicts = {{"read_write", Admission::kAdmit, Reason::kPrimary,
                    "It holds the leader lease and takes writes."},
                   {"read_only", Admission::kCut, Reason::kIsPrimary,
                    "It is the primary; this listener routes to replicas."}};
}

ClusterView healthy(WallTime now) {
  ClusterView cluster;
  cluster.topology_generation = 12;
  cluster.scope = "orders";
  cluster.system_identifier = "7301256113947229513";
  cluster.primary = "pg-1";
  cluster.primary_since = ago(now, 3 * 86400 + 4 * 3600 + 700);
  cluster.timeline = 7;
  cluster.first_round_done = true;
  for (int i = 1; i <= 3; ++i) {
    cluster.nodes.push_back(
        healthy_node("pg-" + std::to_string(i), "10.131.0." + std::to_string(36 + i), now));
  }
  make_primary(cluster.nodes[0]);
  cluster.nodes[1].role = NodeRole::kSyncReplica;
  cluster.nodes[2].lag_bytes = 4'300'000;
  cluster.nodes[2].wal_position = kLsn - 4'300'000;
  cluster.nodes[2].tags = {{"zone", "b"}, {"clonefrom", "true"}};
  cluster.nodes[2].check_history = ~0ull & ~(1ull << 17) & ~(1ull << 18);
  cluster.nodes[2].verdicts[1].why = "A healthy replica, 4.1 MB behind the primary.";
  return cluster;
}

FailoverView past_failover(WallTime now) {
  FailoverView past;
  past.id = 4;
  past.began_at = ago(now, 3 * 86400 + 4 * 3600 + 701);
  past.kind = FailoverKind::kFailover;
  past.from = "pg-2";
  past.to = "pg-1";
  past.finished = true;
  past.no_primary_seconds = 1.242;
  past.sessions_ended_by_server = 20;
  past.sessions_cut = 14;
  past.sessions_cut_told = 13;
  past.clients_held = 22;
  past.held_longest_seconds = 1.198;
  past.steps = {{0, Step::kServerEnded, "20 sessions ended by their server"},
                {0.001, Step::kFirstSuspicion, "pg-2 ended sessions that nobody asked to end"},
                {0.021, Step::kProof, "pg-2 answers 503 and shows no write position"},
                {0.024, Step::kCut, "14 sessions on pg-2 ended, 13 of them told with 57P01"},
                {1.242, Step::kNewPrimary, "pg-1 holds the lease and is writable on timeline 7"},
                {1.246, Step::kFirstSession, "the first session reached pg-1"},
                {1.31, Step::kHeldReleased, "22 clients had waited, the longest 1.2 s"},
                {1.311, Step::kDone, "sessions are back"}};
  return past;
}

FailoverView interruption(WallTime now) {
  FailoverView past;
  past.id = 3;
  past.began_at = ago(now, 9 * 86400);
  past.kind = FailoverKind::kInterruption;
  past.from = "pg-2";
  past.to = "pg-2";
  past.finished = true;
  past.no_primary_seconds = 4.87;
  past.sessions_cut = 9;
  past.sessions_cut_told = 9;
  past.clients_held = 31;
  past.held_longest_seconds = 4.8;
  past.steps = {{0, Step::kFirstSuspicion, "pg-2 answered a login with 57P03"},
                {4.87, Step::kNewPrimary, "pg-2 is writable again on timeline 6"},
                {4.9, Step::kFirstSession, "the first session reached pg-2"},
                {5.02, Step::kDone, "sessions are back"}};
  return past;
}

// The primary has stopped, a replica is being promoted.
ClusterView failover(WallTime now, double elapsed) {
  ClusterView cluster = healthy(now);
  cluster.topology_generation = 15;
  cluster.primary.clear();
  cluster.primary_since = {};
  cluster.hunting = true;
  cluster.no_primary_why = "pg-2 holds the lease and is being promoted";
  NodeView& old = cluster.nodes[0];
  old.role = NodeRole::kStopped;
  old.role_since = ago(now, 1.4);
  old.state = "stopping";
  old.lease = false;
  old.check_history = ~0ull << 9;
  old.last_check_result = "timed out after 2 s";
  old.check_seconds = 2;
  old.database_answer = DatabaseAnswer::kRefused;
  old.checks_failed += 9;
  old.verdicts[0] = {"read_write", Admission::kCut, Reason::kNotRunning, "PostgreSQL is stopping."};
  old.verdicts[1] = {"read_only", Admission::kCut, Reason::kNotRunning, "PostgreSQL is stopping."};
  NodeView& next = cluster.nodes[1];
  next.role = NodeRole::kPromoting;
  next.role_since = ago(now, 0.3);
  next.lease = true;
  next.last_check_result = "200";
  next.verdicts[0] = {"read_write", Admission::kDrain, Reason::kPromoting,
                      "It holds the leader lease and cannot take writes yet."};
  FailoverView current;
  current.id = 5;
  current.began_at = ago(now, 1.4);
  current.kind = FailoverKind::kFailover;
  current.from = "pg-1";
  current.no_primary_seconds = 1.4 + elapsed;
  current.sessions_cut = 48;
  current.sessions_cut_told = 46;
  current.clients_held = 17;
  current.steps = {{0, Step::kFirstSuspicion, "pg-1 ended sessions that nobody asked to end"},
                   {0.019, Step::kProof, "pg-1 answers 503, state stopping"},
                   {0.022, Step::kCut, "48 sessions on pg-1 ended, 46 of them told with 57P01"}};
  cluster.failovers = {current, past_failover(now), interruption(now)};
  return cluster;
}

ClusterView paused(WallTime now) {
  ClusterView cluster = healthy(now);
  cluster.paused = true;
  cluster.hunting = true;
  NodeView& node = cluster.nodes[0];
  node.role = NodeRole::kSilent;
  node.check_history = ~0ull << 22;
  node.last_check_result = "connection refused";
  node.check_seconds = 0.0004;
  node.verdicts[0] = {"read_write", Admission::kAdmit, Reason::kMaintenance,
                      "Its REST API is silent, the cluster is in maintenance mode and PostgreSQL "
                      "answers: it stays the primary."};
  return cluster;
}

ClusterView alarm(WallTime now, double elapsed) {
  ClusterView cluster = healthy(now);
  cluster.hunting = true;
  cluster.fence_seconds = std::max(0.0, 11.4 - elapsed);
  cluster.alarms = {"pg-3 claims to lead on timeline 6, below the highest seen (7)"};
  NodeView& orphan = cluster.nodes[0];
  orphan.role = NodeRole::kSilent;
  orphan.last_check_result = "timed out after 2 s";
  orphan.check_seconds = 2;
  orphan.check_history = ~0ull << 6;
  orphan.verdicts[0] = {"read_write", Admission::kAdmit, Reason::kOrphaned,
                        "Its REST API does not answer, PostgreSQL does, and its lease cannot have "
                        "passed on for another 11 s."};
  NodeView& stale = cluster.nodes[2];
  make_primary(stale);
  stale.timeline = 6;
  stale.tags.clear();
  stale.verdicts[0] = {"read_write", Admission::kCut, Reason::kStaleTimeline,
                       "It claims to lead on timeline 6; pg-1 has shown 7."};
  stale.verdicts[1] = {"read_only", Admission::kCut, Reason::kStaleTimeline,
                       "It claims to lead on timeline 6; pg-1 has shown 7."};
  return cluster;
}

// One replica gone, one lagging.
ClusterView trouble(WallTime now) {
  ClusterView cluster = healthy(now);
  cluster.dcs_ok = false;
  cluster.failsafe = true;
  NodeView& down = cluster.nodes[1];
  down.role = NodeRole::kDown;
  down.role_since = ago(now, 1250);
  down.state.clear();
  down.timeline = 0;
  down.wal_position = 0;
  down.lag_bytes.reset();
  down.replication_state.clear();
  down.server_version.clear();
  down.patroni_version.clear();
  down.tls = TlsAnswer::kUnknown;
  down.check_history = 0;
  down.last_check_result = "connection refused";
  down.database_answer = DatabaseAnswer::kRefused;
  down.checks_failed = 1253;
  for (VerdictView& verdict : down.verdicts) {
    verdict = {verdict.listener, Admission::kCut, Reason::kDown,
               "Neither its REST API nor PostgreSQL answers."};
  }
  NodeView& lagging = cluster.nodes[2];
  lagging.lag_bytes = 53'000'000;
  lagging.wal_position = kLsn - 53'000'000;
  lagging.verdicts[1] = {"read_only", Admission::kDrain, Reason::kLagging,
                         "It is 50.5 MB behind; this listener permits 16 MB."};
  return cluster;
}

ClusterView many(WallTime now) {
  ClusterView cluster = healthy(now);
  cluster.scope = "warehouse-analytics-production-eu-central-1";
  for (int i = 4; i <= 64; ++i) {
    const std::string name =
        i == 9 ? "pg-a-node-with-quite-a-long-name.rack-17.eu-central-1.internal.example.com"
               : "pg-" + std::to_string(i);
    NodeView node = healthy_node(name, "10.131.1." + std::to_string(i), now);
    node.lag_bytes = static_cast<std::uint64_t>(i * i * 977);
    if (i % 13 == 0) node.check_history = 0xFFFF'F0FF'FFFF'FFFFull;
    if (i == 23) {
      node.tags = {{"noloadbalance", "true"}};
      node.verdicts[1] = {"read_only", Admission::kDrain, Reason::kNoLoadBalance,
                          "Tagged noloadbalance."};
    }
    cluster.nodes.push_back(node);
  }
  return cluster;
}

// The first round of checks is under way: one node has answered.
ClusterView starting(WallTime now) {
  ClusterView cluster;
  cluster.no_primary_why = "no node has been checked yet";
  for (int i = 1; i <= 3; ++i) {
    NodeView node;
    node.name = "pg-" + std::to_string(i);
    node.host = "10.131.0." + std::to_string(36 + i) + ":5432";
    node.verdicts = {{"read_write", Admission::kDrain, Reason::kUnknown, "not checked yet"},
                     {"read_only", Admission::kDrain, Reason::kUnknown, "not checked yet"}};
    cluster.nodes.push_back(node);
  }
  NodeView& first = cluster.nodes[0];
  const std::vector<VerdictView> verdicts = first.verdicts;
  first = healthy_node(first.name, "10.131.0.37", now);
  first.verdicts = verdicts;
  first.check_history = first.checks_kept = 1;
  first.checks_total = 1;
  first.checks_failed = 0;
  return cluster;
}

ClusterView hostile(WallTime now) {
  ClusterView cluster = healthy(now);
  const std::string evil = "<img src=x onerror=\"window.hacked=1\">";
  cluster.scope = "<script>window.hacked=1</script>";
  cluster.alarms = {evil};
  NodeView& node = cluster.nodes[1];
  node.name = evil;
  node.state = "running<script>window.hacked=1</script>";
  node.tags = {{"<b>tag</b>", "\"'><svg onload=window.hacked=1>"}};
  node.verdicts[0].why = evil;
  node.server_version = evil;
  node.last_check_result = evil;
  return cluster;
}

ClusterView cluster_of(const std::string& name, WallTime now, double elapsed) {
  if (name == "failover") return failover(now, elapsed);
  if (name == "paused") return paused(now);
  if (name == "alarm") return alarm(now, elapsed);
  if (name == "trouble") return trouble(now);
  if (name == "many") return many(now);
  if (name == "hostile") return hostile(now);
  if (name == "starting") return starting(now);
  ClusterView cluster = healthy(now);
  if (name == "single") cluster.nodes.resize(1);
  if (name == "leaving") add_leaving(cluster, now);
  return cluster;
}

std::vector<EventView> some_events(WallTime now) {
  const double t = 3 * 86400 + 4 * 3600;
  return {{ago(now, t + 2400), Severity::kInfo, "pgsteer started: 3 nodes, 2 listeners"},
          {ago(now, t + 701), Severity::kWarn, "pg-2: primary -> stopped: PostgreSQL is stopping"},
          {ago(now, t + 701), Severity::kWarn,
           "no primary: pg-2 answers 503 and shows no write position"},
          {ago(now, t + 700), Severity::kInfo,
           "primary: pg-1 on timeline 7, 1.24 s after pg-2 was lost"},
          {ago(now, t + 650), Severity::kInfo, "pg-2: stopped -> replica"},
          {ago(now, 4520), Severity::kError, "pg-3: its REST API did not answer for 2 s"},
          {ago(now, 4519), Severity::kInfo, "pg-3: answers again"}};
}

}  // namespace

const std::vector<std::string>& scene_names() {
  static const std::vector<std::string> kNames = {
      "healthy", "failover", "paused",  "alarm",         "trouble", "nothing", "starting",
      "many",    "single",   "hostile", "reload_failed", "leaving", "clusters"};
  return kNames;
}

Scene make_scene(const std::string& name, WallTime now, double elapsed) {
  Scene scene;
  scene.config = config_view(name, now);
  ClusterView cluster = cluster_of(name, now, elapsed);
  scene.traffic.workers = 4;
  scene.traffic.listeners = {
      listener_view(cluster, "read_write", Target::kPrimary, "5000", elapsed),
      listener_view(cluster, "read_only", Target::kReplica, "5001", elapsed)};
  if (name == "nothing") {
    for (ListenerView& listener : scene.traffic.listeners) {
      ListenerView untouched;
      untouched.name = listener.name;
      untouched.to = listener.to;
      untouched.bind = listener.bind;
      listener = untouched;
    }
    scene.cluster = std::make_shared<const ClusterView>();
    return scene;
  }
  if (name == "failover")
    scene.traffic.listeners[0].held_clients = scene.traffic.listeners[0].clients = 17;
  scene.traffic.listeners[1].open = name != "trouble";
  if (name == "leaving") add_leaving(scene.traffic, elapsed);
  if (name == "clusters") add_second(scene, cluster, failover(now, elapsed), elapsed);
  if (cluster.failovers.empty() && name != "single") {
    cluster.failovers = {past_failover(now), interruption(now)};
  }
  scene.events = some_events(now);
  scene.sessions = some_sessions(cluster, name == "hostile");
  if (name == "single") scene.sessions.clear();
  scene.cluster = std::make_shared<const ClusterView>(std::move(cluster));
  return scene;
}

}  // namespace pgsteer
