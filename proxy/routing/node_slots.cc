#include "proxy/routing/node_slots.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace pgsteer {

namespace {

// Between two looks for logins that have to go.
constexpr std::chrono::milliseconds kPurgePause{100};

// What one client address gets of `limit` logins while others wait.
std::uint32_t share_of(std::uint32_t limit) { return std::max(1U, limit / 8); }

// Logins that may be open, answered or not, where `limit` may be in flight. Clients are slower than
// servers, and far away.
std::uint32_t open_limit(std::uint32_t limit) { return 4 * limit; }

}  // namespace

NodeSlot& NodeSlot::operator=(NodeSlot&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  if (!other) return *this;
  NodeSlots& slots = *other.slots_;
  slots.unlink(other);
  user_ = other.user_;
  client_ = other.client_;
  unanswered_since_ = other.unanswered_since_;
  timeline_ = other.timeline_;
  listener_ = other.listener_;
  node_ = other.node_;
  login_ = std::exchange(other.login_, Login::kOver);
  slots_ = std::exchange(other.slots_, nullptr);
  slots.link(*this);
  return *this;
}

void NodeSlot::enter(Login login) { slots_->count(*this, std::exchange(login_, login), login); }

void NodeSlot::login_awaits_client() {
  if (login_ != Login::kInFlight) return;
  unanswered_since_ = NodeSlots::Clock::now();
  enter(Login::kAwaitsClient);
}

void NodeSlot::login_goes_on() {
  if (login_ == Login::kAwaitsClient) enter(Login::kInFlight);
}

void NodeSlot::login_over() {
  if (login_ != Login::kOver) enter(Login::kOver);
}

void NodeSlot::give_back() {
  if (slots_ == nullptr) return;
  login_over();
  slots_->unlink(*this);
  slots_->counters_.nodes[node_].sessions.fetch_sub(1, std::memory_order_relaxed);
  slots_->counters_.by_listener[listener_]->by_node[node_].sessions.leave();
  slots_ = nullptr;
}

NodeSlots::NodeSlots(RunningPtr running, Counters& counters, std::size_t worker)
    : running_(std::move(running)),
      counters_(counters),
      worker_(worker),
      logins_(kMaxNodes),
      queues_(kMaxListeners),
      next_purge_(kMaxListeners) {}

void NodeSlots::adopt(RunningPtr running) {
  running_ = std::move(running);
  for (std::size_t i = 0; i < kMaxClusters; ++i) {
    if (running_->cluster(i) == nullptr) clusters_[i].topology.reset();
  }
  release_due_ = ~Bits{0};  // limits may have grown
}

void NodeSlots::link(NodeSlot& slot) {
  NodeSlot*& first = of_listener(slot.listener_).first;
  slot.previous_ = nullptr;
  slot.next_ = first;
  if (first != nullptr) first->previous_ = &slot;
  first = &slot;
}

void NodeSlots::unlink(NodeSlot& slot) {
  NodeSlot*& first = of_listener(slot.listener_).first;
  (slot.previous_ != nullptr ? slot.previous_->next_ : first) = slot.next_;
  if (slot.next_ != nullptr) slot.next_->previous_ = slot.previous_;
}

std::uint64_t NodeSlots::adopt(TopologyPtr topology) {
  Cluster& cluster = clusters_[topology->cluster];
  release_due_ |= Bits{1} << topology->cluster;
  cluster.topology = std::move(topology);
  cluster.silent_on_trial.clear();
  std::uint64_t ended = 0;
  for (NodeSlot* slot = cluster.first; slot != nullptr; slot = slot->next_) {
    const Topology& now = *cluster.topology;
    if (permits(now, slot->listener_, slot->node_, slot->timeline_)) continue;
    const Verdict& verdict = now.pools[slot->listener_].by_node[slot->node_];
    const std::string& node = now.nodes[slot->node_].name;
    if (slot->user_->ending()) continue;
    if (!slot->user_->survives_node()) ++ended;
    slot->user_->end(EndReason::kRoleLost, "pgsteer: " + node + ": " + verdict.why);
  }
  return ended;
}

// A slot that one worker frees is offered to its own waiting clients first. With one limit for all
// workers the others would hardly ever see a free slot, so each has its share, and at least one.
std::uint32_t NodeSlots::login_limit(std::size_t listener) const {
  const std::uint32_t limit = listen(listener).logins_in_flight;
  if (limit == 0) return 0;
  const std::uint32_t rest = worker_ < limit % counters_.workers ? 1 : 0;
  return std::max(1U, limit / counters_.workers + rest);
}

NodeSlots::Logins NodeSlots::Cluster::of_client(std::uint64_t client) const {
  const auto logins = logins_of.find(client);
  return logins != logins_of.end() ? logins->second : Logins{};
}

// A login that its client does not answer holds one of the server's connections all the same. So
// an address that has its share begins none while open_limit() are open; others may, up to twice as
// many.
bool NodeSlots::busy(std::size_t node, const SlotRequest& request) const {
  const Logins& logins = logins_[node];
  const Cluster& cluster = of_listener(request.listener);
  // One login at a time finds out what the node is, before others follow.
  const Verdict& verdict = cluster.topology->pools[request.listener].by_node[node];
  if (verdict.reason == Reason::kTrial) return logins.open() > 0;
  const std::uint32_t limit = login_limit(request.listener);
  if (limit == 0) return false;
  const std::uint32_t most = open_limit(limit);
  if (logins.in_flight >= limit || logins.open() >= 2 * most) return true;
  return logins.open() >= most && cluster.of_client(request.client).open() >= share_of(most);
}

Route NodeSlots::route_for(const SlotRequest& request) const {
  const TopologyPtr& topology = topology_for(request.listener);
  // A listener that had another `to` for the checker has no nodes yet.
  const Pool* const pool = topology ? pool_of(*topology, request.listener) : nullptr;
  if (pool == nullptr || pool->to != listen(request.listener).to) return {};
  std::array<NodeLoad, kMaxNodes> load;
  const std::size_t nodes = topology->nodes.size();
  std::uint64_t leave_out = request.tried;
  for (std::size_t i = 0; i < nodes; ++i) {
    const NodeConfig* const config = running_->node(i);
    if (config == nullptr || config->leaving) {
      leave_out |= std::uint64_t{1} << i;  // the checker may not have heard of it
      continue;
    }
    load[i].sessions = counters_.nodes[i].sessions.load(std::memory_order_relaxed);
    load[i].max_sessions = config->max_connections;
    load[i].busy = busy(i, request);
  }
  return route({.topology = *topology,
                .listener = request.listener,
                .balance = listen(request.listener).balance,
                .load = std::span(load).first(nodes),
                .tried = leave_out,
                .turn = counters_.turn.load(std::memory_order_relaxed),
                .random = request.session,
                .client_hash = request.client_hash});
}

RouteOutcome NodeSlots::take(SlotRequest& request) {
  for (;;) {
    const Route next = route_for(request);
    if (next.outcome != RouteOutcome::kNode) return next.outcome;
    if (!reserve(next.node)) continue;  // another worker took the last place: it is full now
    bind(request, next.node);
    return next.outcome;
  }
}

// Workers that look at the same moment do not exceed the node's limit.
bool NodeSlots::reserve(std::size_t node) {
  std::atomic<std::uint32_t>& sessions = counters_.nodes[node].sessions;
  const std::uint32_t limit = running_->node(node)->max_connections;
  std::uint32_t seen = sessions.load(std::memory_order_relaxed);
  do {
    if (limit != 0 && seen >= limit) return false;
  } while (!sessions.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
  return true;
}

void NodeSlots::bind(SlotRequest& request, std::size_t node) {
  counters_.turn.fetch_add(1, std::memory_order_relaxed);
  counters_.by_listener[request.listener]->by_node[node].sessions.enter();
  NodeSlot& slot = request.granted;
  slot.slots_ = this;
  slot.user_ = request.user;
  slot.timeline_ = topology_for(request.listener)->timeline;
  slot.listener_ = static_cast<std::uint16_t>(request.listener);
  slot.node_ = static_cast<std::uint8_t>(node);
  slot.client_ = request.client;
  slot.enter(NodeSlot::Login::kInFlight);
  link(slot);
}

// A login goes from one state to the next.
void NodeSlots::count(const NodeSlot& slot, NodeSlot::Login from, NodeSlot::Login to) {
  using Login = NodeSlot::Login;
  auto& logins_of = of_listener(slot.listener_).logins_of;
  const auto client = logins_of.try_emplace(slot.client_).first;
  if (to != Login::kOver) {
    ++logins_[slot.node_].of(to);
    ++client->second.of(to);
  }
  if (from == Login::kOver) return;
  --logins_[slot.node_].of(from);
  --client->second.of(from);
  if (client->second.open() == 0) logins_of.erase(client);
  if (to != Login::kInFlight) let_release(slot.listener_);
}

bool NodeSlots::too_many_logins(const SlotRequest& request) const {
  return route_for(request).outcome == RouteOutcome::kBusy;
}

bool NodeSlots::has_its_share(const SlotRequest& request) const {
  const Cluster& cluster = of_listener(request.listener);
  if (cluster.silent_on_trial.contains(request.client)) return true;
  const std::uint32_t limit = login_limit(request.listener);
  const Logins logins = cluster.of_client(request.client);
  return limit != 0 &&
         (logins.in_flight >= share_of(limit) || logins.open() >= share_of(open_limit(limit)));
}

// The limit is the listener's, over all workers. Where it is reached, a client whose address has
// few waiting takes the place of one whose address has many.
bool NodeSlots::hold(SlotRequest& request, Clock::time_point now) {
  ListenerCounters& counters = *counters_.by_listener[request.listener];
  HoldQueue& queue = queues_[request.listener];
  if (!counters.held.enter_below(listen(request.listener).hold_sessions)) {
    const SlotRequest* const last = queue.last_of_most();
    if (last == nullptr) return false;
    if (queue.count(last->client) <= 2 * (queue.count(request.client) + 1)) return false;
    last->user->end(EndReason::kHoldFull, {});
    counters.held.enter();  // the other one leaves in a moment
  }
  // A client whose node has failed it comes back to its place, not to the end of the queue.
  queue.add(request);
  if (!has_its_share(request)) let_release(request.listener);  // it may pass others
  if (request.held_since == Clock::time_point{}) request.held_since = now;
  return true;
}

void NodeSlots::unhold(SlotRequest& request, Clock::time_point now, bool served) {
  if (!queues_[request.listener].remove(request)) return;
  ListenerCounters& counters = *counters_.by_listener[request.listener];
  counters.held.leave();
  const auto waited = now - request.held_since;
  counters.hold.record(std::chrono::duration_cast<std::chrono::microseconds>(waited));
  if (!served) return;
  Held& held = of_listener(request.listener).held;
  ++held.sessions;
  held.longest =
      std::max(held.longest, std::chrono::duration_cast<std::chrono::milliseconds>(waited));
  released_ |= Bits{1} << running_->cluster_of_listener(request.listener);
}

NodeSlots::Held NodeSlots::take_held(std::size_t cluster) {
  released_ &= ~(Bits{1} << cluster);
  return std::exchange(clusters_[cluster].held, {});
}

bool NodeSlots::anyone_held() const {
  return std::any_of(queues_.begin(), queues_.end(), [](const auto& q) { return !q.empty(); });
}

// A request that waits only for nodes which failed it, or for the one node of its address, does not
// stop those behind it.
HoldQueue::Next NodeSlots::grant(SlotRequest& request, Clock::time_point now) {
  if (request.granted || request.user->ending()) return HoldQueue::Next::kRequest;
  if (request.tried != 0 && now >= request.retry_at) request.tried = 0;
  const RouteOutcome outcome = take(request);
  if (outcome == RouteOutcome::kNode) request.user->resume_soon();
  if (outcome == RouteOutcome::kFull) request.user->end(EndReason::kNodeFull, {});
  const bool sticky = listen(request.listener).balance == Balance::kClientAddress;
  if (outcome == RouteOutcome::kBusy && sticky) return HoldQueue::Next::kAddress;
  const bool nothing = outcome == RouteOutcome::kBusy || outcome == RouteOutcome::kNobody;
  return nothing ? HoldQueue::Next::kStop : HoldQueue::Next::kRequest;
}

void NodeSlots::release(Clock::time_point now) {
  release_due_ = ~Bits{0};
  release_where_due(now);
}

void NodeSlots::release_where_due(Clock::time_point now) {
  const Bits due = std::exchange(release_due_, 0);
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    if (queues_[i].empty() || (due >> running_->cluster_of_listener(i) & 1) == 0) continue;
    release_listener(i, now);
  }
}

// First those whose address has less than its share, then, if places are left, everybody: a single
// address may use them all while nobody else waits.
void NodeSlots::release_listener(std::size_t listener, Clock::time_point now) {
  const HoldQueue& queue = queues_[listener];
  bool passed = false;
  bool anyone_waits = false;  // for a place
  bool stopped = false;
  const auto offer = [&](SlotRequest& request) {
    const HoldQueue::Next next = grant(request, now);
    anyone_waits |= next != HoldQueue::Next::kRequest;
    stopped = next == HoldQueue::Next::kStop;
    return next;
  };
  queue.visit([&](SlotRequest& request) {
    if (request.granted || !has_its_share(request)) return offer(request);
    passed = true;
    return HoldQueue::Next::kAddress;
  });
  if (passed && !stopped) queue.visit(offer);
  if (anyone_waits && topology_for(listener)) end_unanswered(listener, now);
}

// As many as wait, if they stand in the way: on a node that takes no more, and of an address that
// has its share, unless there is no place for anybody. First those of the busiest address, and of
// these the oldest.
void NodeSlots::end_unanswered(std::size_t listener, Clock::time_point now) {
  const std::uint32_t most = open_limit(login_limit(listener));
  if (most == 0 || now < next_purge_[listener]) return;
  next_purge_[listener] = now + kPurgePause;
  Cluster& cluster = of_listener(listener);
  const Pool* const pool = pool_of(*cluster.topology, listener);
  if (pool == nullptr) return;
  const auto& verdicts = pool->by_node;
  std::vector<std::pair<std::uint32_t, NodeSlot*>> late;  // with the logins of its address
  for (NodeSlot* slot = cluster.first; slot != nullptr; slot = slot->next_) {
    if (slot->login_ != NodeSlot::Login::kAwaitsClient || slot->user_->ending()) continue;
    if (now - slot->unanswered_since_ < kPatience) continue;
    if (verdicts[slot->node_].admission != Admission::kAdmit) continue;
    const std::uint32_t on_node = logins_[slot->node_].open();
    const std::uint32_t of_its = cluster.of_client(slot->client_).open();
    const bool full = on_node >= 2 * most || verdicts[slot->node_].reason == Reason::kTrial;
    if (full || (on_node >= most && of_its >= share_of(most))) late.emplace_back(of_its, slot);
  }
  std::ranges::sort(late, [](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    return a.second->unanswered_since_ < b.second->unanswered_since_;
  });
  late.resize(std::min(late.size(), queues_[listener].size()));
  for (const auto& [_, slot] : late) {
    if (verdicts[slot->node_].reason == Reason::kTrial)
      cluster.silent_on_trial.insert(slot->client_);
    slot->user_->end(EndReason::kCrowdedOut, "pgsteer: others waited for the place of this login");
  }
}

}  // namespace pgsteer
