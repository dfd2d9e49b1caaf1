// The truth about the cluster, and PostgreSQL on its nodes.
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

ModelCluster::ModelCluster(const ModelSettings& s, Agenda& agenda, Dice& dice)
    : settings(s), nodes(s.nodes), promised(s.nodes), agenda_(agenda), dice_(dice) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].position = 1'000'000;
    nodes[i].system_identifier = kIdentifier;
    nodes[i].position_at = agenda_.now();
    if (i > 0) nodes[i].upstream = 0;
    wake_patroni(i, dice_.between(milliseconds(0), milliseconds(500)));
  }
  nodes[0].recovery = false;
  nodes[0].memory_role = Role::kPrimary;
  take_key(0);
  nodes[0].store_known = true;
  nodes[0].store_read = agenda_.now();
  nodes[0].store_seen = std::chrono::duration_cast<seconds>(wall(0).time_since_epoch()).count();
}

// Also without the key: in failsafe mode the members' consent replaces it, and after it expired no
// node promotes in a paused cluster or while no other Patroni runs.
bool ModelCluster::leased(std::size_t i) const {
  if (store.leader) return *store.leader == i;
  if (store.last_leader != i || foreign(i)) return false;
  bool consent = true;
  bool alone = true;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == i || foreign(k)) continue;
    consent &= nodes[k].consent_until > agenda_.now();
    alone &= nodes[k].patroni == PatroniLife::kDead;
  }
  return consent || store.pause || alone;
}

bool ModelCluster::shows_lease(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (!n.store_known && n.paused_view) return n.memory_role == Role::kPrimary;
  return n.lease_until > wall(i);
}

Span ModelCluster::stepped_since(std::size_t i, Instant then) const {
  const ModelNode& n = nodes[i];
  return n.stepped_at + 2 * settings.times.ttl >= then ? n.stepped : Span(0);
}

bool ModelCluster::prompt(std::size_t i) const {
  const ModelNode& n = nodes[i];
  return n.on && !n.frozen && n.reaches_pgsteer && n.patroni == PatroniLife::kRunning &&
         n.rest == RestMode::kPrompt;
}

bool ModelCluster::streams(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (!n.upstream || n.postgres != PostgresLife::kRunning || !n.recovery) return false;
  const ModelNode& up = nodes[*n.upstream];
  return up.writable() && !up.frozen && !n.frozen && n.reaches_peers && up.reaches_peers &&
         up.timeline == n.timeline && up.system_identifier == n.system_identifier;
}

std::uint64_t ModelCluster::position(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (n.recovery) {
    if (!streams(i)) return n.position;
    const std::uint64_t up = position(*n.upstream);
    return std::max(n.position, up > n.behind ? up - n.behind : 0);
  }
  if (!n.writable()) return n.position;
  const auto ran = std::chrono::duration_cast<milliseconds>(agenda_.now() - n.position_at).count();
  return n.position + settings.wal_rate * static_cast<std::uint64_t>(ran) / 1000;
}

// Called before anything changes that a position depends on.
void ModelCluster::settle_position(std::size_t i) {
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].upstream == i) nodes[k].position = position(k);
  }
  nodes[i].position = position(i);
  nodes[i].position_at = agenda_.now();
}

void ModelCluster::end_sessions(std::size_t i, bool host_died) {
  if (sessions_end) sessions_end(i, host_died);
}

// Fast or immediate shutdown: sessions end at once, new ones are refused until it has stopped.
void ModelCluster::stop_postgres(std::size_t i, Span takes, std::function<void()> then) {
  ModelNode& n = nodes[i];
  settle_position(i);
  die(i, Process::kPostgres);
  n.postgres = PostgresLife::kStopping;
  say(i, "PostgreSQL stops");
  end_sessions(i, false);
  later(i, Process::kPostgres, takes, [this, i, then = std::move(then)] {
    nodes[i].postgres = PostgresLife::kStopped;
    nodes[i].recovery = true;
    if (then) then();
  });
}

void ModelCluster::start_postgres(std::size_t i, bool as_primary, Span takes) {
  ModelNode& n = nodes[i];
  die(i, Process::kPostgres);
  n.postgres = PostgresLife::kStarting;
  later(i, Process::kPostgres, takes, [this, i, as_primary] {
    settle_position(i);
    ModelNode& m = nodes[i];
    m.postgres = PostgresLife::kRunning;
    m.recovery = !as_primary;
    m.memory_role = as_primary ? Role::kPrimary : Role::kReplica;
    m.position_at = agenda_.now();
    m.upstream.reset();
    say(i, as_primary ? "PostgreSQL runs as primary" : "PostgreSQL runs as replica");
    if (!as_primary && store.leader && *store.leader != i) {
      // pg_rewind, if it was needed, has brought it to the leader's history.
      m.upstream = store.leader;
      const ModelNode& up = nodes[*store.leader];
      if (up.writable() && m.timeline != up.timeline) {
        m.timeline = up.timeline;
        m.position = position(*store.leader);
      }
    }
  });
}

bool ModelCluster::stands(std::size_t i, Process p) const {
  const ModelNode& n = nodes[i];
  return n.frozen || (p == Process::kPatroni && n.patroni == PatroniLife::kSuspended);
}

void ModelCluster::later(std::size_t i, Process p, Span delay, std::function<void()> what) {
  const unsigned epoch = nodes[i].epoch[static_cast<std::size_t>(p)];
  agenda_.after(delay, [this, i, p, epoch, what = std::move(what)] {
    ModelNode& n = nodes[i];
    if (n.epoch[static_cast<std::size_t>(p)] != epoch) return;
    if (!stands(i, p)) return what();
    n.waiting.push_back([this, i, p, epoch, what] {
      if (nodes[i].epoch[static_cast<std::size_t>(p)] == epoch) what();
    });
  });
}

// Runs what became due while the node, or its Patroni, stood still.
void ModelCluster::run_waiting(std::size_t i) {
  auto waiting = std::exchange(nodes[i].waiting, {});
  for (auto& what : waiting) agenda_.after(dice_.between(milliseconds(0), milliseconds(5)), what);
}

std::function<void()> ModelCluster::by_patroni(std::size_t i, std::function<void()> what) {
  const unsigned epoch = nodes[i].epoch[0];
  return [this, i, epoch, what = std::move(what)] {
    if (nodes[i].epoch[0] != epoch) return;
    if (!stands(i, Process::kPatroni)) return what();
    later(i, Process::kPatroni, Span(0), what);
  };
}

void ModelCluster::say(std::size_t i, const char* what) const {
  if (trace) trace("  " + model_name(i) + ": " + what);
}

}  // namespace pgsteer
