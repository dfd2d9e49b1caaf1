// The configuration as plain values. config/parse.h fills it once; then it is immutable and shared
// by every thread. The comments define what each setting means. pgsteer.reference.toml shows each
// setting at its default, and a test compares the two.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/ip_address.h"

namespace pgsteer {

using Duration = std::chrono::milliseconds;

// A password: prints as "***" wherever it is formatted.
struct Secret {
  std::string value;

  friend bool operator==(const Secret&, const Secret&) = default;
};
std::ostream& operator<<(std::ostream& out, const Secret& secret);

// Which nodes a listener routes to.
enum class Target : std::uint8_t {
  kPrimary,  // the writable leader
  kReplica,  // every healthy replica
  kAny,      // every healthy replica, and the primary
  kSync,     // replicas that Patroni lists as synchronous
  kQuorum,   // replicas that Patroni lists as quorum standbys, from 4.0
  kAsync,    // the other replicas
};

enum class Balance : std::uint8_t { kLeastSessions, kRoundRobin, kRandom, kClientAddress };

// What a listener does when its clients have waited for `hold` and there is still no node for
// them.
enum class WhenNoNode : std::uint8_t {
  kRefuse,  // answer 57P03; the port stays open
  kClose,   // close the listening socket until there is a node, so that load balancers move on
};

enum class ClientTls : std::uint8_t { kPass, kTerminate };
enum class ClientCertificate : std::uint8_t { kNone, kOptional, kRequired };
enum class NodeTls : std::uint8_t { kOff, kRequire, kVerifyCa, kVerifyFull };
enum class TlsVersion : std::uint8_t { kTls12, kTls13 };
// What the DETAIL of an error may tell a client, who may be anybody.
enum class ErrorDetail : std::uint8_t {
  kFull,   // why, with the names of nodes
  kShort,  // nothing about nodes
};
enum class LogFormat : std::uint8_t { kText, kJson };
enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };
// Where the page shows the session table.
enum class ShowSessions : std::uint8_t { kLoopback, kAlways, kNever };

// An address to listen on: either a Unix socket path, or a host with a port.
struct BindAddress {
  std::string text;  // as written
  std::string host;  // numeric IPv4 or IPv6, as inet_ntop writes it; "*" means every IPv4 and
                     // IPv6 address, "0.0.0.0" every IPv4 address, "::" every IPv6 address only
  std::uint16_t port = 0;  // 0: the kernel chooses; only in tests
  std::string unix_path;   // absolute

  friend bool operator==(const BindAddress&, const BindAddress&) = default;
};

// An IPv4 or IPv6 network. IPv4 is stored in its mapped IPv6 form, so one comparison serves both.
struct Network {
  IpAddress base{};
  unsigned prefix = 128;  // in bits of the mapped form: 104 for 10.0.0.0/8
  std::string text;       // as written

  bool contains(const IpAddress& address) const;
  friend bool operator==(const Network&, const Network&) = default;
};

// [[cluster]]
struct ClusterConfig {
  std::string name;       // unique; empty only where the file has no [[cluster]]
  bool discover = false;  // the lists of proven members nominate further nodes
  Duration forget_after{std::chrono::minutes(5)};  // a nominee that nobody lists and that is silent

  // Not in the file any more: its nodes and listeners leave; see with_leaving() in
  // config/running.h.
  bool leaving = false;
};

// [[node]]
struct NodeConfig {
  std::string name;     // unique in its cluster
  std::string cluster;  // the name of one; if there is only one, the parser fills it in
  std::string host;     // name or address of PostgreSQL; names are resolved repeatedly
  std::uint16_t port = 5432;
  std::string rest;     // URL of Patroni's REST API, "http://HOST:PORT"; if not set, the parser
                        // fills in http://HOST:8008
  unsigned weight = 1;  // share of sessions if several nodes can serve: 1 to 256
  std::uint32_t max_connections = 0;  // sessions on this node, all listeners together; 0: no limit

  // Not in the file any more: no new sessions; see with_leaving() in config/running.h.
  bool leaving = false;
  // Not in the file: a member of the cluster has named it. It has to prove that it is one.
  bool discovered = false;

  friend bool operator==(const NodeConfig&, const NodeConfig&) = default;
};

// [[listen]]
struct ListenConfig {
  std::string name;               // unique, in all clusters
  std::string cluster;            // as in NodeConfig
  std::vector<BindAddress> bind;  // at least one
  Target to = Target::kPrimary;
  std::map<std::string, std::string> tags;  // only nodes whose Patroni tags have these values
  std::optional<std::uint64_t> max_lag;     // bytes of WAL not yet replayed; unset: no limit
  Balance balance = Balance::kLeastSessions;
  bool fallback_to_primary = false;  // if no replica is left, route to the primary

  Duration hold{9'000};                  // how long a client may wait for a node; 0: refuse at once
  std::uint32_t hold_sessions = 10'000;  // how many may wait at the same time; more are refused
  WhenNoNode when_no_node = WhenNoNode::kRefuse;
  // A client that asks for TLS, which kPass leaves to the nodes, and has to be refused before a
  // node has answered: true: N, and the error in clear after its startup packet, which names user
  // and database in clear; false: its connection is closed.
  bool refuse_in_clear = true;
  Duration drain_timeout{3'600'000};    // how long sessions may stay on a promoted replica
  std::uint32_t logins_in_flight = 16;  // logins in progress per node

  std::uint32_t max_connections = 0;             // 0: limited only by file descriptors
  std::uint32_t max_connections_per_client = 0;  // per client address; 0: no limit
  std::uint32_t new_connections_per_client = 0;  // per client address and second; 0: no limit
  std::vector<Network> allow;                    // empty: all
  std::vector<Network> deny;                     // wins over allow
  Duration first_packet_timeout{10'000};  // from accept to the complete startup packet, with TLS
  Duration login_timeout{60'000};         // to the first ReadyForQuery, if pgsteer can see it
  Duration connect_timeout{2'000};        // to one node

  ClientTls tls = ClientTls::kPass;
  std::string tls_certificate;  // PEM chain; with kTerminate only
  std::string tls_key;          // PEM
  TlsVersion tls_min_version = TlsVersion::kTls12;
  std::string tls_client_ca;  // PEM
  ClientCertificate tls_client_certificate = ClientCertificate::kNone;
  std::string tls_crl;       // PEM: revoked client certificates; empty: none are looked up
  bool tls_required = true;  // refuse clients without TLS; not on Unix sockets
  std::string tls_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";  // of TLS 1.2, as OpenSSL writes them
  std::uint32_t tls_handshakes_per_client = 200;  // per client address and second; 0: no limit

  std::vector<Network> proxy_protocol_from;  // clients that send a PROXY header, v1 or v2
  ErrorDetail error_detail = ErrorDetail::kFull;
  bool client_in_application_name = false;  // append the client's address, if pgsteer can read it

  // Not in the file any more: no new clients; see with_leaving() in config/running.h.
  bool leaving = false;
};

// [node_tls]: pgsteer's own TLS towards PostgreSQL, for listeners that terminate the client's.
struct NodeTlsConfig {
  NodeTls mode = NodeTls::kOff;
  std::string ca;           // PEM; required for verify-ca and verify-full
  std::string certificate;  // PEM
  std::string key;          // PEM
};

// [health]
struct HealthConfig {
  Duration interval{1'000};          // between two checks of a node in the steady state
  Duration hunt_interval{100};       // the same while the state of a node is in doubt
  Duration timeout{2'000};           // one check: connect, request and complete reply
  Duration clock_margin{1'000};      // subtracted from the fence deadline, for clock differences
  Duration identity_settle{30'000};  // how long all nodes in sight must show a new identifier
  std::string ca;                    // PEM, for https; empty: the system's CAs
  bool verify = true;                // false: accept any certificate of the REST API
  std::string certificate;           // PEM client certificate
  std::string key;                   // PEM
  std::string user;                  // for basic authentication
  Secret password;
  std::string password_file;  // instead of password: its first line is the password
};

// [stats]
struct StatsConfig {
  std::vector<BindAddress> bind;  // empty: no page and no metrics
  unsigned threads = 4;
  // The session table names clients, users and databases. kLoopback: on a loopback `bind` only.
  ShowSessions show_sessions = ShowSessions::kLoopback;
  // Names of this machine in requests, beside its addresses, localhost and its host name. "*": any.
  std::vector<std::string> hosts;
};

// [server]
struct ServerConfig {
  unsigned workers = 0;                          // 0: one per core
  Duration shutdown_timeout{30'000};             // how long sessions may continue after SIGTERM
  Duration shutdown_timeout_unreadable{30'000};  // the same for passed TLS, which hides idleness
  Duration shutdown_silence_unreadable{2'000};   // those count as idle after this; 0: never
  Duration keepalive_idle{30'000};               // idle time before the first TCP keepalive probe
  Duration keepalive_interval{10'000};
  unsigned keepalive_probes = 3;
  Duration user_timeout{60'000};  // how long a peer that was sent something may stay silent; 0: off
};

// [log]
struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  bool sessions = true;  // one line for the end of each session
};

// The data plane uses one bit per node in a 64-bit integer. Both count for all clusters together.
inline constexpr std::size_t kMaxNodes = 64;
inline constexpr std::size_t kMaxListeners = 64;
inline constexpr std::size_t kMaxClusters = 16;
// Connections to each address of the page, shared out among its threads. Above
// HttpLimits::connections: the difference is for those whose end has been asked for and has not
// come yet.
inline constexpr unsigned kStatsConnections = 128;

struct Config {
  // 1 to kMaxClusters. A file without [[cluster]] has one without a name.
  std::vector<ClusterConfig> clusters{ClusterConfig{}};
  std::vector<NodeConfig> nodes;     // 1 to kMaxNodes
  std::vector<ListenConfig> listen;  // 1 to kMaxListeners
  NodeTlsConfig node_tls;
  HealthConfig health;
  StatsConfig stats;
  ServerConfig server;
  LogConfig log;
};

// The name of each enumerator in the config, the log and metric labels.
const char* to_string(Target);
const char* to_string(Balance);
const char* to_string(WhenNoNode);
const char* to_string(ClientTls);
const char* to_string(ClientCertificate);
const char* to_string(NodeTls);
const char* to_string(TlsVersion);
const char* to_string(ErrorDetail);
const char* to_string(LogFormat);
const char* to_string(LogLevel);

}  // namespace pgsteer
