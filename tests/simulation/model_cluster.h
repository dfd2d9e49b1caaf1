// A model of Patroni clusters: hosts, PostgreSQL, Patroni's loop, the distributed store with its
// leader key, clocks and networks, all in virtual time. It knows the truth that pgsteer can only
// infer, and answers pgsteer's requests as a real cluster would. One owner, one thread.
//
// The model follows Patroni 3.0.2 (ha.py, api.py, dcs/__init__.py). It assumes:
//
// clang-format off
//  - A loop runs every loop_wait, and at once when the leader key disappears. It reads the store, and
//    the leader renews its key within 30 ms of the read, or within 25 s where loops overrun. A kill
//    may come between the two.
//  - Patroni believes in its lease until the wall clock of the renewal + ttl, whatever the store
//    holds; GET /leader returns 200 exactly as long. A clock that steps back prolongs that. Paused
//    and without the store, it returns 200 by the role of PostgreSQL alone.
//  - A read of the store fails within retry_timeout. Then the leader stops PostgreSQL unless the
//    cluster is paused or, in failsafe mode, every member consents. A member that consents shows it
//    and does not promote for ttl.
//  - No node promotes while the cluster is paused, except by hand, or while it sees another writable
//    node whose Patroni answers, or with the tag nofailover. A promotion opens a timeline above all
//    earlier ones, except where histories are not shared (ModelScope::duplicates).
//  - A member writes a key of its own in each loop; GET /cluster lists those that are not older than
//    the ttl. The time for which a store is down does not count.
//  - The leader key disappears after its ttl, or a leader whose PostgreSQL has shut down deletes it. One
//    exception, seen with etcd 3.4: an old leader that thaws takes the key although another node
//    has it ("theft").
// clang-format on
#pragma once

#include "tests/simulation/agenda.h"
#include "tests/simulation/model_node.h"

namespace pgsteer {

struct ModelSettings {
  std::size_t nodes = 3;      // of the cluster that pgsteer is for
  std::size_t beside = 0;     // nodes of a standby cluster in the same configuration
  std::size_t strangers = 0;  // nodes of another cluster, which an operator may list by mistake
  std::size_t spare = 0;      // of `nodes`: not in the configuration at the start
  bool discover = false;      // and found by those that are
  std::size_t proxies = 1;    // pgsteer instances in front of the cluster
  ModelTimes times;
  PatroniVersion version = PatroniVersion::k3_0;
  SyncMode sync = SyncMode::kOff;
  bool standby = false;  // the cluster is a standby cluster of one that pgsteer does not see
  bool can_rewind = true, duplicates = false, overruns = false, spells_times = false;
  std::uint64_t wal_rate = 0;  // bytes per second
};

// What comes back from a node's REST API.
struct ModelReply {
  Outcome outcome = Outcome::kAnswered;
  int status = 0;
  std::string body, date;
  Instant read_shown{};  // the true time of the read of the store that the body shows
};

class ModelCluster {
 public:
  ModelCluster(const ModelSettings& settings, Agenda& agenda, Dice& dice);
  ModelCluster(const ModelCluster&) = delete;
  ModelCluster& operator=(const ModelCluster&) = delete;

  // Set by the driver: PostgreSQL on the node has ended all of its sessions.
  std::function<void(std::size_t node, bool host_died)> sessions_end;
  std::function<void(const std::string&)> trace;  // empty: nobody listens

  // The truth (model_cluster.cc).
  ModelScope& scope(std::size_t i) { return scopes[nodes[i].scope]; }
  const ModelScope& scope(std::size_t i) const { return scopes[nodes[i].scope]; }
  ModelStore& store(std::size_t i) { return scope(i).store; }
  const ModelStore& store(std::size_t i) const { return scope(i).store; }
  bool leased(std::size_t i) const;  // nobody else can have the lease
  bool rightful(std::size_t i) const { return nodes[i].writable() && leased(i); }
  bool shows_lease(std::size_t i) const;  // what GET /leader would say now
  bool by_role(std::size_t i) const;      // that 200 would stand for the role alone
  bool shows_failsafe(std::size_t i) const { return nodes[i].failsafe_until > wall(i); }
  bool serves_rest(std::size_t i) const;  // whole, honest answers, quickly
  bool streams(std::size_t i, int depth = 0) const;
  bool replicates(std::size_t i) const { return streams(i) || restores(i); }
  // Belongs to another cluster than scope 0, as far as its data is concerned.
  bool foreign(std::size_t i) const {
    return nodes[i].scope != 0 || nodes[i].system_identifier != scopes[0].identifier;
  }
  // One of ModelSettings::strangers.
  bool is_outsider(std::size_t i) const { return i >= settings.nodes + settings.beside; }
  bool same_cluster(std::size_t i, std::size_t k) const {
    return nodes[i].scope == nodes[k].scope &&
           nodes[i].system_identifier == nodes[k].system_identifier;
  }
  std::uint64_t position(std::size_t i, int depth = 0) const;
  // By how much the node's clock has been set since twice the ttl before `then`.
  Span stepped_since(std::size_t i, Instant then) const;
  Instant wall(std::size_t i) const { return agenda_.now() + nodes[i].clock; }
  // Its key as a member is in the store, which drops it a ttl after it was written.
  bool is_member(std::size_t i) const;
  bool reaches_store(std::size_t i) const { return store(i).up && net.store[i] == 0; }

  // What pgsteer number `p` meets (model_rest.cc). `address` is the one that it knows.
  struct Route {
    std::size_t proxy = 0, node = 0;
    unsigned address = 0;
  };
  void ask(const Route& route, ProbeKind what, Span timeout,
           std::function<void(ModelReply)> deliver);
  enum class Connect : std::uint8_t { kAccepted, kTurnedAway, kRefused, kTimedOut, kHung };
  Connect connect(const Route& route) const;

  // Faults (model_faults.cc).
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
  void set_store(std::size_t scope, bool up);

  // The operator (model_operator.cc).
  void set_pause(bool yes);
  void switchover();
  void reinitialise(std::size_t i, bool foreign);
  void promote_by_hand(std::size_t i);
  void replace_cluster();  // pg_upgrade, or a new initdb: another system identifier everywhere
  void promote_standby_cluster(std::size_t scope);
  void change_times(const ModelTimes& times);

  ModelSettings settings;
  std::vector<ModelScope> scopes;
  std::vector<ModelNode> nodes;
  ModelNetwork net;
  std::vector<Instant> promised;  // until when the key of each node was good, unless stolen
  std::vector<Span> granted;      // the ttl with which it was last renewed
  std::uint64_t promotions = 0;

 private:
  // model_patroni.cc: the loop.
  void wake_patroni(std::size_t i, Span delay);
  void loop(std::size_t i);
  void read_store(std::size_t i, Instant until);
  void end_loop(std::size_t i);
  void renew(std::size_t i);
  void act_as_leader(std::size_t i);
  void act_as_follower(std::size_t i);
  void act_without_leader(std::size_t i);
  void follow(std::size_t i);
  void demote(std::size_t i, const char* why, Span stop, Span start);
  bool healthiest(std::size_t i) const;
  void choose_sync(std::size_t leader);
  void promote(std::size_t i);

  // model_store.cc: the leader key, and what happens without the store.
  void store_failed(std::size_t i);
  bool members_consent(std::size_t i);
  void take_key(std::size_t i);
  void drop_key(std::size_t scope);
  void watch_expiry(std::size_t scope);

  // model_postgres.cc
  void stop_postgres(std::size_t i, Span takes, std::function<void()> then);
  void start_postgres(std::size_t i, bool as_primary, Span takes);
  void settle_position(std::size_t i);
  void end_sessions(std::size_t i, bool host_died);
  void become_primary(std::size_t i, std::uint32_t timeline);
  std::uint32_t next_timeline(std::size_t i);
  std::uint64_t remote_position(std::size_t scope) const;
  bool restores(std::size_t i) const;

  void rebuilt(std::size_t i, bool foreign_now);
  bool peer_answers(std::size_t from, std::size_t to) const;

  bool stands(std::size_t i, Process p) const;  // cannot act now, will later
  void later(std::size_t i, Process p, Span delay, std::function<void()> what);
  void run_waiting(std::size_t i);
  // `what`, done by the Patroni that lives now: not at all if it has died meanwhile.
  std::function<void()> by_patroni(std::size_t i, std::function<void()> what);
  bool loops(std::size_t i) const;
  void die(std::size_t i, Process p) { ++nodes[i].epoch[static_cast<std::size_t>(p)]; }
  void say(std::size_t i, const char* what) const;

  // model_replies.cc: the bodies of Patroni's replies.
  ModelReply answer(std::size_t i, ProbeKind what);
  std::string leader_body(std::size_t i) const;
  std::string cluster_body(std::size_t i) const;

  Agenda& agenda_;
  Dice& dice_;
};

std::string model_name(std::size_t i);                       // "pg-1"
std::string model_address(std::size_t i, unsigned address);  // "10.0.0.1"

}  // namespace pgsteer
