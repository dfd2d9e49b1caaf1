// Patroni's loop (ha.py): renew, promote, demote, race for the key.
#include <algorithm>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Only a running Patroni loops; one that is shutting down does not.
bool ModelCluster::loops(std::size_t i) const {
  return nodes[i].on && nodes[i].patroni == PatroniLife::kRunning &&
         nodes[i].system_identifier == scope(i).identifier;
}

void ModelCluster::wake_patroni(std::size_t i, Span delay) {
  const unsigned serial = ++nodes[i].loop_serial;
  later(i, Process::kPatroni, delay, [this, i, serial] {
    if (nodes[i].loop_serial == serial && !nodes[i].busy && loops(i)) loop(i);
  });
}

void ModelCluster::loop(std::size_t i) {
  nodes[i].busy = true;
  nodes[i].loop_began = agenda_.now();
  Span takes = dice_.skewed(milliseconds(1), milliseconds(400));
  if (scope(i).overruns && dice_.chance(0.05)) takes = dice_.skewed(seconds(1), seconds(20));
  const Instant until = agenda_.now() + nodes[i].times.retry_timeout;
  later(i, Process::kPatroni, takes, [this, i, until] { read_store(i, until); });
}

void ModelCluster::end_loop(std::size_t i) {
  ModelNode& n = nodes[i];
  n.busy = false;
  const Instant next = n.loop_began + n.times.loop_wait;
  wake_patroni(i, std::max(next - agenda_.now(), Span(milliseconds(1))));
}

// It tries again until `until`; the store may be back by then.
void ModelCluster::read_store(std::size_t i, Instant until) {
  ModelNode& n = nodes[i];
  if (!reaches_store(i)) {
    if (agenda_.now() >= until) return store_failed(i);
    const Span again = std::min(Span(dice_.between(milliseconds(500), milliseconds(1'500))),
                                Span(until - agenda_.now()));
    return later(i, Process::kPatroni, std::max(again, Span(milliseconds(1))),
                 [this, i, until] { read_store(i, until); });
  }
  const ModelStore& s = store(i);
  n.store_known = true;
  n.store_read = agenda_.now();
  n.store_seen = std::chrono::duration_cast<seconds>(wall(i).time_since_epoch()).count();
  n.paused_view = s.pause;
  n.unlocked_view = !s.leader;
  n.times = scope(i).times;
  if (s.leader == i) return renew(i);
  if (s.leader) {
    act_as_follower(i);
  } else {
    act_without_leader(i);
  }
}

void ModelCluster::renew(std::size_t i) {
  Span takes = dice_.between(milliseconds(1), milliseconds(30));
  if (scope(i).overruns && dice_.chance(0.1)) takes = dice_.skewed(milliseconds(100), seconds(25));
  later(i, Process::kPatroni, takes, [this, i] {
    if (!reaches_store(i)) {
      const Instant until = agenda_.now() + nodes[i].times.retry_timeout;
      return later(i, Process::kPatroni, milliseconds(500),
                   [this, i, until] { read_store(i, until); });
    }
    ModelStore& s = store(i);
    if (s.leader != i) return s.leader ? act_as_follower(i) : act_without_leader(i);
    granted[i] = nodes[i].times.ttl;
    s.expires = agenda_.now() + granted[i];
    promised[i] = s.expires;
    watch_expiry(nodes[i].scope);
    nodes[i].lease_until = wall(i) + nodes[i].times.ttl;
    nodes[i].failsafe_until = {};
    act_as_leader(i);
  });
}

void ModelCluster::act_as_leader(std::size_t i) {
  ModelNode& n = nodes[i];
  end_loop(i);
  choose_sync(i);
  if (scope(i).standby) n.memory_role = Role::kStandbyLeader;
  if (n.paused_view) return;
  if (n.postgres == PostgresLife::kCrashed || n.postgres == PostgresLife::kStopped) {
    // Crash recovery: as a standby that is promoted afterwards, or at once as the primary.
    const Span takes = dice_.skewed(milliseconds(300), seconds(60));
    const bool primary = dice_.chance(0.5) && n.memory_role == Role::kPrimary && !scope(i).standby;
    start_postgres(i, primary, takes);
    return;
  }
  if (n.postgres != PostgresLife::kRunning || !n.recovery) return;
  if (scope(i).standby) {
    settle_position(i);
    n.upstream.reset();
    for (const ModelNode& remote : nodes) {
      if (n.scope == 1 && remote.scope == 0 && remote.writable()) {
        n.timeline = std::max(n.timeline, remote.timeline);
      }
    }
    return;
  }
  promote(i);
}

void ModelCluster::demote(std::size_t i, const char* why, Span stop, Span start) {
  nodes[i].lease_until = {};
  nodes[i].memory_role = Role::kDemoted;
  say(i, why);
  stop_postgres(i, stop, by_patroni(i, [this, i, start] { start_postgres(i, false, start); }));
}

void ModelCluster::act_as_follower(std::size_t i) {
  ModelNode& n = nodes[i];
  if (n.postgres == PostgresLife::kRunning && !n.recovery && !n.paused_view) {
    demote(i, "demotes itself: the key is another's",
           dice_.between(milliseconds(10), milliseconds(300)),
           dice_.skewed(milliseconds(300), seconds(20)));
    return end_loop(i);
  }
  n.lease_until = {};
  if (n.memory_role == Role::kStandbyLeader) n.memory_role = Role::kReplica;
  if (n.postgres == PostgresLife::kStopped || n.postgres == PostgresLife::kCrashed) {
    if (!n.paused_view) start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(20)));
  } else if (n.postgres == PostgresLife::kRunning && n.recovery) {
    follow(i);
    const ModelNode& up = nodes[*store(i).leader];
    if (!up.writable() && !scope(i).standby) {
      n.busy = false;
      return wake_patroni(i, seconds(1));  // follows the new timeline once it is there
    }
  }
  end_loop(i);
}

void ModelCluster::act_without_leader(std::size_t i) {
  ModelNode& n = nodes[i];
  end_loop(i);
  n.lease_until = {};
  const bool running = n.postgres == PostgresLife::kRunning;
  if (n.paused_view) {
    if (running && !n.recovery) take_key(i);
    return;
  }
  if (running && !n.recovery) return take_key(i);
  if (running && !n.nofailover && n.consent_until <= agenda_.now() && healthiest(i)) {
    take_key(i);
    if (!scope(i).standby) return promote(i);
    n.memory_role = Role::kStandbyLeader;
    n.upstream.reset();
    return;
  }
  if (n.postgres == PostgresLife::kStopped || n.postgres == PostgresLife::kCrashed) {
    start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(20)));
  }
}

// Asks the other members over their REST APIs: none is writable, none is ahead. With synchronous
// replication only a member of /sync may win.
bool ModelCluster::healthiest(std::size_t i) const {
  const ModelNode& n = nodes[i];
  const ModelScope& s = scope(i);
  const auto& sync = s.store.sync;
  if (s.sync != SyncMode::kOff && !sync.empty() && s.store.last_leader != i &&
      std::find(sync.begin(), sync.end(), i) == sync.end()) {
    return false;
  }
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const ModelNode& o = nodes[k];
    if (k == i || !same_cluster(i, k) || !peer_answers(i, k)) continue;
    if (o.postgres != PostgresLife::kRunning) continue;
    if (!o.recovery || (o.timeline > n.timeline && !o.stuck && !o.nofailover)) return false;
    if (o.timeline == n.timeline && position(k) > position(i) && !o.nofailover) return false;
  }
  return true;
}

// The leader writes who is synchronous: one standby, or all of them for a quorum.
void ModelCluster::choose_sync(std::size_t leader) {
  ModelScope& s = scope(leader);
  if (s.sync == SyncMode::kOff) return;
  std::vector<std::size_t> streaming;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k != leader && same_cluster(leader, k) && streams(k)) streaming.push_back(k);
  }
  if (s.sync == SyncMode::kSync && streaming.size() > 1) {
    const auto& old = s.store.sync;
    const bool stays =
        old.size() == 1 && std::find(streaming.begin(), streaming.end(), old[0]) != streaming.end();
    streaming = stays ? old : std::vector<std::size_t>(1, streaming[0]);
  }
  if (!streaming.empty() || nodes[leader].writable()) s.store.sync = streaming;
}

// From here on GET /leader returns 200 while PostgreSQL is in recovery.
void ModelCluster::promote(std::size_t i) {
  say(i, "promotes");
  later(i, Process::kPostgres, dice_.skewed(milliseconds(5), seconds(20)), [this, i] {
    const ModelNode& n = nodes[i];
    if (store(i).leader != i || n.postgres != PostgresLife::kRunning || !n.recovery) return;
    become_primary(i, next_timeline(i));
    ++promotions;
  });
}

}  // namespace pgsteer
