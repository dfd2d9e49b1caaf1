// A model of a Patroni cluster: hosts, PostgreSQL, Patroni's loop, the distributed store with its
// leader key, clocks and networks, all in virtual time. It knows the truth that pgsteer can only
// infer, and answers pgsteer's requests as a real cluster would. One owner, one thread.
//
// The model follows Patroni 3.0.2 (ha.py, api.py, dcs/__init__.py). It assumes:
//
// clang-format off
//  - A loop runs every loop_wait, and at once when the leader key disappears. It reads the store, and
//    the leader renews its key within 30 ms of the read. A kill may come between the two.
//  - Patroni believes in its lease until the wall clock of the renewal + ttl, whatever the store
//    holds; GET /leader returns 200 exactly as long. A clock that steps back prolongs that.
//  - A read of the store fails within retry_timeout. Then the leader stops PostgreSQL unless the
//    cluster is paused or, in failsafe mode, every member consents. A member that consents does not
//    promote for ttl.
//  - No node promotes while the cluster is paused, or while it sees another writable node whose
//    Patroni answers. A promotion opens a timeline above all earlier ones.
//  - The key disappears after its ttl, or a leader whose PostgreSQL has shut down deletes it. One
//    exception, seen with etcd 3.4: an old leader that thaws takes the key although another node
//    has it ("theft").
// clang-format on
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/agenda.h"

namespace pgsteer {

enum class Process : std::uint8_t { kPatroni, kPostgres };
enum class PatroniLife : std::uint8_t { kRunning, kSuspended, kShuttingDown, kDead };
enum class PostgresLife : std::uint8_t { kRunning, kStarting, kStopping, kStopped, kCrashed };
enum class RestMode : std::uint8_t {
  kPrompt,
  kSlow,
  kHung,  // accepts and never answers, while the loop goes on
  kRefusing,
  kEmpty,
  kGarbage,
  kQueryFails,  // answers, but its query of PostgreSQL fails
};

struct ModelNode {
  // The host.
  bool on = true;
  bool frozen = false;
  bool clock_freezes = false;  // a frozen VM whose clock stood still
  Instant frozen_since{};
  bool reaches_pgsteer = true, reaches_store = true, reaches_peers = true;
  Span clock{};    // wall clock less the true one
  Span stepped{};  // largest step of late, either way
  Instant stepped_at{};

  // Patroni.
  PatroniLife patroni = PatroniLife::kRunning;
  RestMode rest = RestMode::kPrompt;
  Instant lease_until{};        // by its own wall clock
  bool store_known = false;     // its view of the store is not None
  Instant store_read{};         // when it last read it
  std::int64_t store_seen = 0;  // the same as it shows it
  Instant read_shown{};         // the same, as of the reply in flight
  bool paused_view = false;
  bool failsafe = false;    // it leads by consent
  Instant consent_until{};  // it has promised not to promote
  Role memory_role = Role::kReplica;
  bool busy = false;  // in the middle of a loop, or of stopping PostgreSQL
  unsigned loop_serial = 0;
  Instant loop_began{};

  // PostgreSQL.
  PostgresLife postgres = PostgresLife::kRunning;
  bool recovery = true;
  std::uint32_t timeline = 1;
  std::uint64_t position = 0;  // at position_at; grows while it is primary
  Instant position_at{};
  std::uint64_t behind = 0;  // bytes that it replays behind its upstream
  std::optional<std::size_t> upstream;
  std::string system_identifier;
  bool noloadbalance = false;

  // Events of a process that died are void; those of one that stands still wait.
  std::array<unsigned, 2> epoch{};
  std::vector<std::function<void()>> waiting;

  bool writable() const { return on && postgres == PostgresLife::kRunning && !recovery; }
};

struct ModelStore {
  bool up = true;
  std::optional<std::size_t> leader;  // whom the leader key names
  Instant expires{};
  unsigned version = 0;  // of the key
  bool pause = false;
  std::optional<std::size_t> last_leader;
};

inline constexpr const char* kIdentifier = "7001";

struct ModelSettings {
  std::size_t nodes = 3;
  DcsTimes times;
  bool modern = false;         // Patroni 3.3: tells its name and the state of replication
  std::uint64_t wal_rate = 0;  // bytes per second
};

class ModelCluster {
 public:
  ModelCluster(const ModelSettings& settings, Agenda& agenda, Dice& dice);
  ModelCluster(const ModelCluster&) = delete;
  ModelCluster& operator=(const ModelCluster&) = delete;

  // Set by the driver: PostgreSQL on the node has ended all of its sessions.
  std::function<void(std::size_t node, bool host_died)> sessions_end;
  std::function<void(const std::string&)> trace;  // empty: nobody listens

  // The truth.
  bool leased(std::size_t i) const;  // nobody else can have the lease
  bool rightful(std::size_t i) const { return nodes[i].writable() && leased(i); }
  bool shows_lease(std::size_t i) const;  // what GET /leader would say now
  bool prompt(std::size_t i) const;       // pgsteer gets whole, honest answers quickly
  bool shows_write(std::size_t i) const { return nodes[i].writable(); }
  bool streams(std::size_t i) const;
  bool foreign(std::size_t i) const { return nodes[i].system_identifier != kIdentifier; }
  std::uint64_t position(std::size_t i) const;
  // By how much the node's clock has been set since twice the ttl before `then`.
  Span stepped_since(std::size_t i, Instant then) const;
  Instant wall(std::size_t i) const { return agenda_.now() + nodes[i].clock; }

  // What pgsteer meets (model_rest.cc).
  void ask(std::size_t i, ProbeKind what, Span timeout, std::function<void(Evidence)> deliver);
  enum class Connect : std::uint8_t { kAccepted, kTurnedAway, kRefused, kTimedOut };
  Connect connect(std::size_t i) const;

  // Faults and the operator (model_faults.cc).
  void kill_patroni(std::size_t i);
  void start_patroni(std::size_t i);
  void suspend_patroni(std::size_t i, bool yes);
  void stop_patroni(std::size_t i);  // politely: PostgreSQL too, unless paused
  void crash_postgres(std::size_t i);
  void restart_postgres(std::size_t i);
  void power_off(std::size_t i);
  void power_on(std::size_t i);
  void freeze(std::size_t i, bool clock_freezes);
  void thaw(std::size_t i, bool theft);
  void step_clock(std::size_t i, Span by);
  void set_store(bool up);
  void set_pause(bool yes);
  void switchover();
  void reinitialise(std::size_t i, bool foreign);

  ModelSettings settings;
  std::vector<ModelNode> nodes;
  ModelStore store;
  std::vector<Instant> promised;  // until when the key of each node was good, unless stolen
  Instant paused_until{};         // when the operator resumed
  std::uint64_t promotions = 0;

 private:
  // model_patroni.cc: the loop.
  void wake_patroni(std::size_t i, Span delay);
  void loop(std::size_t i);
  void read_store(std::size_t i);
  void store_failed(std::size_t i);
  void end_loop(std::size_t i);
  void renew(std::size_t i);
  void act_as_leader(std::size_t i);
  void act_as_follower(std::size_t i);
  void act_without_leader(std::size_t i);
  bool healthiest(std::size_t i) const;
  bool members_consent(std::size_t i);
  void take_key(std::size_t i);
  void drop_key();
  void watch_expiry();
  void promote(std::size_t i);

  // model_postgres.cc
  void stop_postgres(std::size_t i, Span takes, std::function<void()> then);
  void start_postgres(std::size_t i, bool as_primary, Span takes);
  void settle_position(std::size_t i);
  void end_sessions(std::size_t i, bool host_died);

  void rebuilt(std::size_t i, bool foreign_now);

  bool stands(std::size_t i, Process p) const;  // cannot act now, will later
  void later(std::size_t i, Process p, Span delay, std::function<void()> what);
  void run_waiting(std::size_t i);
  // `what`, done by the Patroni that lives now: not at all if it has died meanwhile.
  std::function<void()> by_patroni(std::size_t i, std::function<void()> what);
  bool reaches_store(std::size_t i) const { return store.up && nodes[i].reaches_store; }
  bool loops(std::size_t i) const;
  void die(std::size_t i, Process p) { ++nodes[i].epoch[static_cast<std::size_t>(p)]; }
  void say(std::size_t i, const char* what) const;

  Report report(std::size_t i) const;
  Evidence answer(std::size_t i, ProbeKind what, Instant sent);
  Evidence failure(std::size_t i, ProbeKind what, Instant sent, Outcome outcome);

  Agenda& agenda_;
  Dice& dice_;
  std::uint32_t highest_timeline_ = 1;
};

inline std::string model_name(std::size_t i) { return "pg-" + std::to_string(i + 1); }

}  // namespace pgsteer
