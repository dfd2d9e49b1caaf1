#include "config/check.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/address.h"

namespace pgsteer {

namespace {

void check_urls(const Config& config, Diagnostics& diagnostics) {
  std::vector<KeyValue> urls;
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    urls.emplace_back(node_key(i) + ".rest", config.nodes[i].rest);
  }
  // The default URL depends on the host: two nodes on one host then have the same URL.
  for (KeyValue& url : urls) {
    const std::string host = url.first.substr(0, url.first.find('.')) + ".host";
    if (!diagnostics.valid({host})) url.second.clear();
  }
  check_unique(urls, "each node has its own Patroni; set rest to its URL", diagnostics);
}

struct Bound {
  std::string key;
  const BindAddress* address;
};

void check_binds(const Config& config, Diagnostics& diagnostics) {
  std::vector<Bound> bound;
  const auto add = [&](const std::string& key, const std::vector<BindAddress>& addresses) {
    for (const BindAddress& address : addresses) {
      for (const Bound& other : bound) {
        if (!in_conflict(*other.address, address)) continue;
        diagnostics.error(key, in_quotes(address.text) + " cannot be bound together with " +
                                   in_quotes(other.address->text) + " of " + other.key + " (" +
                                   diagnostics.where(other.key) + "); use another port or address");
        break;
      }
      bound.push_back({key, &address});
    }
  };
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    add(listen_key(i) + ".bind", config.listen[i].bind);
  }
  add("stats.bind", config.stats.bind);
}

// Settings that have no effect with the listener's target.
void check_target(const ListenConfig& listen, const std::string& key, Diagnostics& diagnostics) {
  if (listen.to == Target::kPrimary) {
    for (const char* name : {"max_lag", "balance", "fallback", "drain_timeout"}) {
      if (!diagnostics.changed(key + "." + name)) continue;
      diagnostics.warning(
          key + "." + name,
          "has no effect with to = \"primary\"; it applies to \"replica\", \"any\", "
          "\"sync\" and \"async\"");
    }
  } else if (listen.to == Target::kAny && diagnostics.changed(key + ".fallback")) {
    diagnostics.warning(key + ".fallback",
                        "has no effect: to = \"any\" already includes the primary");
  }
}

// A hold longer than this exceeds the default connect timeout of common drivers: 15 s in Npgsql
// (Timeout), 30 s in HikariCP (connectionTimeout). In pgjdbc it is 5 s (sslResponseTimeout), but
// only for the answer to the TLS request.
constexpr Duration kMaxDriverHold{12'000};

void check_waits(const ListenConfig& listen, const std::string& key, Diagnostics& diagnostics) {
  const std::string hold = key + ".hold";
  if (listen.hold > kMaxDriverHold && diagnostics.valid({hold})) {
    diagnostics.warning(
        hold,
        "is longer than the default connect timeout of some drivers, which then report "
        "their own timeout: Npgsql after 15s, HikariCP after 30s, and pgjdbc after 5s "
        "if the answer to its TLS request has to come from the node; set 12s or less");
  }
  const std::string login = key + ".login_timeout";
  if (diagnostics.is_set(login) && listen.login_timeout <= listen.hold &&
      diagnostics.valid({hold, login})) {
    diagnostics.warning(login, "is not longer than hold (" + duration_text(listen.hold) +
                                   "): a client that was held has no time left to log in");
  }
  const std::string client = key + ".max_connections_per_client";
  if (listen.max_connections > 0 && listen.max_connections_per_client > listen.max_connections) {
    diagnostics.warning(client, "has no effect: it is above max_connections (" +
                                    std::to_string(listen.max_connections) + ")");
  }
}

void check_client_tls(const ListenConfig& listen, const std::string& key,
                      Diagnostics& diagnostics) {
  if (listen.tls == ClientTls::kPass) {
    if (!diagnostics.valid({key + ".tls"})) return;
    for (const char* name : {"tls_certificate", "tls_key", "tls_min_version", "tls_client_ca",
                             "tls_client_certificate", "tls_crl", "tls_required", "tls_ciphers",
                             "tls_handshakes_per_client"}) {
      if (!diagnostics.changed(key + "." + name)) continue;
      diagnostics.warning(
          key + "." + name,
          "has no effect with tls = \"pass\", which passes the client's TLS through to "
          "PostgreSQL; to terminate it here, write tls = \"terminate\"");
    }
    return;
  }
  if (diagnostics.changed(key + ".refuse_in_clear")) {
    diagnostics.warning(key + ".refuse_in_clear",
                        "has no effect with tls = \"terminate\": pgsteer answers requests for TLS "
                        "itself, and refuses inside it");
  }
  for (const auto& [name, file] : {std::pair("tls_certificate", &listen.tls_certificate),
                                   std::pair("tls_key", &listen.tls_key)}) {
    if (!file->empty()) continue;
    diagnostics.error(
        key + "." + name,
        "is missing; tls = \"terminate\" needs tls_certificate and tls_key, PEM files");
  }
  const bool asks = listen.tls_client_certificate != ClientCertificate::kNone;
  if (asks && listen.tls_client_ca.empty()) {
    diagnostics.error(key + ".tls_client_ca",
                      std::string("is missing; tls_client_certificate = \"") +
                          to_string(listen.tls_client_certificate) +
                          "\" needs the CA that signs the clients' certificates, a PEM file");
  } else if (!asks && diagnostics.changed(key + ".tls_client_ca") &&
             diagnostics.valid({key + ".tls_client_certificate"})) {
    diagnostics.warning(key + ".tls_client_ca",
                        "has no effect: clients are not asked for a certificate; write "
                        "tls_client_certificate = \"optional\" or \"required\"");
  }
  if (!asks && !listen.tls_crl.empty() && diagnostics.valid({key + ".tls_client_certificate"})) {
    diagnostics.warning(key + ".tls_crl",
                        "has no effect: clients are not asked for a certificate; write "
                        "tls_client_certificate = \"optional\" or \"required\"");
  }
  const bool required = listen.tls_client_certificate == ClientCertificate::kRequired;
  if (required && !listen.tls_required && diagnostics.valid({key + ".tls_required"})) {
    diagnostics.warning(key + ".tls_required",
                        "has no effect: tls_client_certificate = \"required\" needs TLS");
  }
}

// A client's SCRAM proof covers the certificate that the client saw (tls-server-end-point, RFC
// 5929). That is the listener's certificate, but PostgreSQL compares it with its own. Hiding
// SCRAM-SHA-256-PLUS from the client does not help: the client then says that it supports channel
// binding, and a server with TLS treats that as an attack (auth-scram.c, channel binding flag 'y').
void check_channel_binding(const Config& config, Diagnostics& diagnostics) {
  if (config.node_tls.mode == NodeTls::kOff) return;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    if (config.listen[i].tls != ClientTls::kTerminate) continue;
    diagnostics.warning(
        listen_key(i) + ".tls",
        std::string("with node_tls.mode = \"") + to_string(config.node_tls.mode) +
            "\", PostgreSQL refuses clients that log in with SCRAM over TLS, unless they set "
            "channel_binding=disable: the default (prefer) binds the login to the certificate that "
            "the client sees, and this listener shows its own instead of the node's. Use one of: "
            "tls = \"pass\"; the same certificate and key here as on every node; "
            "channel_binding=disable in the clients; node_tls.mode = \"off\" on a trusted network; "
            "an authentication method other than SCRAM. Clients in clear are not concerned");
  }
}

void check_pair(const std::string& key, const std::string& certificate,
                const std::string& private_key, Diagnostics& diagnostics) {
  if (certificate.empty() == private_key.empty()) return;
  const std::string missing = key + (certificate.empty() ? ".certificate" : ".key");
  diagnostics.error(missing, "is missing; set both certificate and key, or neither");
}

void check_node_tls(const Config& config, Diagnostics& diagnostics) {
  const NodeTlsConfig& tls = config.node_tls;
  const bool terminates = std::any_of(config.listen.begin(), config.listen.end(),
                                      [](const auto& l) { return l.tls == ClientTls::kTerminate; });
  const bool verifies = tls.mode == NodeTls::kVerifyCa || tls.mode == NodeTls::kVerifyFull;
  if (verifies && tls.ca.empty()) {
    diagnostics.error("node_tls.ca",
                      std::string("is missing; mode = \"") + to_string(tls.mode) +
                          "\" needs the CA that signs the nodes' certificates, a PEM "
                          "file");
  }
  check_pair("node_tls", tls.certificate, tls.key, diagnostics);
  if (!diagnostics.valid({"node_tls.mode"})) return;
  if (tls.mode != NodeTls::kOff && !terminates) {
    diagnostics.warning(
        "node_tls.mode",
        "has no effect: no listener has tls = \"terminate\", so the TLS of every client is "
        "passed through");
  }
  for (const char* name : {"ca", "certificate", "key"}) {
    const std::string key = std::string("node_tls.") + name;
    if (tls.mode == NodeTls::kOff && diagnostics.changed(key)) {
      diagnostics.warning(key, "has no effect: mode is \"off\"");
    } else if (tls.mode == NodeTls::kRequire && name == std::string("ca") && !tls.ca.empty()) {
      diagnostics.warning(key,
                          "has no effect: mode = \"require\" does not verify certificates; write "
                          "\"verify-ca\" or \"verify-full\"");
    }
  }
}

// With Patroni's defaults (ttl 30, loop_wait 10, retry_timeout 10), the lease of a primary that
// stops answering can pass to another node after ttl - loop_wait - retry_timeout.
constexpr Duration kDefaultFence{10'000};

void check_health(const Config& config, Diagnostics& diagnostics) {
  const HealthConfig& health = config.health;
  if (health.hunt_interval > health.interval &&
      diagnostics.valid({"health.hunt_interval", "health.interval"})) {
    const bool hunt = diagnostics.is_set("health.hunt_interval");
    diagnostics.error(
        hunt ? "health.hunt_interval" : "health.interval",
        "hunt_interval (" + duration_text(health.hunt_interval) + ") is longer than interval (" +
            duration_text(health.interval) +
            "); it is the faster interval, used while the state of a node is in doubt");
  }
  if (health.timeout + health.interval > kDefaultFence &&
      diagnostics.valid({"health.timeout", "health.interval"})) {
    diagnostics.warning(
        diagnostics.is_set("health.timeout") ? "health.timeout" : "health.interval",
        "interval and timeout together are longer than " + duration_text(kDefaultFence) +
            ": with Patroni's default ttl, loop_wait and retry_timeout, one lost answer "
            "can then last longer than the lease, and pgsteer cuts the primary's sessions "
            "without a second try");
  }
  check_pair("health", health.certificate, health.key, diagnostics);
  const bool password = !health.password.value.empty() || !health.password_file.empty();
  if (password && health.user.empty() && diagnostics.valid({"health.user"})) {
    diagnostics.error("health.user", "is missing; a password needs a user");
  }
  const bool https = std::any_of(config.nodes.begin(), config.nodes.end(),
                                 [](const auto& node) { return node.rest.starts_with("https:"); });
  for (const char* name : {"ca", "verify", "certificate", "key"}) {
    const std::string key = std::string("health.") + name;
    if (https || !diagnostics.changed(key) || !diagnostics.valid({key})) continue;
    diagnostics.warning(key, "has no effect: no node's rest begins with https://");
  }
  if (https && !health.verify && !health.ca.empty()) {
    diagnostics.warning("health.ca", "has no effect: verify is false");
  }
}

}  // namespace

void check_unique(const std::vector<KeyValue>& entries, const std::string& advice,
                  Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& key = entries[i].first;
    const std::string& value = entries[i].second;
    if (value.empty() || !diagnostics.valid({key})) continue;
    const auto first =
        std::find_if(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const KeyValue& each) { return each.second == value; });
    if (first == entries.begin() + static_cast<std::ptrdiff_t>(i)) continue;
    diagnostics.error(key, in_quotes(value) + " is already used by " + first->first + " (" +
                               diagnostics.where(first->first) + "); " + advice);
  }
}

void check_config(const Config& config, Diagnostics& diagnostics) {
  check_clusters(config, diagnostics);
  check_urls(config, diagnostics);
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    const std::string key = listen_key(i);
    check_target(config.listen[i], key, diagnostics);
    check_waits(config.listen[i], key, diagnostics);
    check_client_tls(config.listen[i], key, diagnostics);
  }
  check_binds(config, diagnostics);
  check_channel_binding(config, diagnostics);
  check_node_tls(config, diagnostics);
  check_health(config, diagnostics);
}

}  // namespace pgsteer
