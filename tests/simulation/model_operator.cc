// What an operator does to the clusters.
#include <algorithm>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void ModelCluster::set_pause(bool yes) {
  ModelScope& s = scopes[0];
  if (s.store.pause == yes || !s.store.up) return;
  if (trace) trace(yes ? "  the cluster is paused" : "  the cluster is resumed");
  s.store.pause = yes;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].scope == 0) wake_patroni(k, dice_.skewed(milliseconds(5), seconds(2)));
  }
}

// The leader stops PostgreSQL, keeps its key until that is done, and comes back as a replica.
void ModelCluster::switchover() {
  const ModelStore& s = scopes[0].store;
  if (!s.leader || !s.up) return;
  const std::size_t i = *s.leader;
  ModelNode& n = nodes[i];
  if (!loops(i) || n.frozen || !n.writable() || n.busy || n.paused_view) return;
  say(i, "hands over");
  n.busy = true;
  const Span takes = dice_.skewed(milliseconds(30), seconds(8));
  stop_postgres(i, takes, by_patroni(i, [this, i] {
                  if (store(i).leader == i && reaches_store(i)) drop_key(nodes[i].scope);
                  nodes[i].lease_until = {};
                  nodes[i].memory_role = Role::kDemoted;
                  nodes[i].busy = false;
                  start_postgres(i, false, dice_.between(seconds(2), seconds(6)));
                  wake_patroni(i, seconds(2));
                }));
}

// A replica is rebuilt from the leader, or by mistake as the leader of another cluster.
void ModelCluster::reinitialise(std::size_t i, bool foreign_now) {
  ModelNode& n = nodes[i];
  const bool dead = n.patroni == PatroniLife::kDead && n.system_identifier != scope(i).identifier;
  if (!n.on || n.frozen || store(i).leader == i) return;
  if (n.patroni != PatroniLife::kRunning && !dead) return;
  if (n.busy || (n.system_identifier == scope(i).identifier && n.writable())) return;
  say(i, foreign_now ? "is built anew, with another cluster's data" : "is built anew");
  n.busy = true;
  n.strange = foreign_now;
  if (dead) {
    n.patroni = PatroniLife::kRunning;
    n.unanswered = 0;
    n.memory_role = Role::kUninitialized;
    n.lease_until = {};
  }
  stop_postgres(i, milliseconds(200), by_patroni(i, [this, i, foreign_now] {
                  const Span takes = dice_.between(seconds(15), seconds(60));
                  later(i, Process::kPatroni, takes,
                        [this, i, foreign_now] { rebuilt(i, foreign_now); });
                }));
}

void ModelCluster::rebuilt(std::size_t i, bool foreign_now) {
  ModelNode& n = nodes[i];
  n.system_identifier = foreign_now ? "666" : scope(i).identifier;
  n.timeline = foreign_now ? scope(i).highest_timeline + 50 : 1;
  n.stuck = false;
  n.position = 0;
  n.store_known = true;
  n.store_read = agenda_.now();
  n.paused_view = n.paused_view && !foreign_now;
  n.lease_until = foreign_now ? wall(i) + std::chrono::hours(1'000) : Instant{};
  n.busy = false;
  if (foreign_now) n.recovery = false;
  start_postgres(i, foreign_now, seconds(1));
  if (!foreign_now) wake_patroni(i, milliseconds(100));
}

// pg_ctl promote on a replica, while Patroni keeps its hands off.
void ModelCluster::promote_by_hand(std::size_t i) {
  ModelNode& n = nodes[i];
  if (!n.paused_view || !scopes[0].store.pause || n.frozen || foreign(i)) return;
  if (n.postgres != PostgresLife::kRunning || !n.recovery || store(i).leader == i) return;
  say(i, "is promoted by hand");
  become_primary(i, next_timeline(i));
}

// Everything stops; the old leader comes back with another system identifier on timeline 1, and the
// replicas are built from it.
void ModelCluster::replace_cluster() {
  ModelScope& s = scopes[0];
  if (!s.store.up || !s.store.leader || s.store.pause) return;
  const std::size_t first = *s.store.leader;
  if (!nodes[first].on || nodes[first].frozen) return;
  if (trace) trace("  the cluster is replaced");
  s.identifier = std::to_string(std::stoul(s.identifier) + 1);
  s.highest_timeline = 1;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].scope != 0) continue;
    kill_patroni(k);
    if (nodes[k].postgres == PostgresLife::kRunning) stop_postgres(k, milliseconds(500), nullptr);
  }
  drop_key(0);
  s.store.last_leader.reset();
  s.store.sync.clear();
  const Span down = dice_.between(seconds(2), seconds(40));
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].scope != 0) continue;
    const bool leads = k == first;
    const Span takes = leads ? down : down + dice_.skewed(seconds(1), seconds(90));
    agenda_.after(takes, [this, k, leads, identifier = s.identifier] {
      ModelNode& n = nodes[k];
      if (!n.on || n.frozen || scopes[0].identifier != identifier) return;
      kill_patroni(k);
      die(k, Process::kPostgres);
      n.postgres = PostgresLife::kStopped;
      n.system_identifier = identifier;
      n.timeline = 1;
      n.position = 0;
      n.stuck = false;
      n.upstream.reset();
      n.recovery = !leads;
      start_postgres(k, leads, seconds(1));
      start_patroni(k);
    });
  }
}

// The section standby_cluster is removed from the configuration.
void ModelCluster::promote_standby_cluster(std::size_t s) {
  if (!scopes[s].standby || !scopes[s].store.up) return;
  if (trace) trace("  " + scopes[s].name + " is no standby cluster any more");
  scopes[s].standby = false;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].scope != s) continue;
    if (nodes[k].memory_role == Role::kStandbyLeader) nodes[k].memory_role = Role::kReplica;
    wake_patroni(k, dice_.skewed(milliseconds(5), seconds(3)));
  }
}

void ModelCluster::change_times(const ModelTimes& times) {
  ModelScope& s = scopes[0];
  if (!s.store.up || s.times == times) return;
  if (trace) trace("  the dynamic configuration is changed");
  s.times = times;
}

}  // namespace pgsteer
