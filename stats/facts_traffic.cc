// Facts about the process, its listeners and its sessions.
#include "proxy/routing/end_reason.h"
#include "stats/facts.h"

namespace pgsteer {
namespace {

using prometheus::MetricType;
constexpr auto kGauge = MetricType::Gauge;
constexpr auto kCounter = MetricType::Counter;
constexpr auto kHistogram = MetricType::Histogram;

using P = const StatsSnapshot&;
constexpr Fact<StatsSnapshot> kProcess[] = {
    {{"version", "pgsteer_build_info", kGauge, "Always 1; the label gives the version.", "version"},
     [](P p) -> Value { return p.version; }},
    {{"started_at", "pgsteer_start_time_seconds", kGauge,
      "When this process started, in seconds since 1970."},
     [](P p) -> Value { return p.started; }},
    {{"generated_at"}, [](P p) -> Value { return p.now; }},
    {{"workers", "pgsteer_workers", kGauge, "Threads that relay sessions."},
     [](P p) -> Value { return p.traffic.workers; }},
    {{"accept_errors_total", "pgsteer_accept_errors_total", kCounter,
      "Clients that could not be accepted, for example because no file descriptor was left."},
     [](P p) -> Value { return p.traffic.accept_errors_total; }},
    {{"accept_waits_total", "pgsteer_accept_waits_total", kCounter,
      "Times that clients had to wait in the kernel because the descriptors that the limit allows "
      "for clients were all in use."},
     [](P p) -> Value { return p.traffic.accept_waits_total; }},
    // Of any cluster; as a metric for each.
    {{"checks_stopped"}, [](P p) -> Value { return p.traffic.checks_stopped != 0; }},
};

using C = const ConfigView&;
constexpr Fact<ConfigView> kConfig[] = {
    {{"file"}, [](C c) -> Value { return c.file; }},
    {{"number", "pgsteer_config_number", kGauge,
      "Number of the configuration in force: 1 at the start, one more with every change of it."},
     [](C c) -> Value { return c.number; }},
    {{"in_force_since", "pgsteer_config_in_force_since_timestamp_seconds", kGauge,
      "Since when this configuration has been in force, in seconds since 1970."},
     [](C c) -> Value { return c.in_force_since; }},
    {{"reloads_done_total", "pgsteer_config_reloads_total", kCounter,
      "Times that the configuration file was read again, by what became of it.", "result", "done"},
     [](C c) -> Value { return c.reloads_done; }},
    {{"reloads_failed_total", "pgsteer_config_reloads_total", kCounter,
      "Times that the configuration file was read again, by what became of it.", "result",
      "failed"},
     [](C c) -> Value { return c.reloads_failed; }},
    {{"last_reload_failed", "pgsteer_config_last_reload_failed", kGauge,
      "1 if the last reload found an error and changed nothing."},
     [](C c) -> Value { return !c.reload_error.empty(); }},
    {{"last_reload_at"}, [](C c) -> Value { return c.reload_at; }},
    {{"last_reload_error"}, [](C c) -> Value { return c.reload_error; }},
    {{"last_reload_changes"}, [](C c) -> Value { return c.changes; }},
};

Value session_ends(const ListenerView& listener) {
  Series series;
  for (std::size_t i = 0; i < kEndReasonCount; ++i) {
    const auto reason = static_cast<EndReason>(i);
    if (reason == EndReason::kNone) continue;
    series.emplace_back(to_string(reason), listener.session_ends[i]);
  }
  return series;
}

using L = const ListenerView&;
constexpr Fact<ListenerView> kListener[] = {
    {{"name"}, [](L l) -> Value { return l.name; }},
    {{"cluster"}, [](L l) -> Value { return l.cluster; }},
    {{"to"}, [](L l) -> Value { return to_string(l.to); }},
    {{"bind"}, [](L l) -> Value { return l.bind; }},
    {{"open", "pgsteer_listener_open", kGauge,
      "1 while the listener accepts clients, 0 while it is closed because no node can serve it, or "
      "because it leaves."},
     [](L l) -> Value { return l.open && !l.leaving; }},
    {{"leaving", "pgsteer_listener_leaving", kGauge,
      "1 for a listener that a reload has removed from the configuration file: it is closed, and "
      "goes when its last session has ended."},
     [](L l) -> Value { return l.leaving; }},
    {{"clients", "pgsteer_clients", kGauge,
      "Connected clients, including those that wait for a node."},
     [](L l) -> Value { return l.clients; }},
    {{"clients_most", "pgsteer_clients_most", kGauge,
      "Most clients connected at the same time since the start."},
     [](L l) -> Value { return l.clients_most; }},
    {{"clients_total", "pgsteer_clients_total", kCounter, "Clients accepted."},
     [](L l) -> Value { return l.clients_total; }},
    {{"held_clients", "pgsteer_held_clients", kGauge, "Clients that are waiting for a node."},
     [](L l) -> Value { return l.held_clients; }},
    {{"held_clients_total", "pgsteer_held_clients_total", kCounter,
      "Clients that had to wait for a node."},
     [](L l) -> Value { return l.held_clients_total; }},
    {{"cancels_total", "pgsteer_cancels_total", kCounter, "CancelRequests forwarded to nodes."},
     [](L l) -> Value { return l.cancels_total; }},
    {{"cancels_dropped_total", "pgsteer_cancels_dropped_total", kCounter,
      "CancelRequests that were sent to no node: too many at the same time, or no node took them."},
     [](L l) -> Value { return l.cancels_dropped_total; }},
    {{"bytes_in"}, [](L l) -> Value { return l.bytes_in; }},
    {{"bytes_out"}, [](L l) -> Value { return l.bytes_out; }},
    {{"session_ends", "pgsteer_session_ends_total", kCounter,
      "Sessions ended, by reason; the log uses the same words.", "reason"},
     session_ends},
    {{"connect_seconds", "pgsteer_connect_seconds", kHistogram,
      "Time to establish a TCP connection to a node."},
     [](L l) -> Value { return &l.connect_seconds; }},
    {{"hold_seconds", "pgsteer_hold_seconds", kHistogram,
      "How long clients waited for a node; clients that did not wait are not counted."},
     [](L l) -> Value { return &l.hold_seconds; }},
};

constexpr const char* kBytesHelp =
    "Bytes relayed; direction in is from clients to the node, out is back to the clients.";

using N = const NodeTrafficView&;
constexpr Fact<NodeTrafficView> kListenerNode[] = {
    {{"node"}, [](N n) -> Value { return n.node; }},
    {{"sessions", "pgsteer_sessions", kGauge, "Sessions on the node."},
     [](N n) -> Value { return n.sessions; }},
    {{"sessions_most", "pgsteer_sessions_most", kGauge,
      "Most sessions on the node at the same time since the start."},
     [](N n) -> Value { return n.sessions_most; }},
    {{"sessions_total", "pgsteer_sessions_total", kCounter, "Sessions routed to the node."},
     [](N n) -> Value { return n.sessions_total; }},
    {{"bytes_in", "pgsteer_bytes_total", kCounter, kBytesHelp, "direction", "in"},
     [](N n) -> Value { return n.bytes_in; }},
    {{"bytes_out", "pgsteer_bytes_total", kCounter, kBytesHelp, "direction", "out"},
     [](N n) -> Value { return n.bytes_out; }},
    {{"connect_errors_total", "pgsteer_connect_errors_total", kCounter,
      "Connections to the node that failed or timed out."},
     [](N n) -> Value { return n.connect_errors_total; }},
};

using S = const SessionView&;
constexpr Fact<SessionView> kSession[] = {
    {{"id"}, [](S s) -> Value { return s.id; }},
    {{"listener"}, [](S s) -> Value { return s.listener; }},
    {{"cluster"}, [](S s) -> Value { return s.cluster; }},
    {{"client"}, [](S s) -> Value { return s.client; }},
    {{"node"}, [](S s) -> Value { return s.node; }},
    {{"local"}, [](S s) -> Value { return s.local; }},
    {{"phase"}, [](S s) -> Value { return to_string(s.phase); }},
    {{"user"}, [](S s) -> Value { return s.user; }},
    {{"database"}, [](S s) -> Value { return s.database; }},
    {{"application"}, [](S s) -> Value { return s.application; }},
    {{"tls"}, [](S s) -> Value { return to_string(s.tls); }},
    {{"busy"}, [](S s) -> Value { return s.busy; }},
    {{"age_seconds"}, [](S s) -> Value { return s.age_seconds; }},
    {{"bytes_in"}, [](S s) -> Value { return s.bytes_in; }},
    {{"bytes_out"}, [](S s) -> Value { return s.bytes_out; }},
};

}  // namespace

std::span<const Fact<StatsSnapshot>> process_facts() { return kProcess; }
std::span<const Fact<ConfigView>> config_facts() { return kConfig; }
std::span<const Fact<ListenerView>> listener_facts() { return kListener; }
std::span<const Fact<NodeTrafficView>> listener_node_facts() { return kListenerNode; }
std::span<const Fact<SessionView>> session_facts() { return kSession; }

}  // namespace pgsteer
