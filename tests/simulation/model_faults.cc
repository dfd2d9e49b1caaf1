// Faults of processes, hosts and clocks. Patroni's loop can recover from the state after each of
// them.
#include <algorithm>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void ModelCluster::kill_patroni(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.on || n.frozen || n.patroni == PatroniLife::kDead) return;
  say(i, "Patroni is killed");
  die(i, Process::kPatroni);
  n.patroni = PatroniLife::kDead;
  n.busy = false;
}

// A new process has no lease and no view of the store. It reads its configuration from the store
// before it opens its REST API, and retries every 5 s. With data of another cluster it ends.
void ModelCluster::start_patroni(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.on || n.frozen || n.patroni != PatroniLife::kDead) return;
  if (n.system_identifier != scope(i).identifier) return;
  if (!reaches_store(i)) {
    agenda_.after(seconds(5), [this, i] { start_patroni(i); });
    return;
  }
  say(i, "Patroni starts");
  die(i, Process::kPatroni);
  n.patroni = PatroniLife::kRunning;
  n.unanswered = 0;
  n.lease_until = {};
  n.store_known = false;
  n.store_seen = 0;
  n.paused_view = false;
  n.unlocked_view = true;
  n.failsafe_until = {};
  n.consent_until = {};
  n.times = scope(i).times;
  n.busy = false;
  const bool runs = n.postgres == PostgresLife::kRunning;
  n.memory_role = runs && !n.recovery ? Role::kPrimary : Role::kReplica;
  wake_patroni(i, dice_.skewed(milliseconds(100), seconds(3)));
}

void ModelCluster::suspend_patroni(std::size_t i, bool yes) {
  ModelNode& n = nodes[i];
  if (yes && n.patroni == PatroniLife::kRunning && n.on) {
    say(i, "Patroni is suspended");
    n.patroni = PatroniLife::kSuspended;
  } else if (!yes && n.patroni == PatroniLife::kSuspended) {
    say(i, "Patroni goes on");
    n.patroni = PatroniLife::kRunning;
    n.unanswered = 0;
    if (!n.frozen) run_waiting(i);
  }
}

// systemctl stop: the REST API accepts connections and does not answer until PostgreSQL has shut
// down; then the key is deleted. In a paused cluster PostgreSQL and the key stay as they are.
void ModelCluster::stop_patroni(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.on || n.frozen || n.patroni != PatroniLife::kRunning) return;
  if (n.paused_view) return kill_patroni(i);
  say(i, "Patroni is stopped");
  die(i, Process::kPatroni);
  n.patroni = PatroniLife::kShuttingDown;
  n.unanswered = 0;
  n.busy = false;
  stop_postgres(i, dice_.skewed(milliseconds(100), seconds(10)), by_patroni(i, [this, i] {
                  if (store(i).leader == i && reaches_store(i)) drop_key(nodes[i].scope);
                  nodes[i].patroni = PatroniLife::kDead;
                  nodes[i].lease_until = {};
                }));
}

void ModelCluster::crash_postgres(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.on || n.frozen || n.postgres != PostgresLife::kRunning) return;
  say(i, "PostgreSQL crashes");
  settle_position(i);
  die(i, Process::kPostgres);
  n.postgres = PostgresLife::kCrashed;
  end_sessions(i, false);
}

void ModelCluster::restart_postgres(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!loops(i) || n.frozen || n.postgres != PostgresLife::kRunning) return;
  const bool primary = !n.recovery;
  stop_postgres(i, dice_.skewed(milliseconds(50), seconds(5)), by_patroni(i, [this, i, primary] {
                  if (dice_.chance(0.1)) nodes[i].tls = !nodes[i].tls;
                  start_postgres(i, primary, dice_.skewed(milliseconds(200), seconds(10)));
                }));
}

void ModelCluster::power_off(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.on) return;
  say(i, "loses power");
  settle_position(i);
  die(i, Process::kPatroni);
  die(i, Process::kPostgres);
  n.on = false;
  n.frozen = false;
  n.waiting.clear();
  n.patroni = PatroniLife::kDead;
  n.postgres = PostgresLife::kStopped;
  n.recovery = true;
  n.upstream.reset();
  end_sessions(i, true);
}

void ModelCluster::power_on(std::size_t i) {
  if (nodes[i].on) return;
  say(i, "has power again");
  nodes[i].on = true;
  start_patroni(i);
}

void ModelCluster::freeze(std::size_t i, bool clock_freezes) {
  ModelNode& n = nodes[i];
  if (!n.on || n.frozen) return;
  say(i, clock_freezes ? "freezes, clock and all" : "freezes");
  settle_position(i);
  n.frozen = true;
  n.clock_freezes = clock_freezes;
  n.frozen_since = agenda_.now();
}

void ModelCluster::thaw(std::size_t i, bool theft) {
  ModelNode& n = nodes[i];
  if (!n.on || !n.frozen) return;
  say(i, "thaws");
  n.frozen = false;
  settle_position(i);
  if (n.clock_freezes) step_clock(i, n.frozen_since - agenda_.now());
  if (theft && n.system_identifier == scope(i).identifier && n.writable() && reaches_store(i) &&
      store(i).leader != i && !n.paused_view && n.patroni == PatroniLife::kRunning) {
    say(i, "steals the leader key");
    die(i, Process::kPatroni);
    n.busy = false;
    take_key(i);
    wake_patroni(i, milliseconds(10));
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (k != i) wake_patroni(k, dice_.skewed(milliseconds(5), seconds(5)));
    }
  }
  if (n.patroni != PatroniLife::kSuspended) run_waiting(i);
}

void ModelCluster::step_clock(std::size_t i, Span by) {
  ModelNode& n = nodes[i];
  n.clock += by;
  if (by == Span(0)) return;
  n.stepped = stepped_since(i, agenda_.now()) + std::chrono::abs(by);
  n.stepped_at = agenda_.now();
}

}  // namespace pgsteer
