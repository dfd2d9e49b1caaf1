#include "tests/simulation/model_sessions.h"

#include <algorithm>

#include "proxy/routing/route.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr std::size_t kMostSessions = 24;
}

ModelSessions::ModelSessions(std::size_t proxy, const ModelConfig& config, ModelCluster& cluster,
                             Agenda& agenda, Dice& dice)
    : known_address(cluster.nodes.size()),
      proxy_(proxy),
      config_(config),
      cluster_(cluster),
      agenda_(agenda),
      dice_(dice) {
  agenda_.after(milliseconds(1), [this] { arrive(); });
}

void ModelSessions::arrive() {
  agenda_.after(dice_.skewed(milliseconds(20), seconds(8)), [this] { arrive(); });
  if (frozen_ || all.size() >= kMostSessions) return;
  ModelSession s;
  s.id = next_id_++;
  s.listener = dice_.below(config_.by_number.listen.size());
  if (config_.listener(s.listener) != Place::kListed) return;
  s.visible = dice_.chance(0.8);
  s.came = agenda_.now();
  s.patience = s.came + config_.by_number.listen[s.listener].hold;
  s.leaves = s.came + dice_.skewed(milliseconds(5), seconds(600));
  all.push_back(s);
  ++counts.clients;
  agenda_.at(s.patience, [this, id = s.id] {
    ModelSession* held = find(id);
    if (!held || held->step == SessionStep::kLive) return;
    ++counts.refused;
    leave(id);
  });
  agenda_.at(s.leaves, [this, id = s.id] { leave(id); });
  seek(all.back());
}

ModelSession* ModelSessions::find(std::uint64_t id) {
  for (ModelSession& s : all) {
    if (s.id == id) return &s;
  }
  return nullptr;
}

void ModelSessions::leave(std::uint64_t id) {
  std::erase_if(all, [&](const ModelSession& s) { return s.id == id; });
}

ModelCluster::Connect ModelSessions::reach(std::size_t node) const {
  return cluster_.connect({proxy_, node, known_address[node]});
}

// One login at a time shows whether the node takes writes.
bool ModelSessions::is_trial(std::size_t listener, std::size_t node) const {
  return topology_.pools[listener].by_node[node].reason == Reason::kTrial;
}

// Connects to one of the admitted nodes, or waits.
void ModelSessions::seek(ModelSession& s) {
  if (topology_.generation == 0) return;
  std::vector<std::size_t> admitted;
  const auto& pool = topology_.pools[s.listener].by_node;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (pool[i].admission != Admission::kAdmit) continue;
    const bool busy =
        is_trial(s.listener, i) && std::any_of(all.begin(), all.end(), [&](const ModelSession& o) {
          return o.step == SessionStep::kConnecting && o.node == i;
        });
    if (!busy) admitted.push_back(i);
  }
  if (admitted.empty()) return;
  s.step = SessionStep::kConnecting;
  s.node = admitted[dice_.below(admitted.size())];
  s.timeline = topology_.timeline;
  s.bound = agenda_.now();
  s.rightful = s.replica = true;
  const Reason reason = pool[s.node].reason;
  s.of_primary =
      topology_.primary == s.node || reason == Reason::kPrimary || reason == Reason::kFallback;
  if (on_bound) on_bound(s);
  Span takes = dice_.skewed(milliseconds(1), milliseconds(50));
  if (reach(s.node) == ModelCluster::Connect::kTimedOut) {
    takes = config_.by_number.listen[s.listener].connect_timeout;
  }
  agenda_.after(takes, [this, id = s.id] { connected(id); });
}

void ModelSessions::connected(std::uint64_t id) {
  ModelSession* s = find(id);
  if (!s || s->step != SessionStep::kConnecting) return;  // cut or gone meanwhile
  if (frozen_) {
    agenda_.after(seconds(1), [this, id] { connected(id); });
    return;
  }
  const std::size_t node = s->node;
  SuspicionKind kind = SuspicionKind::kConnectTimedOut;
  switch (reach(node)) {
    case ModelCluster::Connect::kAccepted:
      return logged_in(*s);
    case ModelCluster::Connect::kHung:  // it waits for the first answer
      agenda_.after(milliseconds(700), [this, id] { connected(id); });
      return;
    case ModelCluster::Connect::kTurnedAway:
      kind = SuspicionKind::kShuttingDown;
      break;
    case ModelCluster::Connect::kRefused:
      kind = SuspicionKind::kConnectRefused;
      break;
    case ModelCluster::Connect::kTimedOut:
      break;
  }
  s->step = SessionStep::kHeld;
  agenda_.after(milliseconds(100), [this, id] {
    ModelSession* again = find(id);
    if (again && again->step == SessionStep::kHeld && !frozen_) seek(*again);
  });
  suspect({node, kind});
}

void ModelSessions::logged_in(ModelSession& s) {
  s.step = SessionStep::kLive;
  ++counts.served;
  if (!writes(s.listener) || !s.visible) return;
  if (cluster_.nodes[s.node].recovery) return suspect({s.node, SuspicionKind::kInHotStandby});
  writable(s.node);
}

// After this no session is left that the topology forbids, connecting ones included.
void ModelSessions::adopt(const Topology& topology) {
  topology_ = topology;
  if (!frozen_) enforce();
}

void ModelSessions::enforce() {
  for (std::size_t k = 0; k < all.size();) {
    const ModelSession& s = all[k];
    const Verdict& v = topology_.pools[s.listener].by_node[s.node];
    if (s.step == SessionStep::kHeld || permits(topology_, s.listener, s.node, s.timeline)) {
      ++k;
      continue;
    }
    on_cut(s, v);
    ++counts.cut;
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(k));
  }
  for (ModelSession& s : all) {
    if (s.step == SessionStep::kHeld) seek(s);
  }
}

// What the workers make of a topology that nobody renews: no primary.
void ModelSessions::check_expiry() {
  if (frozen_ || !topology_.valid_until || agenda_.now() < *topology_.valid_until) return;
  ++expired_topologies;
  topology_ = expired(topology_, Span(0));
  enforce();
}

// A host that dies closes nothing, so no worker reports a suspicion; its sessions just go.
void ModelSessions::server_ends(std::size_t node, bool host_died) {
  const auto ended = std::erase_if(
      all, [&](const ModelSession& s) { return s.step == SessionStep::kLive && s.node == node; });
  counts.server_ended += ended;
  if (ended > 0 && !host_died && cluster_.net.proxy[proxy_][node].sql == 0) {
    agenda_.after(milliseconds(1), [this, node] { suspect({node, SuspicionKind::kServerEnded}); });
  }
}

void ModelSessions::restart() {
  all.clear();
  topology_ = {};
}

void ModelSessions::freeze(bool yes) {
  frozen_ = yes;
  if (yes) return;
  // The timers fire first, then what was read.
  check_expiry();
  for (ModelSession& s : all) {
    if (s.step == SessionStep::kHeld && topology_.generation != 0) seek(s);
  }
}

UsedSlots ModelSessions::used() const {
  UsedSlots used;
  for (const ModelSession& s : all) {
    used.listeners |= std::uint64_t{1} << s.listener;
    if (s.step != SessionStep::kHeld) used.nodes |= std::uint64_t{1} << s.node;
  }
  return used;
}

void ModelSessions::observe() {
  for (ModelSession& s : all) {
    if (s.step == SessionStep::kHeld) continue;
    const ModelNode& n = cluster_.nodes[s.node];
    s.rightful = s.rightful && cluster_.rightful(s.node) && n.timeline == s.timeline;
    s.replica = s.replica && n.on && !n.frozen && n.recovery &&
                n.postgres == PostgresLife::kRunning && !cluster_.foreign(s.node) &&
                cluster_.net.proxy[proxy_][s.node].sql == 0 && n.postmaster_hangs == 0 &&
                n.address == known_address[s.node];
  }
}

}  // namespace pgsteer
