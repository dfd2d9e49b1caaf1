// Patroni's loop (ha.py): renew, promote, demote, race for the key.
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Only a running Patroni loops; one that is shutting down does not.
bool ModelCluster::loops(std::size_t i) const {
  return nodes[i].on && nodes[i].patroni == PatroniLife::kRunning && !foreign(i);
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
  if (reaches_store(i)) {
    const Span takes = dice_.skewed(milliseconds(1), milliseconds(400));
    later(i, Process::kPatroni, takes, [this, i] { read_store(i); });
    return;
  }
  // It tries again for retry_timeout; the store may be back by then.
  later(i, Process::kPatroni, settings.times.retry_timeout, [this, i] { read_store(i); });
}

void ModelCluster::end_loop(std::size_t i) {
  ModelNode& n = nodes[i];
  n.busy = false;
  const Instant next = n.loop_began + settings.times.loop_wait;
  wake_patroni(i, std::max(next - agenda_.now(), Span(milliseconds(1))));
}

void ModelCluster::read_store(std::size_t i) {
  if (!reaches_store(i)) return store_failed(i);
  ModelNode& n = nodes[i];
  n.store_known = true;
  n.store_read = agenda_.now();
  n.store_seen = std::chrono::duration_cast<seconds>(wall(i).time_since_epoch()).count();
  n.paused_view = store.pause;
  n.failsafe = false;
  if (store.leader == i) return renew(i);
  if (store.leader) {
    act_as_follower(i);
  } else {
    act_without_leader(i);
  }
}

void ModelCluster::renew(std::size_t i) {
  later(i, Process::kPatroni, dice_.between(milliseconds(1), milliseconds(30)), [this, i] {
    if (!reaches_store(i)) {
      later(i, Process::kPatroni, settings.times.retry_timeout, [this, i] { read_store(i); });
      return;
    }
    if (store.leader != i) return store.leader ? act_as_follower(i) : act_without_leader(i);
    store.expires = agenda_.now() + settings.times.ttl;
    promised[i] = store.expires;
    watch_expiry();
    nodes[i].lease_until = wall(i) + settings.times.ttl;
    act_as_leader(i);
  });
}

void ModelCluster::act_as_leader(std::size_t i) {
  ModelNode& n = nodes[i];
  end_loop(i);
  if (n.paused_view) return;
  if (n.postgres == PostgresLife::kCrashed || n.postgres == PostgresLife::kStopped) {
    // Crash recovery: as a standby that is promoted afterwards, or at once as the primary.
    const Span takes = dice_.skewed(milliseconds(300), seconds(60));
    start_postgres(i, dice_.chance(0.5) && n.memory_role == Role::kPrimary, takes);
    return;
  }
  if (n.postgres == PostgresLife::kRunning && n.recovery) promote(i);
}

void ModelCluster::act_as_follower(std::size_t i) {
  ModelNode& n = nodes[i];
  if (n.postgres == PostgresLife::kRunning && !n.recovery && !n.paused_view) {
    n.lease_until = {};
    n.memory_role = Role::kDemoted;
    say(i, "demotes itself: the key is another's");
    stop_postgres(i, dice_.between(milliseconds(10), milliseconds(300)), by_patroni(i, [this, i] {
                    start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(20)));
                  }));
    return end_loop(i);
  }
  n.lease_until = {};
  if (n.postgres == PostgresLife::kStopped || n.postgres == PostgresLife::kCrashed) {
    if (!n.paused_view) start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(20)));
  } else if (n.postgres == PostgresLife::kRunning && n.recovery) {
    settle_position(i);
    n.upstream = store.leader;
    const ModelNode& up = nodes[*store.leader];
    if (up.writable()) {
      n.timeline = up.timeline;
      n.position = std::min(n.position, position(*store.leader));
    } else {
      wake_patroni(i, seconds(1));  // follows the new timeline once it is there
      n.busy = false;
      return;
    }
  }
  end_loop(i);
}

void ModelCluster::act_without_leader(std::size_t i) {
  ModelNode& n = nodes[i];
  end_loop(i);
  const bool running = n.postgres == PostgresLife::kRunning;
  if (n.paused_view) {
    if (running && !n.recovery) take_key(i);
    return;
  }
  if (running && !n.recovery) return take_key(i);
  if (running && n.consent_until <= agenda_.now() && healthiest(i)) {
    take_key(i);
    return promote(i);
  }
  if (n.postgres == PostgresLife::kStopped || n.postgres == PostgresLife::kCrashed) {
    start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(20)));
  }
}

// Asks the other members over their REST APIs: none is writable, none is ahead.
bool ModelCluster::healthiest(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (!n.reaches_peers) return dice_.chance(0.3);
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const ModelNode& o = nodes[k];
    if (k == i || o.system_identifier != n.system_identifier) continue;
    const bool answers = o.on && !o.frozen && o.reaches_peers &&
                         o.patroni == PatroniLife::kRunning && o.rest != RestMode::kHung &&
                         o.rest != RestMode::kRefusing;
    if (!answers || o.postgres != PostgresLife::kRunning) continue;
    if (!o.recovery || o.timeline > n.timeline) return false;
    if (o.timeline == n.timeline && position(k) > position(i)) return false;
  }
  return true;
}

void ModelCluster::take_key(std::size_t i) {
  store.leader = i;
  store.last_leader = i;
  store.expires = agenda_.now() + settings.times.ttl;
  promised[i] = store.expires;
  nodes[i].lease_until = wall(i) + settings.times.ttl;
  say(i, "takes the leader key");
  watch_expiry();
}

void ModelCluster::drop_key() {
  store.leader.reset();
  ++store.version;
  if (trace) trace("  the leader key is gone");
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (reaches_store(k)) {
      wake_patroni(k, dice_.between(milliseconds(5), milliseconds(200)));
    }
  }
}

// The keys of a store that is down do not expire.
void ModelCluster::watch_expiry() {
  const unsigned version = ++store.version;
  agenda_.at(store.expires, [this, version] {
    if (store.version == version && store.up && store.leader) drop_key();
  });
}

// From here on GET /leader returns 200 while PostgreSQL is in recovery.
void ModelCluster::promote(std::size_t i) {
  say(i, "promotes");
  later(i, Process::kPostgres, dice_.skewed(milliseconds(5), seconds(20)), [this, i] {
    ModelNode& n = nodes[i];
    if (store.leader != i || n.postgres != PostgresLife::kRunning || !n.recovery) return;
    settle_position(i);
    n.recovery = false;
    n.upstream.reset();
    n.timeline = ++highest_timeline_;
    n.position_at = agenda_.now();
    n.memory_role = Role::kPrimary;
    ++promotions;
    say(i, ("is writable on timeline " + std::to_string(n.timeline)).c_str());
  });
}

bool ModelCluster::members_consent(std::size_t i) {
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const ModelNode& o = nodes[k];
    if (foreign(k)) continue;  // not a member
    const bool answers = o.on && !o.frozen && o.reaches_peers && nodes[i].reaches_peers &&
                         o.patroni == PatroniLife::kRunning &&
                         (o.rest == RestMode::kPrompt || o.rest == RestMode::kQueryFails);
    if (k != i && (!answers || shows_lease(k))) return false;
  }
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k != i && !foreign(k)) nodes[k].consent_until = agenda_.now() + settings.times.ttl;
  }
  // A member that is restarted forgets its consent; pgsteer cannot know that.
  promised[i] = agenda_.now() + settings.times.ttl;
  return true;
}

void ModelCluster::store_failed(std::size_t i) {
  ModelNode& n = nodes[i];
  n.store_known = false;
  if (!n.writable() || n.paused_view) return end_loop(i);
  if (settings.times.failsafe_mode && store.last_leader == i && members_consent(i)) {
    n.lease_until = wall(i) + settings.times.ttl;
    n.failsafe = true;
    say(i, "goes on in failsafe mode");
    return end_loop(i);
  }
  say(i, "demotes itself: the store does not answer");
  stop_postgres(i, dice_.skewed(milliseconds(50), seconds(3)), by_patroni(i, [this, i] {
                  nodes[i].lease_until = {};
                  nodes[i].failsafe = false;
                  nodes[i].memory_role = Role::kDemoted;
                  start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(10)));
                }));
  end_loop(i);
}

}  // namespace pgsteer
