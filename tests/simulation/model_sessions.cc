#include "tests/simulation/model_sessions.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr std::size_t kMostSessions = 24;
}

ModelSessions::ModelSessions(const Config& config, ModelCluster& cluster, Agenda& agenda,
                             Dice& dice)
    : config_(config), cluster_(cluster), agenda_(agenda), dice_(dice) {
  agenda_.after(milliseconds(1), [this] { arrive(); });
}

void ModelSessions::arrive() {
  agenda_.after(dice_.skewed(milliseconds(20), seconds(8)), [this] { arrive(); });
  if (all.size() >= kMostSessions) return;
  ModelSession s;
  s.id = next_id_++;
  s.listener = dice_.below(config_.listen.size());
  s.came = agenda_.now();
  s.patience = s.came + config_.listen[s.listener].hold;
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

// Connects to one of the admitted nodes, or waits.
void ModelSessions::seek(ModelSession& s) {
  if (topology_.generation == 0) return;
  std::vector<std::size_t> admitted;
  const auto& pool = topology_.pools[s.listener].by_node;
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (pool[i].admission == Admission::kAdmit) admitted.push_back(i);
  }
  if (admitted.empty()) return;
  s.step = SessionStep::kConnecting;
  s.node = admitted[dice_.below(admitted.size())];
  s.timeline = topology_.timeline;
  s.bound = agenda_.now();
  s.rightful = s.replica = true;
  s.of_primary = topology_.primary == s.node;
  if (on_bound) on_bound(s);
  Span takes = dice_.skewed(milliseconds(1), milliseconds(50));
  if (cluster_.connect(s.node) == ModelCluster::Connect::kTimedOut) {
    takes = config_.listen[s.listener].connect_timeout;
  }
  agenda_.after(takes, [this, id = s.id] { connected(id); });
}

void ModelSessions::connected(std::uint64_t id) {
  ModelSession* s = find(id);
  if (!s || s->step != SessionStep::kConnecting) return;  // cut or gone meanwhile
  const std::size_t node = s->node;
  std::optional<SuspicionKind> kind;
  switch (cluster_.connect(node)) {
    case ModelCluster::Connect::kAccepted:
      s->step = SessionStep::kLive;
      ++counts.served;
      counts.held_longest = std::max(counts.held_longest, Span(agenda_.now() - s->came));
      if (config_.listen[s->listener].to == Target::kPrimary && cluster_.nodes[node].recovery) {
        suspect({node, SuspicionKind::kInHotStandby});
      }
      return;
    case ModelCluster::Connect::kTurnedAway:
      kind = SuspicionKind::kShuttingDown;
      break;
    case ModelCluster::Connect::kRefused:
      kind = SuspicionKind::kConnectRefused;
      break;
    case ModelCluster::Connect::kTimedOut:
      kind = SuspicionKind::kConnectTimedOut;
      break;
  }
  s->step = SessionStep::kHeld;
  agenda_.after(milliseconds(100), [this, id] {
    ModelSession* again = find(id);
    if (again && again->step == SessionStep::kHeld) seek(*again);
  });
  suspect({node, *kind});
}

// After this no session is left that the topology forbids, connecting ones included.
void ModelSessions::adopt(const Topology& topology) {
  topology_ = topology;
  for (std::size_t k = 0; k < all.size();) {
    const ModelSession& s = all[k];
    const Verdict& v = topology_.pools[s.listener].by_node[s.node];
    const bool primary = config_.listen[s.listener].to == Target::kPrimary;
    const bool moved = primary && topology_.primary == s.node && topology_.timeline != s.timeline;
    if (s.step == SessionStep::kHeld || (v.admission != Admission::kCut && !moved)) {
      ++k;
      continue;
    }
    on_cut(s, v);
    ++counts.cut;
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(k));
  }
  release();
}

void ModelSessions::release() {
  for (ModelSession& s : all) {
    if (s.step == SessionStep::kHeld) seek(s);
  }
}

// A host that dies closes nothing, so no worker reports a suspicion; its sessions just go.
void ModelSessions::server_ends(std::size_t node, bool host_died) {
  const auto ended = std::erase_if(
      all, [&](const ModelSession& s) { return s.step == SessionStep::kLive && s.node == node; });
  counts.server_ended += ended;
  if (ended > 0 && !host_died && cluster_.nodes[node].reaches_pgsteer) {
    agenda_.after(milliseconds(1), [this, node] { suspect({node, SuspicionKind::kServerEnded}); });
  }
}

void ModelSessions::observe() {
  for (ModelSession& s : all) {
    if (s.step == SessionStep::kHeld) continue;
    const ModelNode& n = cluster_.nodes[s.node];
    s.rightful = s.rightful && cluster_.rightful(s.node) && n.timeline == s.timeline;
    s.replica = s.replica && n.on && !n.frozen && n.reaches_pgsteer && n.recovery &&
                n.postgres == PostgresLife::kRunning && !cluster_.foreign(s.node);
  }
}

}  // namespace pgsteer
