#include "config/check.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/address.h"

namespace pgsteer {

namespace {

std::string node_key(std::size_t index) { return "node[" + std::to_string(index) + "]"; }
std::string listen_key(std::size_t index) { return "listen[" + std::to_string(index) + "]"; }

// A key and the value that must not occur twice.
using Entry = std::pair<std::string, std::string>;

void check_unique(const std::vector<Entry>& entries, const std::string& again,
                  Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& key = entries[i].first;
    const std::string& value = entries[i].second;
    if (value.empty() || !diagnostics.sound({key})) continue;
    const auto first =
        std::find_if(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const Entry& each) { return each.second == value; });
    if (first == entries.begin() + static_cast<std::ptrdiff_t>(i)) continue;
    diagnostics.fault(key, in_quotes(value) + " is also that of " + first->first + " (" +
                               diagnostics.where(first->first) + "); " + again);
  }
}

void check_nodes(const Config& config, Diagnostics& diagnostics) {
  std::vector<Entry> names, addresses, urls;
  for (std::size_t i = 0; i < config.nodes.size(); ++i) {
    const NodeConfig& node = config.nodes[i];
    const std::string key = node_key(i);
    names.emplace_back(key + ".name", node.name);
    const std::string address = node.host + ":" + std::to_string(node.port);
    addresses.emplace_back(key + ".host", node.host.empty() ? "" : address);
    urls.emplace_back(key + ".rest", node.rest);
  }
  check_unique(names, "each node needs a name of its own", diagnostics);
  check_unique(addresses, "each node is written once", diagnostics);
  // The default URL follows the host: two nodes on one host, or one host written twice.
  for (Entry& url : urls) {
    const std::string host = url.first.substr(0, url.first.find('.')) + ".host";
    if (!diagnostics.sound({host})) url.second.clear();
  }
  check_unique(urls, "each node has a Patroni of its own: write its URL", diagnostics);
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
        diagnostics.fault(key, in_quotes(address.text) + " cannot be bound beside " +
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

// Settings that the listener's target gives nothing to do.
void check_target(const ListenConfig& listen, const std::string& key, Diagnostics& diagnostics) {
  if (listen.to == Target::kPrimary) {
    for (const char* idle : {"max_lag", "balance", "fallback", "drain_timeout"}) {
      if (!diagnostics.changed(key + "." + idle)) continue;
      diagnostics.warn(key + "." + idle,
                       "has no effect: there is one primary, and it does not lag; it is meant for "
                       "listeners with to = \"replica\", \"any\", \"sync\" or \"async\"");
    }
  } else if (listen.to == Target::kAny && diagnostics.changed(key + ".fallback")) {
    diagnostics.warn(key + ".fallback", "has no effect: to = \"any\" includes the primary already");
  }
}

// The shortest default patience of common drivers that a hold can outlast: Npgsql's Timeout is 15
// s, HikariCP's connectionTimeout 30 s; pgjdbc's sslResponseTimeout is 5 s, for the TLS answer
// alone.
constexpr Duration kDriverPatience{12'000};

void check_waits(const ListenConfig& listen, const std::string& key, Diagnostics& diagnostics) {
  const std::string hold = key + ".hold";
  if (listen.hold > kDriverPatience && diagnostics.sound({hold})) {
    diagnostics.warn(hold,
                     "is longer than some drivers wait by default, which then report a timeout "
                     "of their own: Npgsql after 15s, HikariCP after 30s, and pgjdbc after 5s "
                     "where the answer to its TLS request depends on the node; 12s or less "
                     "suits all of them");
  }
  const std::string login = key + ".login_timeout";
  if (diagnostics.written(login) && listen.login_timeout <= listen.hold &&
      diagnostics.sound({hold, login})) {
    diagnostics.warn(login, "is not longer than hold (" + duration_text(listen.hold) +
                                "): a client that has waited has no time left to log in");
  }
  const std::string client = key + ".max_connections_per_client";
  if (listen.max_connections > 0 && listen.max_connections_per_client > listen.max_connections) {
    diagnostics.warn(client, "has no effect: it is above max_connections (" +
                                 std::to_string(listen.max_connections) + ")");
  }
}

void check_client_tls(const ListenConfig& listen, const std::string& key,
                      Diagnostics& diagnostics) {
  if (listen.tls == ClientTls::kPass) {
    if (!diagnostics.sound({key + ".tls"})) return;
    for (const char* idle : {"tls_certificate", "tls_key", "tls_min_version", "tls_client_ca",
                             "tls_client_certificate"}) {
      if (!diagnostics.changed(key + "." + idle)) continue;
      diagnostics.warn(key + "." + idle,
                       "has no effect: the client's TLS is passed through to PostgreSQL; to end it "
                       "here, write tls = \"terminate\"");
    }
    return;
  }
  for (const auto& [name, file] : {std::pair("tls_certificate", &listen.tls_certificate),
                                   std::pair("tls_key", &listen.tls_key)}) {
    if (!file->empty()) continue;
    diagnostics.fault(
        key + "." + name,
        "is missing; tls = \"terminate\" needs tls_certificate and tls_key, PEM files");
  }
  const bool asks = listen.tls_client_certificate != ClientCertificate::kNone;
  if (asks && listen.tls_client_ca.empty()) {
    diagnostics.fault(key + ".tls_client_ca",
                      std::string("is missing; tls_client_certificate = \"") +
                          to_string(listen.tls_client_certificate) +
                          "\" needs the CA that signs the clients' certificates, a PEM file");
  } else if (!asks && diagnostics.changed(key + ".tls_client_ca") &&
             diagnostics.sound({key + ".tls_client_certificate"})) {
    diagnostics.warn(key + ".tls_client_ca",
                     "has no effect: clients are not asked for a certificate; write "
                     "tls_client_certificate = \"optional\" or \"required\"");
  }
}

// A client's SCRAM proof covers the certificate it was shown (tls-server-end-point, RFC 5929),
// which is the listener's; PostgreSQL compares its own. Hiding SCRAM-SHA-256-PLUS from the client
// does not help: it then says that it could have bound, and a server with TLS takes that for an
// attack (auth-scram.c, channel binding flag 'y').
void check_channel_binding(const Config& config, Diagnostics& diagnostics) {
  if (config.node_tls.mode == NodeTls::kOff) return;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    if (config.listen[i].tls != ClientTls::kTerminate) continue;
    diagnostics.warn(
        listen_key(i) + ".tls",
        std::string("with node_tls.mode = \"") + to_string(config.node_tls.mode) +
            "\", clients that log in by SCRAM over TLS are refused by PostgreSQL unless they set "
            "channel_binding=disable: the default, prefer, binds the login to the certificate they "
            "see, which is this listener's and not the node's. Remedies: tls = \"pass\"; the same "
            "certificate and key here as on every node; channel_binding=disable in the clients; "
            "node_tls.mode = \"off\" on a trusted network; or another method than SCRAM");
  }
}

void check_pair(const std::string& key, const std::string& certificate,
                const std::string& private_key, Diagnostics& diagnostics) {
  if (certificate.empty() == private_key.empty()) return;
  const std::string missing = key + (certificate.empty() ? ".certificate" : ".key");
  diagnostics.fault(missing, "is missing; certificate and key go together");
}

void check_node_tls(const Config& config, Diagnostics& diagnostics) {
  const NodeTlsConfig& tls = config.node_tls;
  const bool terminates = std::any_of(config.listen.begin(), config.listen.end(),
                                      [](const auto& l) { return l.tls == ClientTls::kTerminate; });
  const bool verifies = tls.mode == NodeTls::kVerifyCa || tls.mode == NodeTls::kVerifyFull;
  if (verifies && tls.ca.empty()) {
    diagnostics.fault("node_tls.ca",
                      std::string("is missing; mode = \"") + to_string(tls.mode) +
                          "\" needs the CA that signs the nodes' certificates, a PEM "
                          "file");
  }
  check_pair("node_tls", tls.certificate, tls.key, diagnostics);
  if (!diagnostics.sound({"node_tls.mode"})) return;
  if (tls.mode != NodeTls::kOff && !terminates) {
    diagnostics.warn("node_tls.mode",
                     "has no effect: no listener has tls = \"terminate\", so every client's TLS is "
                     "passed through as it is");
  }
  for (const char* idle : {"ca", "certificate", "key"}) {
    const std::string key = std::string("node_tls.") + idle;
    if (tls.mode == NodeTls::kOff && diagnostics.changed(key)) {
      diagnostics.warn(key, "has no effect: mode is \"off\"");
    } else if (tls.mode == NodeTls::kRequire && idle == std::string("ca") && !tls.ca.empty()) {
      diagnostics.warn(key,
                       "has no effect: mode = \"require\" does not verify; write \"verify-ca\" or "
                       "\"verify-full\"");
    }
  }
}

// Patroni's defaults (ttl 30, loop_wait 10, retry_timeout 10) leave a primary that no longer
// answers ttl - loop_wait - retry_timeout until its lease may pass on.
constexpr Duration kFence{10'000};

void check_health(const Config& config, Diagnostics& diagnostics) {
  const HealthConfig& health = config.health;
  if (health.hunt_interval > health.interval &&
      diagnostics.sound({"health.hunt_interval", "health.interval"})) {
    const bool hunt = diagnostics.written("health.hunt_interval");
    diagnostics.fault(hunt ? "health.hunt_interval" : "health.interval",
                      "hunt_interval (" + duration_text(health.hunt_interval) +
                          ") is longer than interval (" + duration_text(health.interval) +
                          "); it is the faster pace while something is in doubt");
  }
  if (health.timeout + health.interval > kFence &&
      diagnostics.sound({"health.timeout", "health.interval"})) {
    diagnostics.warn(
        diagnostics.written("health.timeout") ? "health.timeout" : "health.interval",
        "interval and timeout together are longer than " + duration_text(kFence) +
            ": with Patroni's default ttl, loop_wait and retry_timeout one lost answer "
            "can then outlast the lease, and the primary's sessions are cut without a "
            "second try");
  }
  check_pair("health", health.certificate, health.key, diagnostics);
  const bool password = !health.password.value.empty() || !health.password_file.empty();
  if (password && health.user.empty() && diagnostics.sound({"health.user"})) {
    diagnostics.fault("health.user", "is missing; a password goes with a user");
  }
  const bool https = std::any_of(config.nodes.begin(), config.nodes.end(),
                                 [](const auto& node) { return node.rest.starts_with("https:"); });
  for (const char* tls : {"ca", "verify", "certificate", "key"}) {
    const std::string key = std::string("health.") + tls;
    if (https || !diagnostics.changed(key) || !diagnostics.sound({key})) continue;
    diagnostics.warn(key, "has no effect: no node's rest begins with https://");
  }
  if (https && !health.verify && !health.ca.empty()) {
    diagnostics.warn("health.ca", "has no effect: verify is false");
  }
}

}  // namespace

void check_config(const Config& config, Diagnostics& diagnostics) {
  check_nodes(config, diagnostics);
  std::vector<Entry> names;
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    const std::string key = listen_key(i);
    names.emplace_back(key + ".name", config.listen[i].name);
    check_target(config.listen[i], key, diagnostics);
    check_waits(config.listen[i], key, diagnostics);
    check_client_tls(config.listen[i], key, diagnostics);
  }
  check_unique(names, "each listener needs a name of its own", diagnostics);
  check_binds(config, diagnostics);
  check_channel_binding(config, diagnostics);
  check_node_tls(config, diagnostics);
  check_health(config, diagnostics);
}

}  // namespace pgsteer
