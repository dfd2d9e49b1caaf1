// PostgreSQL on the nodes: it starts, stops, is promoted and replicates.
#include <algorithm>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;

namespace {
constexpr int kLongestCascade = 4;
// An archive has whole segments only.
constexpr std::uint64_t kSegment = 4'000'000;
}  // namespace

bool ModelCluster::streams(std::size_t i, int depth) const {
  const ModelNode& n = nodes[i];
  if (n.postgres != PostgresLife::kRunning || !n.recovery || n.archive_only || n.frozen)
    return false;
  if (scope(i).standby && store(i).leader == i && !n.upstream) return !n.stuck;  // from the remote
  if (!n.upstream || depth > kLongestCascade) return false;
  const ModelNode& up = nodes[*n.upstream];
  if (!up.on || up.frozen || up.postgres != PostgresLife::kRunning) return false;
  if (up.postmaster_hangs > 0 || net.peer[i][*n.upstream].sql > 0) return false;
  if (up.timeline != n.timeline || !same_cluster(i, *n.upstream)) return false;
  return !up.recovery || streams(*n.upstream, depth + 1);
}

// Replays from the archive alone.
bool ModelCluster::restores(std::size_t i) const {
  const ModelNode& n = nodes[i];
  return n.archive_only && n.postgres == PostgresLife::kRunning && n.recovery && !n.frozen &&
         n.upstream && nodes[*n.upstream].timeline == n.timeline && !n.stuck;
}

// What the primary of a cluster that the model does not have, or has as scope 0, has written.
std::uint64_t ModelCluster::remote_position(std::size_t s) const {
  if (s == 1) {
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (nodes[k].scope == 0 && store(k).leader == k) return position(k);
    }
    return 0;
  }
  const auto ran = std::chrono::duration_cast<milliseconds>(agenda_.now().time_since_epoch());
  return 1'000'000 + settings.wal_rate * static_cast<std::uint64_t>(ran.count()) / 1000;
}

std::uint64_t ModelCluster::position(std::size_t i, int depth) const {
  const ModelNode& n = nodes[i];
  if (n.recovery) {
    if (depth > kLongestCascade || !replicates(i)) return n.position;
    const std::uint64_t up =
        n.upstream ? position(*n.upstream, depth + 1) : remote_position(n.scope);
    const std::uint64_t whole = n.archive_only ? up - up % kSegment : up;
    return std::max(n.position, whole > n.behind ? whole - n.behind : 0);
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
    const auto leader = store(i).leader;
    if (!as_primary && leader && *leader != i && m.scope == nodes[*leader].scope) follow(i);
  });
}

// A replica finds its upstream: the leader, or the node that its tag names. If its history has left
// the leader's, pg_rewind brings it back, or it stays as it is.
void ModelCluster::follow(std::size_t i) {
  ModelNode& n = nodes[i];
  const std::size_t leader = *store(i).leader;
  const ModelNode& up = nodes[leader];
  const auto from = n.replicatefrom;
  const bool cascades = from && *from != leader && *from != i && nodes[*from].upstream == leader &&
                        nodes[*from].recovery;
  settle_position(i);
  n.upstream = cascades ? *from : leader;
  if (!same_cluster(i, leader)) return;
  const bool follows_remote =
      scope(i).standby && up.recovery && up.postgres == PostgresLife::kRunning;
  if (!up.writable() && !follows_remote) return;
  const bool diverged =
      n.timeline > up.timeline || (n.timeline == up.timeline && n.position > position(leader));
  if (diverged && !scope(i).can_rewind) {
    if (!n.stuck) say(i, "cannot be rewound");
    n.stuck = true;
    n.upstream.reset();
    return;
  }
  n.stuck = false;
  n.timeline = up.timeline;
  n.position = std::min(n.position, position(leader));
}

std::uint32_t ModelCluster::next_timeline(std::size_t i) {
  ModelScope& s = scope(i);
  const std::uint32_t own = nodes[i].timeline + 1;
  const std::uint32_t next = s.duplicates ? own : std::max(own, s.highest_timeline + 1);
  s.highest_timeline = std::max(s.highest_timeline, next);
  return next;
}

void ModelCluster::become_primary(std::size_t i, std::uint32_t timeline) {
  ModelNode& n = nodes[i];
  settle_position(i);
  n.recovery = false;
  n.upstream.reset();
  n.stuck = false;
  n.timeline = timeline;
  n.position_at = agenda_.now();
  n.memory_role = Role::kPrimary;
  say(i, ("is writable on timeline " + std::to_string(n.timeline)).c_str());
}

}  // namespace pgsteer
