#include "tests/browser/scenarios.h"

#include <cmath>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

WallTime ago(WallTime now, double seconds) {
  return now - milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

constexpr std::uint64_t kLsn = 0x1A2B3C4D50;

NodeView healthy_node(const std::string& name, const std::string& host, WallTime now) {
  NodeView node;
  node.name = name;
  node.host = host + ":5432";
  node.address = host + ":5432";
  node.rest = "http://" + host + ":8008";
  node.role = "replica";
  node.role_since = ago(now, 3 * 86400 + 4 * 3600);
  node.state = "running";
  node.timeline = 7;
  node.lsn = kLsn;
  node.lag = 0;
  node.replication_state = "streaming";
  node.server_version = "15.8";
  node.patroni_version = "3.0.2";
  node.tls = "yes";
  node.check_history = ~0ull;
  node.checks_kept = 64;
  node.checks_total = 273'411;
  node.checks_failed = 3;
  node.last_check = ago(now, 0.4);
  node.last_check_seconds = 0.0031;
  node.last_check_result = "503";
  node.database_answers = "yes";
  node.verdicts = {
      {"read_write", "cut", "not_primary", "It is a replica; this port leads to the primary."},
      {"read_only", "admit", "replica", "A healthy replica, 0 B behind the primary."}};
  return node;
}

void make_primary(NodeView& node) {
  node.role = "primary";
  node.lease = true;
  node.lag.reset();
  node.replication_state.clear();
  node.last_check_result = "200";
  node.verdicts = {
      {"read_write", "admit", "primary", "It holds the leader lease and takes writes."},
      {"read_only", "cut", "is_primary", "It is the primary; this port leads to replicas."}};
}

ClusterView healthy(WallTime now) {
  ClusterView cluster;
  cluster.generation = 12;
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
  cluster.nodes[1].role = "sync_replica";
  cluster.nodes[2].lag = 4'300'000;
  cluster.nodes[2].lsn = kLsn - 4'300'000;
  cluster.nodes[2].tags = {{"zone", "b"}, {"clonefrom", "true"}};
  cluster.nodes[2].check_history = ~0ull & ~(1ull << 17) & ~(1ull << 18);
  cluster.nodes[2].verdicts[1].why = "A healthy replica, 4.1 MB behind the primary.";
  return cluster;
}

FailoverView past_failover(WallTime now) {
  FailoverView past;
  past.id = 4;
  past.began = ago(now, 3 * 86400 + 4 * 3600 + 701);
  past.kind = "failover";
  past.from = "pg-2";
  past.to = "pg-1";
  past.finished = true;
  past.no_primary_seconds = 1.242;
  past.cut = 14;
  past.cut_told = 13;
  past.held = 22;
  past.held_longest_seconds = 1.198;
  past.steps = {{0, "first_doubt", "pg-2 ended sessions that nobody asked to end"},
                {0.021, "proof", "pg-2 answers 503 and shows no write position"},
                {0.024, "cut", "14 sessions on pg-2 ended, 13 of them told with 57P01"},
                {1.242, "new_primary", "pg-1 holds the lease and is writable on timeline 7"},
                {1.246, "first_session", "the first session reached pg-1"},
                {1.31, "held_released", "22 clients had waited, the longest 1.2 s"},
                {1.311, "done", "sessions are back"}};
  return past;
}

FailoverView interruption(WallTime now) {
  FailoverView past;
  past.id = 3;
  past.began = ago(now, 9 * 86400);
  past.kind = "interruption";
  past.from = "pg-2";
  past.to = "pg-2";
  past.finished = true;
  past.no_primary_seconds = 4.87;
  past.cut = 9;
  past.cut_told = 9;
  past.held = 31;
  past.held_longest_seconds = 4.8;
  past.steps = {{0, "first_doubt", "pg-2 answered a login with 57P03"},
                {4.87, "new_primary", "pg-2 is writable again on timeline 6"},
                {4.9, "first_session", "the first session reached pg-2"},
                {5.02, "done", "sessions are back"}};
  return past;
}

// The primary has stopped, a replica is being promoted.
ClusterView failover(WallTime now, double elapsed) {
  ClusterView cluster = healthy(now);
  cluster.generation = 15;
  cluster.primary.clear();
  cluster.primary_since = {};
  cluster.hunting = true;
  cluster.no_primary_why = "pg-2 holds the lease and is being promoted";
  NodeView& old = cluster.nodes[0];
  old.role = "stopped";
  old.role_since = ago(now, 1.4);
  old.state = "stopping";
  old.lease = false;
  old.check_history = ~0ull << 9;
  old.last_check_result = "timed out after 2 s";
  old.last_check_seconds = 2;
  old.database_answers = "refused";
  old.checks_failed += 9;
  old.verdicts[0] = {"read_write", "cut", "not_running", "PostgreSQL is stopping."};
  old.verdicts[1] = {"read_only", "cut", "not_running", "PostgreSQL is stopping."};
  NodeView& next = cluster.nodes[1];
  next.role = "promoting";
  next.role_since = ago(now, 0.3);
  next.lease = true;
  next.last_check_result = "200";
  next.verdicts[0] = {"read_write", "drain", "promoting",
                      "It holds the leader lease and cannot take writes yet."};
  FailoverView current;
  current.id = 5;
  current.began = ago(now, 1.4);
  current.kind = "failover";
  current.from = "pg-1";
  current.no_primary_seconds = 1.4 + elapsed;
  current.cut = 48;
  current.cut_told = 46;
  current.held = 17;
  current.steps = {{0, "first_doubt", "pg-1 ended sessions that nobody asked to end"},
                   {0.019, "proof", "pg-1 answers 503, state stopping"},
                   {0.022, "cut", "48 sessions on pg-1 ended, 46 of them told with 57P01"}};
  cluster.failovers = {current, past_failover(now), interruption(now)};
  return cluster;
}

ClusterView paused(WallTime now) {
  ClusterView cluster = healthy(now);
  cluster.paused = true;
  cluster.hunting = true;
  NodeView& node = cluster.nodes[0];
  node.role = "silent";
  node.check_history = ~0ull << 22;
  node.last_check_result = "connection refused";
  node.last_check_seconds = 0.0004;
  node.verdicts[0] = {"read_write", "admit", "maintenance",
                      "Its REST API is silent, the cluster is in maintenance mode and PostgreSQL "
                      "answers: it stays the primary."};
  return cluster;
}

ClusterView alarm(WallTime now, double elapsed) {
  ClusterView cluster = healthy(now);
  cluster.hunting = true;
  cluster.fence_seconds = std::max(0.0, 11.4 - elapsed);
  cluster.alarms = {
      "pg-3 claims to lead on timeline 6, below the highest seen (7): nothing is led there"};
  NodeView& orphan = cluster.nodes[0];
  orphan.role = "silent";
  orphan.last_check_result = "timed out after 2 s";
  orphan.last_check_seconds = 2;
  orphan.check_history = ~0ull << 6;
  orphan.verdicts[0] = {"read_write", "admit", "orphaned",
                        "Its REST API does not answer, PostgreSQL does, and its lease cannot have "
                        "passed on for another 11 s."};
  NodeView& stale = cluster.nodes[2];
  make_primary(stale);
  stale.timeline = 6;
  stale.tags.clear();
  stale.verdicts[0] = {"read_write", "cut", "stale_timeline",
                       "It claims to lead on timeline 6; pg-1 has shown 7."};
  stale.verdicts[1] = {"read_only", "cut", "stale_timeline",
                       "It claims to lead on timeline 6; pg-1 has shown 7."};
  return cluster;
}

// One replica gone, one lagging.
ClusterView trouble(WallTime now) {
  ClusterView cluster = healthy(now);
  cluster.dcs_ok = false;
  cluster.failsafe = true;
  NodeView& down = cluster.nodes[1];
  down.role = "down";
  down.role_since = ago(now, 1250);
  down.state.clear();
  down.timeline = 0;
  down.lsn = 0;
  down.lag.reset();
  down.replication_state.clear();
  down.server_version.clear();
  down.patroni_version.clear();
  down.tls = "unknown";
  down.check_history = 0;
  down.last_check_result = "connection refused";
  down.database_answers = "refused";
  down.checks_failed = 1253;
  for (VerdictView& verdict : down.verdicts) {
    verdict = {verdict.listener, "cut", "down", "Neither its REST API nor PostgreSQL answers."};
  }
  NodeView& lagging = cluster.nodes[2];
  lagging.lag = 53'000'000;
  lagging.lsn = kLsn - 53'000'000;
  lagging.verdicts[1] = {"read_only", "drain", "lagging",
                         "It is 50.5 MB behind; this port permits 16 MB."};
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
    node.lag = static_cast<std::uint64_t>(i * i * 977);
    if (i % 13 == 0) node.check_history = 0xFFFF'F0FF'FFFF'FFFFull;
    if (i == 23) {
      node.tags = {{"noloadbalance", "true"}};
      node.verdicts[1] = {"read_only", "drain", "no_load_balance", "Tagged noloadbalance."};
    }
    cluster.nodes.push_back(node);
  }
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

HistogramView histogram(double scale) {
  HistogramView view;
  view.bounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1};
  view.counts.assign(8, 0);
  if (scale > 0) view.counts = {812, 4210, 377, 41, 6, 2, 1, 0};
  view.sum = 4.2 * scale;
  return view;
}

ListenerView listener_view(const ClusterView& cluster, const std::string& name,
                           const std::string& to, const std::string& port, double elapsed) {
  ListenerView listener;
  listener.name = name;
  listener.to = to;
  listener.bind = {"*:" + port};
  // Rises all the time, faster and slower by turns.
  const double flow = elapsed + 1.2 * (1 - std::cos(elapsed / 3));
  std::size_t index = 0;
  for (const NodeView& node : cluster.nodes) {
    NodeTrafficView traffic;
    traffic.node = node.name;
    const bool admitted = node.verdicts[to == "primary" ? 0 : 1].admission == "admit";
    const std::uint64_t share = admitted ? 1 + (index * 7) % 5 : 0;
    traffic.now = admitted ? (to == "primary" ? 48 : 14 + share) : 0;
    traffic.most = traffic.now ? traffic.now + 31 : index == 1 ? 12 : 0;
    traffic.total = traffic.most * 977 + static_cast<std::uint64_t>(admitted ? elapsed * 3 : 0);
    traffic.bytes_in =
        traffic.total * 91'733 + static_cast<std::uint64_t>(admitted ? flow * 812'000 : 0);
    traffic.bytes_out =
        traffic.total * 641'733 + static_cast<std::uint64_t>(admitted ? flow * 9'412'000 : 0);
    traffic.connect_errors = index == 1 ? 3 : 0;
    listener.now += traffic.now;
    listener.most += traffic.most;
    listener.total += traffic.total;
    listener.bytes_in += traffic.bytes_in;
    listener.bytes_out += traffic.bytes_out;
    listener.nodes.push_back(traffic);
    ++index;
  }
  listener.cancels = 12;
  listener.held_total = to == "primary" ? 53 : 0;
  listener.ends = {{"client_closed", listener.total > 89 ? listener.total - 89 : 0},
                   {"server_closed", 3},
                   {"role_lost", to == "primary" ? 71 : 0},
                   {"no_node", 0},
                   {"first_packet_timeout", 14},
                   {"garbage", 1}};
  listener.connect = histogram(1);
  listener.hold = histogram(to == "primary" ? 10 : 0);
  return listener;
}

std::vector<SessionView> some_sessions(const ClusterView& cluster, bool hostile) {
  std::vector<SessionView> sessions;
  const char* users[] = {"orders_app", "reporting", "billing", "migrations"};
  for (std::uint64_t i = 0; i < 62; ++i) {
    SessionView session;
    session.id = 90'000 + i;
    session.listener = i % 3 ? "read_write" : "read_only";
    session.client = "10.20." + std::to_string(i % 7) + "." + std::to_string(10 + i) + ":" +
                     std::to_string(40'000 + i * 37);
    session.node = i == 5 ? "" : cluster.nodes[i % 3 ? 0 : 1 + i % 2].name;
    session.local = i == 5 ? "" : "10.131.0.5:" + std::to_string(33'000 + i * 11);
    session.phase = i == 5 ? SessionPhase::kHeld : SessionPhase::kRelay;
    session.tls = i % 4 ? TlsUse::kOff : TlsUse::kPassed;
    if (i % 4) {
      session.user = users[i % 4];
      session.database = i % 2 ? "orders" : "ledger";
      session.application = hostile ? "<img src=x onerror=\"window.hacked=1\">" : "pgjdbc";
    }
    session.busy = i % 5 == 1;
    session.age_seconds = static_cast<double>(i * i) * 3.7 + 0.4;
    session.bytes_in = i * i * 4'411;
    session.bytes_out = i * i * 88'411;
    sessions.push_back(session);
  }
  return sessions;
}

ClusterView cluster_of(const std::string& name, WallTime now, double elapsed) {
  if (name == "failover") return failover(now, elapsed);
  if (name == "paused") return paused(now);
  if (name == "alarm") return alarm(now, elapsed);
  if (name == "trouble") return trouble(now);
  if (name == "many") return many(now);
  if (name == "hostile") return hostile(now);
  ClusterView cluster = healthy(now);
  if (name == "single") cluster.nodes.resize(1);
  return cluster;
}

std::vector<EventView> some_events(WallTime now) {
  const double t = 3 * 86400 + 4 * 3600;
  return {{ago(now, t + 2400), "info", "pgsteer started: 3 nodes, 2 listeners"},
          {ago(now, t + 701), "warn", "pg-2: primary -> stopped: PostgreSQL is stopping"},
          {ago(now, t + 701), "warn", "no primary: pg-2 answers 503 and shows no write position"},
          {ago(now, t + 700), "info", "primary: pg-1 on timeline 7, 1.24 s after pg-2 was lost"},
          {ago(now, t + 650), "info", "pg-2: stopped -> replica"},
          {ago(now, 4520), "error", "pg-3: its REST API did not answer for 2 s"},
          {ago(now, 4519), "info", "pg-3: answers again"}};
}

}  // namespace

const std::vector<std::string>& scene_names() {
  static const std::vector<std::string> kNames = {
      "healthy", "failover", "paused", "alarm", "trouble", "nothing", "many", "single", "hostile"};
  return kNames;
}

Scene make_scene(const std::string& name, WallTime now, double elapsed) {
  Scene scene;
  ClusterView cluster = cluster_of(name, now, elapsed);
  scene.traffic.workers = 4;
  scene.traffic.listeners = {listener_view(cluster, "read_write", "primary", "5000", elapsed),
                             listener_view(cluster, "read_only", "replica", "5001", elapsed)};
  if (name == "nothing") {
    for (ListenerView& listener : scene.traffic.listeners) {
      ListenerView untouched;
      untouched.name = listener.name;
      untouched.to = listener.to;
      untouched.bind = listener.bind;
      listener = untouched;
    }
    return scene;
  }
  if (name == "failover") scene.traffic.listeners[0].held = scene.traffic.listeners[0].now = 17;
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
