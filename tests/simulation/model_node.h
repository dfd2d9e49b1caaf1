// The parts of the model: a node with its host, Patroni and PostgreSQL, a Patroni cluster (scope)
// with its store, and the network between all of them. Plain values; ModelCluster owns them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "health/evidence.h"
#include "tests/simulation/dice.h"

namespace pgsteer {

enum class Process : std::uint8_t { kPatroni, kPostgres };
enum class PatroniLife : std::uint8_t { kRunning, kSuspended, kShuttingDown, kDead };
enum class PostgresLife : std::uint8_t { kRunning, kStarting, kStopping, kStopped, kCrashed };
enum class RestMode : std::uint8_t {
  kPrompt,
  kSlow,
  kHung,         // accepts and never answers, while the loop goes on
  kBacklogFull,  // accepts nothing: the kernel drops connects
  kRefusing,
  kEmpty,
  kGarbage,
  kQueryFails,  // answers, but its query of PostgreSQL fails
};

// What Patroni's version changes in its replies.
enum class PatroniVersion : std::uint8_t {
  k3_0,  // "master"; no name, no replication_state
  k3_1,  // replication_state
  k3_3,  // the name
  k4_0,  // "primary", quorum_standby
};

// The dynamic configuration.
struct ModelTimes : DcsTimes {
  bool failsafe_mode = false;
  friend bool operator==(const ModelTimes&, const ModelTimes&) = default;
};

struct ModelNode {
  std::size_t scope = 0;

  // The host.
  bool on = true;
  bool frozen = false;
  bool clock_freezes = false;  // a frozen VM whose clock stood still
  Instant frozen_since{};
  Span clock{};    // wall clock less the true one
  Span stepped{};  // largest step of late, either way
  Instant stepped_at{};
  unsigned address = 0;  // which of its addresses it has now

  // Patroni.
  PatroniVersion version = PatroniVersion::k3_0;
  PatroniLife patroni = PatroniLife::kRunning;
  RestMode rest = RestMode::kPrompt;
  unsigned tls_faults = 0;      // its REST API cannot complete a TLS handshake
  unsigned lies = 0;            // its GET /cluster lists who is no member
  unsigned unanswered = 0;      // connections that the kernel accepted and nobody serves
  Instant lease_until{};        // by its own wall clock
  bool store_known = false;     // its last read of the store succeeded
  Instant store_read{};         // when it last read it
  std::int64_t store_seen = 0;  // the same as it shows it
  Instant read_shown{};         // the same, as of the reply in flight
  bool unlocked_view = true;    // no leader key at that read
  bool paused_view = false;
  ModelTimes times;          // the dynamic configuration, as of its last read
  Instant failsafe_until{};  // shows failsafe_mode_is_active until then, by its own wall clock
  Instant consent_until{};   // it has promised not to promote
  Role memory_role = Role::kReplica;
  bool busy = false;  // in the middle of a loop, or of stopping PostgreSQL
  unsigned loop_serial = 0;
  Instant loop_began{};

  // PostgreSQL.
  PostgresLife postgres = PostgresLife::kRunning;
  unsigned postmaster_hangs = 0;  // accepts connections and answers none
  bool tls = false;
  bool recovery = true;
  std::uint32_t timeline = 1;
  bool stuck = false;          // its history left the leader's, and it cannot be rewound
  std::uint64_t position = 0;  // at position_at; grows while it is primary
  Instant position_at{};
  std::uint64_t behind = 0;  // bytes that it replays behind its upstream
  std::optional<std::size_t> upstream;
  std::string system_identifier;
  bool strange = false;  // has, or is about to get, another cluster's data

  // Tags.
  std::optional<std::string> noloadbalance;  // as JSON
  bool nofailover = false;
  bool archive_only = false;                 // nostream
  std::optional<std::size_t> replicatefrom;  // cascading replication
  std::string region;                        // a tag of the user's; empty: none

  // Events of a process that died are void; those of one that stands still wait.
  std::array<unsigned, 2> epoch{};
  std::vector<std::function<void()>> waiting;

  bool writable() const { return on && postgres == PostgresLife::kRunning && !recovery; }
};

struct ModelStore {
  bool up = true;
  Instant up_since{};
  std::optional<std::size_t> leader;  // whom the leader key names
  Instant expires{};
  unsigned version = 0;  // of the key
  bool pause = false;
  std::optional<std::size_t> last_leader;
  std::vector<std::size_t> sync;  // the members of /sync
};

enum class SyncMode : std::uint8_t { kOff, kSync, kQuorum };

// A Patroni cluster: the nodes of one scope share a store.
struct ModelScope {
  std::string name;
  std::string identifier;
  ModelStore store;
  ModelTimes times;
  SyncMode sync = SyncMode::kOff;
  bool standby = false;       // follows another cluster, and is read-only
  bool can_rewind = true;     // pg_rewind brings a diverged node back
  bool duplicates = false;    // promotions may open the same timeline twice
  bool overruns = false;      // loops may take long, and the renewal within them
  bool spells_times = false;  // /config has numbers as text
  std::uint32_t highest_timeline = 1;
};

// Faults that drop packets, counted for each way. A way from A to B is about connections that A
// begins. `rest` and `sql` are Patroni's port and PostgreSQL's.
struct ModelNetwork {
  struct Way {
    unsigned rest = 0, sql = 0;
  };
  // What the name of a node resolves to; empty while there are failures.
  struct Name {
    unsigned address = 0;
    bool second = false;  // another address follows, where nothing listens
    unsigned failures = 0, slow = 0;
  };
  ModelNetwork(std::size_t proxies, std::size_t nodes)
      : proxy(proxies, std::vector<Way>(nodes)),
        peer(nodes, std::vector<Way>(nodes)),
        store(nodes),
        names(nodes) {}

  std::vector<std::vector<Way>> proxy;  // [pgsteer][node]
  std::vector<std::vector<Way>> peer;   // [node][node]
  std::vector<unsigned> store;          // [node]
  std::vector<Name> names;              // [node]
};

}  // namespace pgsteer
