// The bodies of Patroni's replies (api.py, utils.cluster_as_json), as text.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::seconds;

namespace {

const char* state_word(PostgresLife life) {
  switch (life) {
    case PostgresLife::kRunning:
      return "running";
    case PostgresLife::kStarting:
      return "starting";
    case PostgresLife::kStopping:
      return "stopping";
    case PostgresLife::kStopped:
      return "stopped";
    case PostgresLife::kCrashed:
      return "crashed";
  }
  return "?";
}

const char* version_text(PatroniVersion v) {
  switch (v) {
    case PatroniVersion::k3_0:
      return "3.0.2";
    case PatroniVersion::k3_1:
      return "3.1.2";
    case PatroniVersion::k3_3:
      return "3.3.2";
    case PatroniVersion::k4_0:
      return "4.0.4";
  }
  return "?";
}

const char* role_word(Role role, PatroniVersion version) {
  switch (role) {
    case Role::kPrimary:
      return version == PatroniVersion::k4_0 ? "primary" : "master";
    case Role::kStandbyLeader:
      return "standby_leader";
    case Role::kPromoted:
      return "promoted";
    case Role::kDemoted:
      return "demoted";
    case Role::kUninitialized:
      return "uninitialized";
    default:
      return "replica";
  }
}

std::string number(std::uint64_t n) { return std::to_string(n); }

// "Tue, 15 Nov 1994 08:12:31 GMT"
std::string http_date(Instant wall) {
  const auto whole = std::chrono::duration_cast<seconds>(wall.time_since_epoch()).count();
  const std::chrono::sys_seconds at{seconds(whole)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{at - day};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  std::snprintf(text, sizeof text, "Thu, %02u %s %04d %02ld:%02ld:%02ld GMT",
                static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                static_cast<int>(date.year()), static_cast<long>(time.hours().count()),
                static_cast<long>(time.minutes().count()),
                static_cast<long>(time.seconds().count()));
  return text;
}

std::string tags_of(const ModelNode& n) {
  std::string tags;
  const auto add = [&](const std::string& tag) { tags += (tags.empty() ? "" : ", ") + tag; };
  if (n.noloadbalance) add("\"noloadbalance\": " + *n.noloadbalance);
  if (n.nofailover) add("\"nofailover\": true");
  if (n.archive_only) add("\"nostream\": true");
  if (n.replicatefrom) add("\"replicatefrom\": \"" + model_name(*n.replicatefrom) + "\"");
  if (!n.region.empty()) add("\"region\": \"" + n.region + "\"");
  return tags;
}

std::string config_body(const ModelTimes& t, const ModelScope& s) {
  const auto whole = [&](std::chrono::milliseconds d) {
    const std::string text = number(static_cast<std::uint64_t>(d.count()) / 1000);
    return s.spells_times ? "\"" + text + "\"" : text;
  };
  std::string body = "{\"ttl\": " + whole(t.ttl) + ", \"loop_wait\": " + whole(t.loop_wait) +
                     ", \"retry_timeout\": " + whole(t.retry_timeout) +
                     ", \"maximum_lag_on_failover\": 1048576";
  if (t.failsafe_mode) body += ", \"failsafe_mode\": true";
  if (s.sync == SyncMode::kSync) body += ", \"synchronous_mode\": true";
  if (s.sync == SyncMode::kQuorum) body += ", \"synchronous_mode\": \"quorum\"";
  if (s.standby) body += ", \"standby_cluster\": {\"host\": \"10.9.0.1\", \"port\": 5432}";
  return body + ", \"postgresql\": {\"use_pg_rewind\": true}}";
}

}  // namespace

// The body of GET /leader; the query of PostgreSQL runs only while PostgreSQL does.
std::string ModelCluster::leader_body(std::size_t i) const {
  const ModelNode& n = nodes[i];
  const ModelScope& s = scope(i);
  const bool fails = n.rest == RestMode::kQueryFails || n.postmaster_hangs > 0;
  const bool queried = n.postgres == PostgresLife::kRunning && !fails;
  Role role = n.memory_role;
  if (queried) role = n.recovery ? Role::kReplica : Role::kPrimary;
  if (queried && n.recovery && s.standby && n.memory_role == Role::kStandbyLeader) {
    role = Role::kStandbyLeader;
  }
  const bool runs = n.postgres == PostgresLife::kRunning;
  std::string b = "{\"state\": \"";
  b += runs && fails ? "unknown" : state_word(n.postgres);
  b += "\", \"role\": \"";
  b += role_word(role, n.version);
  b += "\"";
  const bool view = n.store_known && agenda_.now() < n.store_read + n.times.ttl;
  if (queried) {
    b += ", \"postmaster_start_time\": \"2026-11-21 10:00:00.000000+00:00\"";
    b += ", \"server_version\": 150004, \"xlog\": {";
    const std::string at = number(position(i));
    if (n.recovery) {
      b += "\"received_location\": " + at + ", \"replayed_location\": " + at;
      b += ", \"replayed_timestamp\": null, \"paused\": false}";
      if (n.version != PatroniVersion::k3_0 && streams(i)) {
        b += ", \"replication_state\": \"streaming\"";
      } else if (n.version != PatroniVersion::k3_0 && restores(i)) {
        b += ", \"replication_state\": \"in archive recovery\"";
      }
      const auto& sync = s.store.sync;
      const bool listed = std::find(sync.begin(), sync.end(), i) != sync.end();
      if (role == Role::kReplica && view && listed && s.sync == SyncMode::kSync) {
        b += ", \"sync_standby\": true";
      }
      if (role == Role::kReplica && view && listed && s.sync == SyncMode::kQuorum) {
        b += ", \"quorum_standby\": true";
      }
    } else {
      b += "\"location\": " + at + "}";
    }
    b += ", \"timeline\": " + number(n.timeline);
  }
  if (!view || n.unlocked_view) b += ", \"cluster_unlocked\": true";
  if (shows_failsafe(i)) b += ", \"failsafe_mode_is_active\": true";
  b += ", \"dcs_last_seen\": " + std::to_string(n.store_seen);
  if (const std::string tags = tags_of(n); !tags.empty()) b += ", \"tags\": {" + tags + "}";
  b += ", \"database_system_identifier\": \"" + n.system_identifier + "\"";
  b += std::string(", \"patroni\": {\"version\": \"") + version_text(n.version) +
       "\", \"scope\": \"" + (n.system_identifier == "666" ? "other" : s.name) + "\"";
  if (n.version >= PatroniVersion::k3_3) b += ", \"name\": \"" + model_name(i) + "\"";
  b += n.paused_view ? "}, \"pause\": true}" : "}}";
  return b;
}

// The content of the store at this moment. The timelines in it are as old as the last loop of each
// member, which the model leaves out.
std::string ModelCluster::cluster_body(std::size_t i) const {
  const ModelScope& s = scope(i);
  std::string b = "{\"members\": [";
  bool first = true;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const ModelNode& n = nodes[k];
    const bool member = same_cluster(i, k) && is_member(k);
    if (!member && (nodes[i].lies == 0 || n.scope == nodes[i].scope)) continue;
    const auto& sync = s.store.sync;
    const bool listed = std::find(sync.begin(), sync.end(), k) != sync.end();
    std::string role =
        listed ? (s.sync == SyncMode::kQuorum ? "quorum_standby" : "sync_standby") : "replica";
    if (s.store.leader == k) role = s.standby ? "standby_leader" : "leader";
    const std::string host = model_address(k, n.address);
    b += std::string(first ? "" : ", ") + "{\"name\": \"" + model_name(k) + "\", \"role\": \"" +
         role + "\", \"state\": \"running\", \"api_url\": \"http://" + host +
         ":8008/patroni\", \"host\": \"" + host +
         "\", \"port\": 5432, \"timeline\": " + number(n.timeline) +
         (s.store.leader == k ? "" : ", \"lag\": 0") + "}";
    first = false;
  }
  if (nodes[i].lies > 0) {
    b +=
        R"(, {"name": "", "role": "replica", "host": "no host", "port": 70000, "api_url": "7"}, 7)";
  }
  b += "], \"scope\": \"" + s.name + "\"";
  return b + (s.store.pause ? ", \"pause\": true}" : "}");
}

ModelReply ModelCluster::answer(std::size_t i, ProbeKind what) {
  const ModelNode& n = nodes[i];
  ModelReply r;
  r.status = 200;
  r.date = http_date(wall(i));
  r.read_shown = n.store_read;
  if (n.rest == RestMode::kGarbage) {
    static constexpr const char* kBodies[] = {"", "<html><body>502</body></html>",
                                              "{\"role\": ", "[1, 2]", "{\"hello\": \"world\"}"};
    r.status = dice_.chance(0.5) ? 200 : 502;
    r.body = dice_.pick(kBodies);
  } else if (what == ProbeKind::kLeader) {
    r.status = shows_lease(i) ? 200 : 503;
    r.body = leader_body(i);
  } else if (what == ProbeKind::kConfig) {
    r.status = n.store_known ? 200 : 502;
    r.body = config_body(n.times, scope(i));
  } else if (!reaches_store(i)) {
    r.outcome = Outcome::kEmpty;
  } else {
    r.body = cluster_body(i);
  }
  return r;
}

}  // namespace pgsteer
