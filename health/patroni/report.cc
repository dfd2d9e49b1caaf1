#include "health/patroni/report.h"

#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "health/patroni/foreign_text.h"

namespace pgsteer {
namespace {

using nlohmann::json;

// Far more than any cluster has: whoever answers on the port of a REST API decides their number.
constexpr std::size_t kMaxTags = 64;
constexpr std::size_t kMaxMembers = 1'000;

// The member `key` of an object, or null. Never throws, whatever `object` is.
const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

std::optional<std::uint64_t> unsigned_of(const json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0) {
    return static_cast<std::uint64_t>(value.get<std::int64_t>());
  }
  return std::nullopt;
}

// Seconds as Patroni accepts them: an integer, a float or a numeric string.
std::optional<std::int64_t> seconds_of(const json& value) {
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    const double seconds = value.get<double>();
    if (seconds >= 0 && seconds < 1e15) return static_cast<std::int64_t>(seconds);
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc() && end == text.data() + text.size()) return seconds;
  }
  return std::nullopt;
}

std::string text_of(const json& value) {
  return value.is_string() ? foreign_text(value.get_ref<const std::string&>()) : "";
}

bool true_of(const json& value) { return value.is_boolean() && value.get<bool>(); }

// Python's truth, by which Patroni reads these tags: 1 and any text that is not empty are true.
bool truth_of(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  return (value.is_string() || value.is_structured()) && !value.empty() &&
         !(value.is_string() && value.get_ref<const std::string&>().empty());
}

std::string tag_text(const json& value) {
  if (value.is_string()) return text_of(value);
  return foreign_text(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

Role role_of(const std::string& text) {
  if (text == "primary" || text == "master") return Role::kPrimary;
  if (text == "replica") return Role::kReplica;
  if (text == "standby_leader") return Role::kStandbyLeader;
  if (text == "promoted") return Role::kPromoted;
  if (text == "demoted") return Role::kDemoted;
  if (text == "uninitialized") return Role::kUninitialized;
  return Role::kUnknown;
}

State state_of(const std::string& text) {
  if (text == "running") return State::kRunning;
  if (text == "unknown") return State::kUnknown;
  if (text == "starting" || text == "starting after custom bootstrap") return State::kStarting;
  if (text == "stopping") return State::kStopping;
  if (text == "restarting") return State::kRestarting;
  if (text == "stopped" || text == "start failed" || text == "stop failed" ||
      text.starts_with("restart failed")) {
    return State::kStopped;
  }
  if (text == "crashed") return State::kCrashed;
  if (text == "initializing new cluster" || text == "initdb failed" || text == "creating replica" ||
      text == "running custom bootstrap script" || text == "custom bootstrap failed") {
    return State::kBootstrap;
  }
  return State::kOther;
}

// replication_state exists since Patroni 3.1.0. In older versions its absence means nothing.
bool at_least_3_1(const std::string& version) {
  int major = 0;
  int minor = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  std::from_chars(first.ptr + 1, end, minor);
  return major > 3 || (major == 3 && minor >= 1);
}

// 150004 is 15.4; 90624 is 9.6.24.
std::string server_version_text(const json& value) {
  const auto number = unsigned_of(value);
  if (!number || *number == 0 || *number > 10'000'000) return "";
  if (*number >= 100'000) {
    return std::to_string(*number / 10'000) + "." + std::to_string(*number % 10'000);
  }
  return std::to_string(*number / 10'000) + "." + std::to_string(*number / 100 % 100) + "." +
         std::to_string(*number % 100);
}

void read_tags(const json& tags, Report& report) {
  if (!tags.is_object()) return;
  for (const auto& [key, value] : tags.items()) {
    if (report.tags.size() == kMaxTags) break;
    report.tags[foreign_text(key)] = tag_text(value);
  }
  report.noloadbalance = truth_of(member(tags, "noloadbalance"));
  report.nofailover = truth_of(member(tags, "nofailover"));
}

std::uint32_t timeline_of(const json& value) {
  const auto timeline = unsigned_of(value);
  if (!timeline || *timeline > std::numeric_limits<std::uint32_t>::max()) return 0;
  return static_cast<std::uint32_t>(*timeline);
}

void read_positions(const json& body, Report& report) {
  const json& xlog = member(body, "xlog");
  report.location = unsigned_of(member(xlog, "location"));
  report.replayed = unsigned_of(member(xlog, "replayed_location"));
  report.received = unsigned_of(member(xlog, "received_location"));
  report.timeline = timeline_of(member(body, "timeline"));
}

// Copying and printing a document recurse once per level, so deeper levels are dropped. Patroni's
// replies have five levels at most.
json parse_object(std::string_view body) {
  static constexpr int kDeepest = 32;
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth < kDeepest; };
  json parsed = json::parse(body.begin(), body.end(), shallow, false);
  if (!parsed.is_object()) return json();
  return parsed;
}

std::uint16_t port_of(const json& value) {
  const auto port = unsigned_of(value);
  return port && *port <= 65'535 ? static_cast<std::uint16_t>(*port) : std::uint16_t{0};
}

}  // namespace

bool Report::incomplete() const {
  if (!answered()) return false;
  return state == State::kUnknown || role == Role::kUnknown ||
         (state == State::kRunning && !location && !replayed);
}

Report failed_report(Outcome outcome, std::string detail) {
  Report report;
  report.outcome = outcome;
  report.detail = std::move(detail);
  return report;
}

Report parse_report(int status, std::string_view body, std::string_view date) {
  if (status != 200 && status != 503) {
    return failed_report(Outcome::kMalformed, "HTTP status " + std::to_string(status));
  }
  const json parsed = parse_object(body);
  if (!parsed.is_object() || (!parsed.contains("state") && !parsed.contains("role"))) {
    return failed_report(Outcome::kMalformed,
                         "HTTP status " + std::to_string(status) + " without a reply of Patroni");
  }
  Report report;
  report.outcome = Outcome::kAnswered;
  report.status = status;
  report.detail = std::to_string(status);
  report.lease = status == 200;
  report.role = role_of(text_of(member(parsed, "role")));
  report.state_word = text_of(member(parsed, "state"));
  report.state = state_of(report.state_word);
  read_positions(parsed, report);
  read_tags(member(parsed, "tags"), report);
  const json& patroni = member(parsed, "patroni");
  report.patroni_version = text_of(member(patroni, "version"));
  report.patroni_name = text_of(member(patroni, "name"));
  report.scope = text_of(member(patroni, "scope"));
  report.replication_state = text_of(member(parsed, "replication_state"));
  report.tells_replication_state =
      !report.replication_state.empty() || at_least_3_1(report.patroni_version);
  report.sync = true_of(member(parsed, "sync_standby"));
  report.quorum = true_of(member(parsed, "quorum_standby"));
  report.cluster_unlocked = true_of(member(parsed, "cluster_unlocked"));
  report.failsafe = true_of(member(parsed, "failsafe_mode_is_active"));
  report.pause = true_of(member(parsed, "pause"));
  const json& identifier = member(parsed, "database_system_identifier");
  report.system_identifier = text_of(identifier);
  if (const auto number = unsigned_of(identifier))
    report.system_identifier = std::to_string(*number);
  report.server_version = server_version_text(member(parsed, "server_version"));
  report.dcs_last_seen = seconds_of(member(parsed, "dcs_last_seen"));
  if (report.dcs_last_seen && *report.dcs_last_seen <= 0) report.dcs_last_seen.reset();
  report.date = parse_http_date(date);
  return report;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto comma = text.find(", ");
  if (comma == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(comma + 2);  // "15 Nov 1994 08:12:31 GMT"
  if (rest.size() < 24 || rest.substr(20, 4) != " GMT") return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = -1;
    const auto [end, error] = std::from_chars(rest.data() + at, rest.data() + at + length, value);
    return error == std::errc() && end == rest.data() + at + length ? value : -1;
  };
  unsigned month = 0;
  while (month < 12 && kMonths[month] != rest.substr(3, 3)) ++month;
  const int day = number(0, 2), year = number(7, 4), hour = number(12, 2), minute = number(15, 2);
  const int second = number(18, 2);
  if (month == 12 || day < 1 || year < 1970 || hour < 0 || minute < 0 || second < 0) {
    return std::nullopt;
  }
  std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month + 1},
                                   std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return std::int64_t{days} * 86'400 + hour * 3600 + minute * 60 + second;
}

std::optional<DcsTimes> parse_config_reply(int status, std::string_view body) {
  if (status != 200) return std::nullopt;
  const json parsed = parse_object(body);
  if (!parsed.is_object()) return std::nullopt;
  DcsTimes times;
  const auto take = [&](const char* key, std::chrono::milliseconds& to, std::int64_t least) {
    const auto seconds = seconds_of(member(parsed, key));
    if (seconds && *seconds >= least && *seconds <= 86'400) to = std::chrono::seconds(*seconds);
  };
  take("ttl", times.ttl, 1);
  take("loop_wait", times.loop_wait, 1);
  take("retry_timeout", times.retry_timeout, 0);
  return times;
}

std::optional<ClusterReport> parse_cluster_reply(int status, std::string_view body) {
  if (status != 200) return std::nullopt;
  const json parsed = parse_object(body);
  const json& members = member(parsed, "members");
  if (!members.is_array()) return std::nullopt;
  ClusterReport report;
  report.pause = true_of(member(parsed, "pause"));
  for (const json& entry : members) {
    if (report.members.size() == kMaxMembers) break;
    ClusterMember m;
    m.name = text_of(member(entry, "name"));
    m.role = text_of(member(entry, "role"));
    m.api_url = text_of(member(entry, "api_url"));
    m.host = text_of(member(entry, "host"));
    m.port = port_of(member(entry, "port"));
    m.timeline = timeline_of(member(entry, "timeline"));
    m.leader = m.role == "leader" || m.role == "standby_leader";
    if (m.leader) report.leader = m;
    report.members.push_back(std::move(m));
  }
  return report;
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAnswered:
      return "answered";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kUnreachable:
      return "unreachable";
    case Outcome::kSilent:
      return "silent";
    case Outcome::kEmpty:
      return "empty";
    case Outcome::kMalformed:
      return "malformed";
    case Outcome::kTlsFailed:
      return "tls_failed";
    case Outcome::kUnresolved:
      return "unresolved";
    case Outcome::kLocalFault:
      return "local_fault";
  }
  return "?";
}

const char* to_string(Role role) {
  switch (role) {
    case Role::kUnknown:
      return "unknown";
    case Role::kPrimary:
      return "primary";
    case Role::kReplica:
      return "replica";
    case Role::kStandbyLeader:
      return "standby_leader";
    case Role::kPromoted:
      return "promoted";
    case Role::kDemoted:
      return "demoted";
    case Role::kUninitialized:
      return "uninitialized";
  }
  return "?";
}

}  // namespace pgsteer
