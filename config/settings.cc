#include "config/settings.h"

#include <chrono>
#include <type_traits>
#include <utility>

namespace pgsteer {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <class S, class C>
auto& part(C& config, std::size_t index) {
  if constexpr (std::is_same_v<S, ClusterConfig>) {
    return config.clusters[index];
  } else if constexpr (std::is_same_v<S, NodeConfig>) {
    return config.nodes[index];
  } else if constexpr (std::is_same_v<S, ListenConfig>) {
    return config.listen[index];
  } else if constexpr (std::is_same_v<S, NodeTlsConfig>) {
    return config.node_tls;
  } else if constexpr (std::is_same_v<S, HealthConfig>) {
    return config.health;
  } else if constexpr (std::is_same_v<S, StatsConfig>) {
    return config.stats;
  } else if constexpr (std::is_same_v<S, ServerConfig>) {
    return config.server;
  } else {
    static_assert(std::is_same_v<S, LogConfig>);
    return config.log;
  }
}

template <class S>
constexpr Section section_of() {
  if constexpr (std::is_same_v<S, ClusterConfig>) return Section::kCluster;
  if constexpr (std::is_same_v<S, NodeConfig>) return Section::kNode;
  if constexpr (std::is_same_v<S, ListenConfig>) return Section::kListen;
  if constexpr (std::is_same_v<S, NodeTlsConfig>) return Section::kNodeTls;
  if constexpr (std::is_same_v<S, HealthConfig>) return Section::kHealth;
  if constexpr (std::is_same_v<S, StatsConfig>) return Section::kStats;
  if constexpr (std::is_same_v<S, ServerConfig>) return Section::kServer;
  return Section::kLog;
}

template <class S, class T>
Setting setting(const char* key, T S::*member, Rule<T> rule, Reload reload = Reload::kNow,
                const char* example = "") {
  Setting out;
  out.reload = reload;
  out.section = section_of<S>();
  out.key = key;
  out.example = example;
  out.read = [member, read = rule.read](const TomlValue& toml, Config& config, std::size_t index,
                                        ReadContext& context) {
    read(toml, part<S>(config, index).*member, context);
  };
  out.write = [member, write = rule.write](const Config& config, std::size_t index) {
    return write(part<S>(config, index).*member);
  };
  out.same = [member](const Config& a, std::size_t i, const Config& b, std::size_t j) {
    return part<S>(a, i).*member == part<S>(b, j).*member;
  };
  return out;
}

constexpr std::int64_t kMaxSessions = 1'000'000;
constexpr milliseconds kMinTimeout{10};

std::vector<Setting> cluster_settings() {
  using C = ClusterConfig;
  return {
      setting("name", &C::name, name_rule(), Reload::kIdentity, "\"orders\""),
      setting("discover", &C::discover, bool_rule()),
      setting("forget_after", &C::forget_after, duration_rule(seconds(10), hours(24))),
  };
}

std::vector<Setting> node_settings() {
  using N = NodeConfig;
  return {
      setting("name", &N::name, name_rule(), Reload::kIdentity, "\"pg-1\""),
      setting("cluster", &N::cluster, name_or_nothing_rule(), Reload::kIdentity),
      setting("host", &N::host, host_rule(), Reload::kIdentity, "\"10.0.0.1\""),
      setting("port", &N::port, number_rule<std::uint16_t>(1, 65535), Reload::kIdentity),
      setting("rest", &N::rest, rest_rule()),
      setting("weight", &N::weight, number_rule<unsigned>(1, 256)),
      setting("max_connections", &N::max_connections, number_rule<std::uint32_t>(0, kMaxSessions)),
  };
}

std::vector<Setting> listen_settings() {
  using L = ListenConfig;
  const auto count = [](std::int64_t min) { return number_rule<std::uint32_t>(min, kMaxSessions); };
  return {
      setting("name", &L::name, name_rule(), Reload::kIdentity, "\"read_write\""),
      setting("cluster", &L::cluster, name_or_nothing_rule(), Reload::kIdentity),
      setting("bind", &L::bind, bind_rule(true, false), Reload::kNow, "\"*:5000\""),
      setting("to", &L::to, enum_rule<Target>()),
      setting("tags", &L::tags, tags_rule()),
      setting("max_lag", &L::max_lag, size_limit_rule()),
      setting("balance", &L::balance, enum_rule<Balance>()),
      setting("fallback", &L::fallback_to_primary, choice_rule("none", "primary")),

      setting("hold", &L::hold, duration_rule(Duration(0), hours(1)), Reload::kClients),
      setting("hold_sessions", &L::hold_sessions, count(1)),
      setting("when_no_node", &L::when_no_node, enum_rule<WhenNoNode>()),
      setting("refuse_in_clear", &L::refuse_in_clear, bool_rule(), Reload::kClients),
      setting("drain_timeout", &L::drain_timeout, duration_rule(Duration(0), hours(24 * 30))),
      setting("logins_in_flight", &L::logins_in_flight, number_rule<std::uint32_t>(1, 10'000)),

      setting("max_connections", &L::max_connections, count(0)),
      setting("max_connections_per_client", &L::max_connections_per_client, count(0)),
      setting("new_connections_per_client", &L::new_connections_per_client, count(0)),
      setting("allow", &L::allow, networks_rule(), Reload::kClients),
      setting("deny", &L::deny, networks_rule(), Reload::kClients),
      setting("first_packet_timeout", &L::first_packet_timeout,
              duration_rule(kMinTimeout, minutes(10)), Reload::kClients),
      setting("login_timeout", &L::login_timeout, duration_rule(kMinTimeout, hours(1)),
              Reload::kClients),
      setting("connect_timeout", &L::connect_timeout, duration_rule(kMinTimeout, minutes(5)),
              Reload::kClients),

      setting("error_detail", &L::error_detail, enum_rule<ErrorDetail>(), Reload::kClients),

      setting("tls", &L::tls, enum_rule<ClientTls>(), Reload::kClients),
      setting("tls_certificate", &L::tls_certificate, file_rule(), Reload::kClients),
      setting("tls_key", &L::tls_key, secret_file_rule(), Reload::kClients),
      setting("tls_min_version", &L::tls_min_version, enum_rule<TlsVersion>(), Reload::kClients),
      setting("tls_client_ca", &L::tls_client_ca, file_rule(), Reload::kClients),
      setting("tls_client_certificate", &L::tls_client_certificate, enum_rule<ClientCertificate>(),
              Reload::kClients),
      setting("tls_crl", &L::tls_crl, file_rule(), Reload::kClients),
      setting("tls_required", &L::tls_required, bool_rule(), Reload::kClients),
      setting("tls_ciphers", &L::tls_ciphers, text_rule(1023), Reload::kClients),
      setting("tls_handshakes_per_client", &L::tls_handshakes_per_client, count(0)),

      setting("proxy_protocol_from", &L::proxy_protocol_from, networks_rule(), Reload::kClients),
      setting("client_in_application_name", &L::client_in_application_name, bool_rule(),
              Reload::kClients),
  };
}

std::vector<Setting> node_tls_settings() {
  using T = NodeTlsConfig;
  return {
      setting("mode", &T::mode, enum_rule<NodeTls>(), Reload::kClients),
      setting("ca", &T::ca, file_rule(), Reload::kClients),
      setting("certificate", &T::certificate, file_rule(), Reload::kClients),
      setting("key", &T::key, secret_file_rule(), Reload::kClients),
  };
}

std::vector<Setting> health_settings() {
  using H = HealthConfig;
  return {
      setting("interval", &H::interval, duration_rule(kMinTimeout, minutes(1))),
      setting("hunt_interval", &H::hunt_interval, duration_rule(kMinTimeout, minutes(1))),
      setting("timeout", &H::timeout, duration_rule(kMinTimeout, minutes(1))),
      setting("clock_margin", &H::clock_margin, duration_rule(Duration(0), minutes(1))),
      setting("identity_settle", &H::identity_settle, duration_rule(seconds(1), hours(1))),
      setting("ca", &H::ca, file_rule()),
      setting("verify", &H::verify, bool_rule()),
      setting("certificate", &H::certificate, file_rule()),
      setting("key", &H::key, secret_file_rule()),
      setting("user", &H::user, text_rule(255)),
      setting("password", &H::password, secret_rule()),
      setting("password_file", &H::password_file, secret_file_rule()),
  };
}

std::vector<Setting> other_settings() {
  using V = ServerConfig;
  return {
      setting("bind", &StatsConfig::bind, bind_rule(false, true)),
      setting("threads", &StatsConfig::threads, number_rule<unsigned>(1, 64)),
      setting("show_sessions", &StatsConfig::show_sessions, show_sessions_rule()),
      setting("hosts", &StatsConfig::hosts, host_names_rule()),

      setting("workers", &V::workers, number_rule<unsigned>(0, 256), Reload::kRestart),
      setting("shutdown_timeout", &V::shutdown_timeout, duration_rule(Duration(0), hours(24))),
      setting("shutdown_timeout_unreadable", &V::shutdown_timeout_unreadable,
              duration_rule(Duration(0), hours(24))),
      setting("shutdown_silence_unreadable", &V::shutdown_silence_unreadable,
              duration_rule(Duration(0), hours(24))),
      // The kernel's own limits: MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL are 32767 s,
      // MAX_TCP_KEEPCNT is 127 (include/net/tcp.h).
      setting("keepalive_idle", &V::keepalive_idle, seconds_rule(seconds(1), hours(9)),
              Reload::kClients),
      setting("keepalive_interval", &V::keepalive_interval, seconds_rule(seconds(1), hours(9)),
              Reload::kClients),
      setting("keepalive_probes", &V::keepalive_probes, number_rule<unsigned>(1, 127),
              Reload::kClients),
      setting("user_timeout", &V::user_timeout, duration_rule(Duration(0), hours(24))),

      setting("level", &LogConfig::level, enum_rule<LogLevel>()),
      setting("format", &LogConfig::format, enum_rule<LogFormat>()),
      setting("sessions", &LogConfig::sessions, bool_rule()),
  };
}

std::vector<Setting> all_settings() {
  std::vector<Setting> all;
  for (auto group : {cluster_settings(), node_settings(), listen_settings(), node_tls_settings(),
                     health_settings(), other_settings()}) {
    for (Setting& each : group) all.push_back(std::move(each));
  }
  return all;
}

}  // namespace

const char* to_string(Reload reload) {
  switch (reload) {
    case Reload::kNow:
      return "at once";
    case Reload::kClients:
      return "new clients";
    case Reload::kIdentity:
      return "new entry";
    case Reload::kRestart:
      return "restart";
  }
  return "";
}

const std::vector<SectionInfo>& sections() {
  static const std::vector<SectionInfo> all{
      {Section::kCluster, "cluster", true, false, kMaxClusters},
      {Section::kNode, "node", true, true, kMaxNodes},
      {Section::kListen, "listen", true, true, kMaxListeners},
      {Section::kNodeTls, "node_tls", false, false, 1},
      {Section::kHealth, "health", false, false, 1},
      {Section::kStats, "stats", false, false, 1},
      {Section::kServer, "server", false, false, 1},
      {Section::kLog, "log", false, false, 1},
  };
  return all;
}

const std::vector<Setting>& settings() {
  static const std::vector<Setting> all = all_settings();
  return all;
}

std::vector<std::string> keys_of(Section section) {
  std::vector<std::string> keys;
  for (const Setting& each : settings()) {
    if (each.section == section) keys.push_back(each.key);
  }
  return keys;
}

const Config& defaults() {
  static const Config config = [] {
    Config made;
    made.nodes.emplace_back();
    made.listen.emplace_back();
    return made;
  }();
  return config;
}

void clear_entries(Config& config, Section section) {
  if (section == Section::kCluster) config.clusters.clear();
  if (section == Section::kNode) config.nodes.clear();
  if (section == Section::kListen) config.listen.clear();
}

void add_entry(Config& config, Section section) {
  if (section == Section::kCluster) config.clusters.emplace_back();
  if (section == Section::kNode) config.nodes.emplace_back();
  if (section == Section::kListen) config.listen.emplace_back();
}

}  // namespace pgsteer
