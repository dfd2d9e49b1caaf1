#include "stats/json.h"

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace pgsteer {
namespace {

using Json = nlohmann::ordered_json;

Json time_or_null(WallTime time) {
  return time == WallTime{} ? Json(nullptr) : Json(rfc3339(time));
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

template <typename T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// Oldest first, so that it reads like the picture: "1" passed, "0" failed.
std::string history_text(std::uint64_t history, unsigned kept) {
  std::string text;
  for (unsigned i = std::min(kept, 64u); i > 0; --i) text += (history >> (i - 1)) & 1 ? '1' : '0';
  return text;
}

Json checks_json(const NodeView& node) {
  return {{"total", node.checks_total},
          {"failed", node.checks_failed},
          {"history", history_text(node.check_history, node.checks_kept)},
          {"last_at", time_or_null(node.last_check)},
          {"last_seconds", node.last_check_seconds},
          {"last_result", node.last_check_result}};
}

Json node_json(const NodeView& node) {
  Json tags = Json::object();
  for (const auto& [name, value] : node.tags) tags[name] = value;
  Json verdicts = Json::array();
  for (const VerdictView& verdict : node.verdicts) {
    verdicts.push_back({{"listener", verdict.listener},
                        {"admission", verdict.admission},
                        {"reason", verdict.reason},
                        {"why", verdict.why}});
  }
  return {{"name", node.name},
          {"host", node.host},
          {"address", text_or_null(node.address)},
          {"rest_url", node.rest},
          {"role", node.role},
          {"role_since", time_or_null(node.role_since)},
          {"state", node.state},
          {"lease", node.lease},
          {"timeline", node.timeline == 0 ? Json(nullptr) : Json(node.timeline)},
          {"lsn", node.lsn == 0 ? Json(nullptr) : Json(lsn_text(node.lsn))},
          {"lsn_bytes", node.lsn == 0 ? Json(nullptr) : Json(node.lsn)},
          {"lag_bytes", value_or_null(node.lag)},
          {"replication_state", text_or_null(node.replication_state)},
          {"server_version", text_or_null(node.server_version)},
          {"patroni_version", text_or_null(node.patroni_version)},
          {"database_answers", node.database_answers},
          {"tls", node.tls},
          {"weight", node.weight},
          {"tags", std::move(tags)},
          {"checks", checks_json(node)},
          {"verdicts", std::move(verdicts)}};
}

Json cluster_json(const ClusterView& cluster) {
  return {{"first_round_done", cluster.first_round_done},
          {"generation", cluster.generation},
          {"scope", text_or_null(cluster.scope)},
          {"system_identifier", text_or_null(cluster.system_identifier)},
          {"primary", text_or_null(cluster.primary)},
          {"primary_since", time_or_null(cluster.primary_since)},
          {"timeline", cluster.timeline == 0 ? Json(nullptr) : Json(cluster.timeline)},
          {"no_primary_reason", text_or_null(cluster.no_primary_why)},
          {"paused", cluster.paused},
          {"dcs_ok", cluster.dcs_ok},
          {"failsafe", cluster.failsafe},
          {"hunting", cluster.hunting},
          {"fence_seconds", value_or_null(cluster.fence_seconds)},
          {"alarms", cluster.alarms}};
}

Json failover_json(const FailoverView& failover) {
  Json steps = Json::array();
  for (const FailoverStep& step : failover.steps) {
    steps.push_back({{"at_seconds", step.at}, {"what", step.what}, {"text", step.text}});
  }
  return {{"id", failover.id},
          {"began_at", time_or_null(failover.began)},
          {"kind", failover.kind},
          {"from", text_or_null(failover.from)},
          {"to", text_or_null(failover.to)},
          {"finished", failover.finished},
          {"no_primary_seconds", failover.no_primary_seconds},
          {"sessions_cut", failover.cut},
          {"sessions_cut_told", failover.cut_told},
          {"clients_held", failover.held},
          {"held_longest_seconds", failover.held_longest_seconds},
          {"steps", std::move(steps)}};
}

Json histogram_json(const HistogramView& histogram) {
  return {{"bounds_seconds", histogram.bounds},
          {"counts", histogram.counts},
          {"sum_seconds", histogram.sum}};
}

Json listener_json(const ListenerView& listener) {
  Json ends = Json::object();
  for (const auto& [reason, count] : listener.ends) ends[reason] = count;
  Json nodes = Json::array();
  for (const NodeTrafficView& node : listener.nodes) {
    nodes.push_back({{"node", node.node},
                     {"sessions_now", node.now},
                     {"sessions_most", node.most},
                     {"sessions_total", node.total},
                     {"bytes_in", node.bytes_in},
                     {"bytes_out", node.bytes_out},
                     {"connect_errors", node.connect_errors}});
  }
  return {{"name", listener.name},
          {"to", listener.to},
          {"bind", listener.bind},
          {"open", listener.open},
          {"sessions_now", listener.now},
          {"sessions_most", listener.most},
          {"sessions_total", listener.total},
          {"held_now", listener.held},
          {"held_total", listener.held_total},
          {"cancels", listener.cancels},
          {"bytes_in", listener.bytes_in},
          {"bytes_out", listener.bytes_out},
          {"ends", std::move(ends)},
          {"nodes", std::move(nodes)},
          {"connect", histogram_json(listener.connect)},
          {"hold", histogram_json(listener.hold)}};
}

}  // namespace

std::string rfc3339(WallTime time) {
  if (time == WallTime{}) return "";
  const auto since_epoch =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  std::int64_t millis = since_epoch % 1000;
  std::time_t seconds = static_cast<std::time_t>(since_epoch / 1000);
  if (millis < 0) {
    millis += 1000;
    seconds -= 1;
  }
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

std::string lsn_text(std::uint64_t lsn) {
  char text[24];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn >> 32),
                static_cast<unsigned>(lsn & 0xFFFFFFFFu));
  return text;
}

Json status_json(const StatsSnapshot& snapshot) {
  const ClusterView nothing;
  const ClusterView& cluster = snapshot.cluster ? *snapshot.cluster : nothing;
  Json nodes = Json::array();
  for (const NodeView& node : cluster.nodes) nodes.push_back(node_json(node));
  Json listeners = Json::array();
  for (const ListenerView& listener : snapshot.traffic.listeners) {
    listeners.push_back(listener_json(listener));
  }
  Json failovers = Json::array();
  for (const FailoverView& failover : cluster.failovers) {
    failovers.push_back(failover_json(failover));
  }
  Json events = Json::array();
  for (const EventView& event : snapshot.events) {
    events.push_back(
        {{"at", time_or_null(event.at)}, {"level", event.level}, {"text", event.text}});
  }
  return {{"version", snapshot.version},
          {"started_at", time_or_null(snapshot.started)},
          {"generated_at", time_or_null(snapshot.now)},
          {"workers", snapshot.traffic.workers},
          {"accept_errors", snapshot.traffic.accept_errors},
          {"cluster", cluster_json(cluster)},
          {"nodes", std::move(nodes)},
          {"listeners", std::move(listeners)},
          {"failovers", std::move(failovers)},
          {"failover_counts",
           {{"failovers", snapshot.tally.failovers},
            {"interruptions", snapshot.tally.interruptions},
            {"no_primary_seconds", snapshot.tally.no_primary_seconds}}},
          {"events", std::move(events)}};
}

Json sessions_json(const std::vector<SessionView>& sessions, WallTime now) {
  Json rows = Json::array();
  for (const SessionView& session : sessions) {
    rows.push_back({{"id", session.id},
                    {"listener", session.listener},
                    {"client", session.client},
                    {"node", text_or_null(session.node)},
                    {"local", text_or_null(session.local)},
                    {"phase", to_string(session.phase)},
                    {"user", text_or_null(session.user)},
                    {"database", text_or_null(session.database)},
                    {"application", text_or_null(session.application)},
                    {"tls", to_string(session.tls)},
                    {"busy", session.busy},
                    {"age_seconds", session.age_seconds},
                    {"bytes_in", session.bytes_in},
                    {"bytes_out", session.bytes_out}});
  }
  return {{"generated_at", time_or_null(now)}, {"sessions", std::move(rows)}};
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pgsteer
