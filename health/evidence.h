// The questions that judge asks and the facts that come back. Whoever carries out a Request (the
// REST client, the port check, the resolver, a test) hands back one Evidence for it. Plain values;
// any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "health/database_answer.h"
#include "health/patroni/report.h"
#include "health/topology.h"

namespace pgsteer {

using Instant = std::chrono::steady_clock::time_point;

// A question about one node. The first three go to its REST API, one at a time; the others go to
// PostgreSQL's port.
enum class ProbeKind : std::uint8_t {
  kLeader,    // GET /leader
  kConfig,    // GET /config
  kCluster,   // GET /cluster: whom does the distributed store name as the leader?
  kDatabase,  // does PostgreSQL's port answer?
  kTls,       // SSLRequest to PostgreSQL's port
};

struct Request {
  std::size_t node = 0;
  ProbeKind kind = ProbeKind::kLeader;
  friend bool operator==(const Request&, const Request&) = default;
};

// The result of a request. `sent` is when it began, `received` when it ended.
struct LeaderEvidence {
  std::size_t node = 0;
  Instant sent, received;
  Report report;
};
struct ConfigEvidence {
  std::size_t node = 0;
  Instant sent, received;
  std::optional<DcsTimes> times;  // empty: the request failed
};
struct ClusterEvidence {
  std::size_t node = 0;
  Instant sent, received;
  std::optional<ClusterReport> report;  // empty: the request failed
  std::string failure = {};             // why, for a person
};
struct DatabaseEvidence {
  std::size_t node = 0;
  Instant sent, received;
  DatabaseAnswer answer = DatabaseAnswer::kUnknown;  // kUnknown: see local_fault
  std::string local_fault = {};                      // why pgsteer could not ask; empty: it could
};
struct TlsEvidence {
  std::size_t node = 0;
  TlsAnswer answer = TlsAnswer::kUnknown;
};
// Without a request: names are resolved again and again. Empty: the name does not resolve now.
struct AddressEvidence {
  std::size_t node = 0;
  std::vector<Address> addresses;
};
// Without a request: a session met trouble at a node.
struct SuspicionEvidence {
  Suspicion suspicion;
};
// Without a request: a session of a primary listener logged in and found in_hot_standby = off.
struct WritableEvidence {
  std::size_t node = 0;
};
using Evidence = std::variant<LeaderEvidence, ConfigEvidence, ClusterEvidence, DatabaseEvidence,
                              TlsEvidence, AddressEvidence, SuspicionEvidence, WritableEvidence>;

}  // namespace pgsteer
