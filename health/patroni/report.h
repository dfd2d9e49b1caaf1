// What one check of a node found, and the parsers of Patroni's replies: pure, no I/O. Every field
// is checked: it may be missing, null or of the wrong type, and the peer may not be Patroni at all.
// Replies of Patroni 3.0 to 4.1 are understood.
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
  kRefused,      // no process listens on the port
  kUnreachable,  // no connection within the deadline, or no route
  kSilent,       // the connection was accepted, but no complete reply came within the deadline
  kEmpty,        // closed without a byte: a request handler of Patroni failed
  kMalformed,    // not a reply of Patroni
  kTlsFailed,
  kUnresolved,  // the name of the REST API does not resolve
  kLocalFault,  // pgsteer itself could not ask, out of descriptors or memory: says nothing of the
                // node
};

enum class Role : std::uint8_t {
  kUnknown,
  kPrimary,  // "master" up to Patroni 3.x, "primary" from 4.0
  kReplica,
  kStandbyLeader,
  kPromoted,  // roles from Patroni's memory, shown when its query did not run
  kDemoted,
  kUninitialized,
};

// PostgreSQL as Patroni sees it.
enum class State : std::uint8_t {
  kRunning,
  kUnknown,  // believed to be running, but Patroni's query of it failed
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
  bool lease = false;  // GET /leader returned 200: this node believes that it has the leader lease

  Role role = Role::kUnknown;
  State state = State::kOther;
  std::string state_word;
  std::uint32_t timeline = 0;             // 0: not reported
  std::optional<std::uint64_t> location;  // present only if writable at that moment
  std::optional<std::uint64_t> replayed;  // present only in recovery
  std::optional<std::uint64_t> received;
  std::string replication_state;         // "streaming", "in archive recovery" or nothing
  bool tells_replication_state = false;  // Patroni 3.1.0 and later
  bool sync = false;                     // synchronous standby
  bool quorum = false;                   // quorum standby, from 4.0
  bool cluster_unlocked = false;         // no leader key, or the store is out of reach
  bool failsafe = false;                 // the leader called it within ttl, or it leads by consent
  bool pause = false;
  bool noloadbalance = false;
  bool nofailover = false;
  std::map<std::string, std::string> tags;  // booleans as "true" and "false"
  std::string system_identifier;
  std::string patroni_version;
  std::string patroni_name;  // from 3.2.0
  std::string scope;
  std::string server_version;                 // "15.4"
  std::optional<std::int64_t> dcs_last_seen;  // epoch seconds, that node's clock
  std::optional<std::int64_t> date;           // when it replied: epoch seconds, the same clock

  // A 200 of a paused cluster whose Patroni has lost the store: it stands for the role alone, and
  // several nodes may answer so (api.py, do_GET). Also a lease that has just run out.
  bool by_role() const { return lease && pause && cluster_unlocked; }
  bool answered() const { return outcome == Outcome::kAnswered; }
  // Patroni's query ran outside recovery: PostgreSQL took writes at that moment.
  bool writable() const { return answered() && location.has_value() && role == Role::kPrimary; }
  // The lease and a write position: both are needed to be the primary.
  bool leads() const { return lease && writable(); }
  bool in_recovery() const { return answered() && replayed.has_value() && !location; }
  // Patroni believes that PostgreSQL runs, but its query failed or the reply lacks the results.
  bool incomplete() const;
};

// Parses a reply to GET /leader. `date` is the value of the Date header, or empty.
Report parse_report(int status, std::string_view body, std::string_view date);

// A check without a reply.
Report failed_report(Outcome outcome, std::string detail);

// Seconds since the epoch of an RFC 7231 date such as "Tue, 15 Nov 1994 08:12:31 GMT".
std::optional<std::int64_t> parse_http_date(std::string_view text);

// GET /config: the dynamic configuration. Settings that are not in it have Patroni's defaults.
struct DcsTimes {
  std::chrono::milliseconds ttl{30'000};
  std::chrono::milliseconds loop_wait{10'000};
  std::chrono::milliseconds retry_timeout{10'000};
  friend bool operator==(const DcsTimes&, const DcsTimes&) = default;
};
std::optional<DcsTimes> parse_config_reply(int status, std::string_view body);

// GET /cluster: the content of the distributed store, which the member reads at that moment.
struct ClusterMember {
  std::string name;
  std::string role;
  std::string api_url;
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t timeline = 0;  // as the member itself last wrote it; 0: unknown
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
