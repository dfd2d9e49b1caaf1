// What one probe of a node learnt, and how to read Patroni's replies: pure, no I/O. Nothing in a
// reply is believed before it is checked: fields may be missing, null or of the wrong type, and the
// peer may not be Patroni at all. Bodies of Patroni 3.0 to 4.1 are understood.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

// How a probe ended. Only kAnswered carries facts about the node.
enum class Outcome : std::uint8_t {
  kAnswered,
  kRefused,      // nobody listens
  kUnreachable,  // no connection within the deadline, or no route
  kSilent,       // the connection was accepted and no whole reply came within the deadline
  kEmpty,        // closed without a byte: a handler of Patroni that failed
  kMalformed,    // not a reply of Patroni
  kTlsFailed,
  kUnresolved,  // the name of the REST API does not resolve
};

enum class Role : std::uint8_t {
  kUnknown,
  kPrimary,  // "master" up to Patroni 3.x, "primary" from 4.0
  kReplica,
  kStandbyLeader,
  kPromoted,  // in-memory roles, shown when the health query did not run
  kDemoted,
  kUninitialized,
};

// PostgreSQL as Patroni sees it.
enum class State : std::uint8_t {
  kRunning,
  kUnknown,  // believed to be running, but the health query failed
  kStarting,
  kStopping,
  kRestarting,
  kStopped,  // or could not be started
  kCrashed,
  kBootstrap,  // being created
  kOther,
};

struct Report {
  Outcome outcome = Outcome::kMalformed;
  std::string detail;  // for a person: "200", "connection refused", "no reply within 2 s"
  int status = 0;
  bool lease = false;  // GET /leader said 200: this node believes that it holds the leader lease

  Role role = Role::kUnknown;
  State state = State::kOther;
  std::string state_word;
  std::uint32_t timeline = 0;             // 0: not told
  std::optional<std::uint64_t> location;  // present only if writable at that moment
  std::optional<std::uint64_t> replayed;  // present only in recovery
  std::optional<std::uint64_t> received;
  std::string replication_state;         // "streaming", "in archive recovery" or nothing
  bool tells_replication_state = false;  // Patroni 3.1.0 and later
  bool sync = false;                     // synchronous or quorum standby
  bool cluster_unlocked = false;         // no leader key, or the store is out of reach
  bool failsafe = false;
  bool pause = false;
  bool noloadbalance = false;
  std::map<std::string, std::string> tags;  // booleans as "true" and "false"
  std::string system_identifier;
  std::string patroni_version;
  std::string patroni_name;  // from 3.2.0
  std::string scope;
  std::string server_version;                 // "15.4"
  std::optional<std::int64_t> dcs_last_seen;  // epoch seconds, that node's clock
  std::optional<std::int64_t> date;           // when it replied: epoch seconds, the same clock

  bool answered() const { return outcome == Outcome::kAnswered; }
  // The health query ran outside recovery: PostgreSQL took writes at that moment.
  bool writable() const { return answered() && location.has_value() && role == Role::kPrimary; }
  // The lease and a write position: what a listener for the primary needs.
  bool leads() const { return lease && writable(); }
  bool in_recovery() const { return answered() && replayed.has_value() && !location; }
  // Patroni believes that PostgreSQL runs, but its query failed or the reply lacks the results.
  bool incomplete() const;
};

// Reads a reply to GET /leader. `date` is the value of the Date header, empty if there was none.
Report parse_report(int status, std::string_view body, std::string_view date);

// A probe that brought no reply.
Report failed_report(Outcome outcome, std::string detail);

// Seconds since the epoch of an RFC 7231 date such as "Tue, 15 Nov 1994 08:12:31 GMT".
std::optional<std::int64_t> parse_http_date(std::string_view text);

// GET /config: the dynamic configuration. What is not set there has Patroni's default.
struct DcsTimes {
  std::chrono::milliseconds ttl{30'000};
  std::chrono::milliseconds loop_wait{10'000};
  std::chrono::milliseconds retry_timeout{10'000};
  bool failsafe_mode = false;
  bool synchronous_mode = false;
  bool standby_cluster = false;
  std::uint64_t maximum_lag_on_failover = 1'048'576;  // bytes
  friend bool operator==(const DcsTimes&, const DcsTimes&) = default;
};
std::optional<DcsTimes> parse_config_reply(int status, std::string_view body);

// GET /cluster: what the distributed store says, read at that moment by the member asked.
struct ClusterMember {
  std::string name;
  std::string role;
  std::string api_url;
  std::string host;
  std::uint16_t port = 0;
  bool leader = false;
};
struct ClusterReport {
  std::vector<ClusterMember> members;
  std::optional<ClusterMember> leader;
  bool pause = false;
};
std::optional<ClusterReport> parse_cluster_reply(int status, std::string_view body);

const char* to_string(Outcome);
const char* to_string(Role);

}  // namespace pgsteer
