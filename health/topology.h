// Where sessions of one cluster may go: the one immutable value that its checker thread publishes
// and the workers act on. It is absolute, never a delta: a worker that receives generation N needs
// no older one. judge has decided everything; the proxy only looks up.
//
// judge counts the cluster's nodes and listeners as its configuration does. What the checker
// publishes has them at their slots of the process; what is vacant there, or of another cluster,
// takes no sessions.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "proxy/net/address.h"

namespace pgsteer {

// What one node means to one listener.
enum class Admission : std::uint8_t {
  kAdmit,  // new sessions may go there; live ones stay
  kDrain,  // no new sessions; live ones stay
  kCut,    // no new sessions; live ones end now
};

// Why. The word is the same in log, metric and page: see health/reason.h.
enum class Reason : std::uint8_t {
  kPrimary,        // has the lease and is writable
  kReplica,        // healthy replica
  kUnknown,        // no check has been answered yet
  kPromoting,      // has the lease, not writable yet
  kNotRunning,     // PostgreSQL is starting, stopping, crashed or stopped
  kStandbyLeader,  // leads a standby cluster: read-only
  kNotPrimary,     // a replica, on a listener that routes to the primary
  kIsPrimary,      // the primary, on a listener that routes to replicas
  kLostRole,       // was the primary and is proven not to be
  kSuperseded,     // another node leads on a higher timeline
  kStaleTimeline,  // claims to lead on a timeline below the highest in sight
  kForeign,        // belongs to another cluster
  kSilent,         // its REST API hangs, is late, or shows no lease while PostgreSQL takes writes
  kOrphaned,       // its Patroni is gone; it is still believed
  kMaintenance,    // REST silent while the cluster is paused
  kWitnessed,      // REST hung; another member read in the store that it is the leader
  kFenced,         // another node may have the lease by now
  kDown,           // neither REST nor PostgreSQL answers
  kUnresolved,     // its name does not resolve
  kLagging,        // replays too far behind
  kNotStreaming,   // not connected to the primary
  kNoLoadBalance,  // tagged noloadbalance
  kTagMismatch,    // lacks the tags that the listener requires
  kNotSync,        // not a synchronous standby
  kNotQuorum,      // not a quorum standby
  kNotAsync,       // a synchronous or quorum standby
  kPromoted,       // was a replica and is now the primary: its reads drain
  kFallback,       // the primary, serving reads because no replica can
  kStandIn,        // the primary, not needed for reads because a replica is there
  kDegraded,       // Patroni answers, but its own query of PostgreSQL fails
  kTrial,          // one member read in the store that it is the leader; a login has to confirm it
  kRemoved,        // is no longer in the configuration file
  kUncheckable,    // no REST API can be asked, for a cause that is the same everywhere
};

// One node as one listener sees it.
struct Verdict {
  Admission admission = Admission::kDrain;
  Reason reason = Reason::kUnknown;
  std::string why;  // one sentence for a person, with the figures
};

// Does PostgreSQL on the node take TLS? The checker finds out with its own SSLRequest.
enum class TlsAnswer : std::uint8_t { kUnknown, kYes, kNo };

struct NodeRoute {
  std::string name;
  std::vector<Address> addresses;  // in order of preference; empty: does not resolve
  TlsAnswer tls = TlsAnswer::kUnknown;
  unsigned weight = 1;
};

// One listener's view: by_node has one entry per node.
struct Pool {
  Target to = Target::kPrimary;  // the rule that it was judged by
  std::vector<Verdict> by_node;
};

struct Topology {
  std::size_t cluster = 0;       // its slot
  std::uint64_t generation = 0;  // of this cluster's topologies
  std::vector<NodeRoute> nodes;
  std::vector<Pool> pools;             // one per listener
  std::optional<std::size_t> primary;  // index into nodes
  // The primary's timeline. A session that a primary listener bound on another timeline of the same
  // node ends: between the two the node was not the primary.
  std::uint32_t timeline = 0;
  bool first_round_done = false;  // false: nothing is known yet
  std::string no_primary_why;     // one sentence for the client's ErrorResponse and the page
  // Until when this may be believed without a newer publication, with or without a primary. The
  // checker publishes the same generation again, with a later time and current sentences, about
  // once a second; if it stalls, the workers act on expired(topology) from this moment on. Empty:
  // no limit; only expired() and tests leave it so.
  std::optional<std::chrono::steady_clock::time_point> valid_until;
};

using TopologyPtr = std::shared_ptr<const Topology>;

// What a worker saw that makes the checker check again at once. It is a hint only: judge decides.
enum class SuspicionKind : std::uint8_t {
  kConnectRefused,
  kConnectTimedOut,
  kServerEnded,   // the server ended sessions that nobody asked to end
  kShuttingDown,  // its first answer was 57P01 or 57P03
  kInHotStandby,  // ParameterStatus in_hot_standby=on on a session of a primary listener
};

struct Suspicion {
  std::size_t node = 0;  // index into Topology::nodes
  SuspicionKind kind = SuspicionKind::kServerEnded;
};

const char* to_string(SuspicionKind);

// What a worker did about a generation of one cluster, for the failover record. Counts since its
// last report.
struct WorkerReport {
  std::size_t cluster = 0;  // its slot
  std::uint64_t generation = 0;
  std::chrono::steady_clock::time_point at{};
  std::uint64_t cut = 0;       // sessions that the generation ended
  std::uint64_t cut_told = 0;  // of those, with an ErrorResponse
  std::uint64_t held = 0;      // waiting clients released to a node
  std::chrono::milliseconds held_longest{0};
  bool first_primary_session = false;  // the first session of a primary listener on that node
  // Sessions of primary listeners that their server ended, which nobody had asked for, and the
  // moment of the first of these.
  std::uint64_t server_ended = 0;
  std::optional<std::chrono::steady_clock::time_point> first_server_ended;
};

}  // namespace pgsteer
