// The truth about the clusters, and how events of processes wait and die.
#include "tests/simulation/model_cluster.h"

#include <algorithm>
#include <utility>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kIdentifier = "7001";

ModelScope first_scope(const ModelSettings& s) {
  ModelScope scope;
  scope.name = "demo";
  scope.identifier = kIdentifier;
  scope.times = s.times;
  scope.sync = s.sync;
  scope.standby = s.standby;
  scope.can_rewind = s.can_rewind;
  scope.duplicates = s.duplicates;
  scope.overruns = s.overruns;
  scope.spells_times = s.spells_times;
  return scope;
}

// A cluster in a store of its own, which has nothing to do with ours but perhaps the name. It is on
// a higher timeline than ours gets to.
ModelScope outsiders(const ModelSettings& s, Dice& dice) {
  ModelScope scope = first_scope(s);
  if (dice.chance(0.5)) scope.name = "other";
  scope.identifier = "9001";
  scope.sync = SyncMode::kOff;
  scope.standby = false;
  scope.highest_timeline = 1'000;
  return scope;
}

}  // namespace

std::string model_name(std::size_t i) { return "pg-" + std::to_string(i + 1); }

std::string model_address(std::size_t i, unsigned address) {
  return "10.0." + std::to_string(address) + "." + std::to_string(i + 1);
}

ModelCluster::ModelCluster(const ModelSettings& s, Agenda& agenda, Dice& dice)
    : settings(s),
      scopes(1, first_scope(s)),
      nodes(s.nodes + s.beside + s.strangers),
      net(s.proxies, nodes.size()),
      promised(nodes.size()),
      granted(nodes.size()),
      agenda_(agenda),
      dice_(dice) {
  if (s.beside > 0) {
    // Made with pg_basebackup: it has the system identifier of the cluster that it follows.
    ModelScope beside = scopes[0];
    beside.name = "demo2";
    beside.standby = true;
    beside.sync = SyncMode::kOff;
    scopes.push_back(beside);
  }
  if (s.strangers > 0) scopes.push_back(outsiders(s, dice));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    ModelNode& n = nodes[i];
    const std::size_t first = i < s.nodes ? 0 : is_outsider(i) ? s.nodes + s.beside : s.nodes;
    n.scope = first == 0 ? 0 : is_outsider(i) ? scopes.size() - 1 : 1;
    n.position = 1'000'000;
    n.system_identifier = scope(i).identifier;
    n.timeline = scope(i).highest_timeline;
    n.position_at = agenda_.now();
    n.version = s.version;
    n.times = scope(i).times;
    if (i != first) n.upstream = first;
    wake_patroni(i, dice_.between(milliseconds(0), milliseconds(500)));
    if (i != first) continue;
    n.recovery = scope(i).standby;
    n.memory_role = scope(i).standby ? Role::kStandbyLeader : Role::kPrimary;
    take_key(i);
    n.store_known = true;
    n.unlocked_view = false;
    n.store_read = agenda_.now();
    n.store_seen = std::chrono::duration_cast<seconds>(wall(i).time_since_epoch()).count();
  }
}

// Also without the key: in failsafe mode the members' consent replaces it, and after it expired no
// node promotes in a paused cluster, or while none can: no other Patroni runs, reaches the store
// and may be promoted.
bool ModelCluster::leased(std::size_t i) const {
  const ModelStore& s = store(i);
  if (nodes[i].system_identifier != scope(i).identifier) return false;
  if (s.leader) return *s.leader == i;
  if (s.last_leader != i) return false;
  bool consent = true;
  bool alone = true;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == i || !same_cluster(i, k)) continue;
    consent &= nodes[k].consent_until > agenda_.now();
    alone &= nodes[k].patroni == PatroniLife::kDead || nodes[k].nofailover || !reaches_store(k);
  }
  return consent || s.pause || alone;
}

bool ModelCluster::is_member(std::size_t i) const {
  if (store(i).leader == i) return true;
  const Span ttl = scope(i).times.ttl;
  return std::max(nodes[i].store_read, store(i).up_since) + ttl > agenda_.now();
}

bool ModelCluster::by_role(std::size_t i) const {
  const ModelNode& n = nodes[i];
  const bool view = n.store_known && agenda_.now() < n.store_read + n.times.ttl;
  return !view && n.paused_view;
}

bool ModelCluster::shows_lease(std::size_t i) const {
  const ModelNode& n = nodes[i];
  if (!by_role(i)) return n.lease_until > wall(i);
  if (n.postgres != PostgresLife::kRunning || n.rest == RestMode::kQueryFails) {
    return n.memory_role == Role::kPrimary || n.memory_role == Role::kStandbyLeader;
  }
  return !n.recovery || (scope(i).standby && n.memory_role == Role::kStandbyLeader);
}

Span ModelCluster::stepped_since(std::size_t i, Instant then) const {
  const ModelNode& n = nodes[i];
  return n.stepped_at + 2 * n.times.ttl >= then ? n.stepped : Span(0);
}

bool ModelCluster::serves_rest(std::size_t i) const {
  const ModelNode& n = nodes[i];
  return n.on && !n.frozen && n.patroni == PatroniLife::kRunning && n.rest == RestMode::kPrompt &&
         n.tls_faults == 0;
}

// Does `to` answer a request that `from` sends to its REST API?
bool ModelCluster::peer_answers(std::size_t from, std::size_t to) const {
  const ModelNode& o = nodes[to];
  const bool serves = o.rest == RestMode::kPrompt || o.rest == RestMode::kQueryFails ||
                      o.rest == RestMode::kSlow || o.rest == RestMode::kGarbage;
  return o.on && !o.frozen && net.peer[from][to].rest == 0 && o.patroni == PatroniLife::kRunning &&
         serves && o.tls_faults == 0;
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
