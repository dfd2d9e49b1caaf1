#include "tests/browser/scenario_traffic.h"

#include <cmath>

namespace pgsteer {
namespace {

HistogramView histogram(double scale) {
  HistogramView view;
  view.bounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1};
  view.counts.assign(8, 0);
  if (scale > 0) view.counts = {812, 4210, 377, 41, 6, 2, 1, 0};
  view.sum = 4.2 * scale;
  return view;
}

}  // namespace

ListenerView listener_view(const ClusterView& cluster, const std::string& name, Target to,
                           const std::string& port, double elapsed) {
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
    const bool admitted =
        node.verdicts[to == Target::kPrimary ? 0 : 1].admission == Admission::kAdmit;
    const std::uint64_t share = admitted ? 1 + (index * 7) % 5 : 0;
    traffic.sessions = admitted ? (to == Target::kPrimary ? 48 : 14 + share) : 0;
    traffic.sessions_most = traffic.sessions ? traffic.sessions + 31 : index == 1 ? 12 : 0;
    traffic.sessions_total =
        traffic.sessions_most * 977 + static_cast<std::uint64_t>(admitted ? elapsed * 3 : 0);
    traffic.bytes_in =
        traffic.sessions_total * 91'733 + static_cast<std::uint64_t>(admitted ? flow * 812'000 : 0);
    traffic.bytes_out = traffic.sessions_total * 641'733 +
                        static_cast<std::uint64_t>(admitted ? flow * 9'412'000 : 0);
    traffic.connect_errors_total = index == 1 ? 3 : 0;
    listener.clients += traffic.sessions;
    listener.clients_most += traffic.sessions_most;
    listener.clients_total += traffic.sessions_total;
    listener.bytes_in += traffic.bytes_in;
    listener.bytes_out += traffic.bytes_out;
    listener.nodes.push_back(traffic);
    ++index;
  }
  listener.cancels_total = 12;
  listener.held_clients_total = to == Target::kPrimary ? 53 : 0;
  const auto ended = [&](EndReason reason, std::uint64_t count) {
    listener.session_ends[static_cast<std::size_t>(reason)] = count;
  };
  ended(EndReason::kClientClosed, listener.clients_total > 89 ? listener.clients_total - 89 : 0);
  ended(EndReason::kServerClosed, 3);
  ended(EndReason::kRoleLost, to == Target::kPrimary ? 71 : 0);
  ended(EndReason::kFirstPacketTimeout, 14);
  ended(EndReason::kBadPacket, 1);
  listener.connect_seconds = histogram(1);
  listener.hold_seconds = histogram(to == Target::kPrimary ? 10 : 0);
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

}  // namespace pgsteer
