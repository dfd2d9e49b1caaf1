#include "proxy/routing/node_slots.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace pgsteer {

namespace {

// Of the logins in flight one client address gets this part, at least one, while others wait.
constexpr std::uint32_t kClientShare = 8;
// Requests of such addresses that one release() looks past.
constexpr std::size_t kMostPassed = 1'024;

}  // namespace

NodeSlot& NodeSlot::operator=(NodeSlot&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  if (!other) return *this;
  NodeSlots& slots = *other.slots_;
  slots.unlink(other);
  user_ = other.user_;
  client_ = other.client_;
  timeline_ = other.timeline_;
  listener_ = other.listener_;
  node_ = other.node_;
  login_ = std::exchange(other.login_, Login::kOver);
  slots_ = std::exchange(other.slots_, nullptr);
  slots.link(*this);
  return *this;
}

void NodeSlot::login_awaits_client() {
  if (login_ != Login::kInFlight) return;
  const Verdict& verdict = slots_->topology_->pools[listener_].by_node[node_];
  if (verdict.reason == Reason::kTrial) return;
  login_ = Login::kAwaitsClient;
  slots_->end_login(*this);
}

void NodeSlot::login_goes_on() {
  if (login_ != Login::kAwaitsClient) return;
  login_ = Login::kInFlight;
  slots_->begin_login(*this);
}

void NodeSlot::login_over() {
  if (std::exchange(login_, Login::kOver) == Login::kInFlight) slots_->end_login(*this);
}

void NodeSlot::give_back() {
  if (slots_ == nullptr) return;
  login_over();
  slots_->unlink(*this);
  slots_->counters_.nodes[node_].sessions.fetch_sub(1, std::memory_order_relaxed);
  slots_->counters_.by_listener[listener_]->by_node[node_].sessions.leave();
  slots_ = nullptr;
}

NodeSlots::NodeSlots(const Config& config, Counters& counters, std::size_t worker)
    : config_(config),
      counters_(counters),
      worker_(worker),
      logins_(config.nodes.size()),
      queues_(config.listen.size()) {}

void NodeSlots::link(NodeSlot& slot) {
  slot.previous_ = nullptr;
  slot.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &slot;
  first_ = &slot;
}

void NodeSlots::unlink(NodeSlot& slot) {
  (slot.previous_ != nullptr ? slot.previous_->next_ : first_) = slot.next_;
  if (slot.next_ != nullptr) slot.next_->previous_ = slot.previous_;
}

std::uint64_t NodeSlots::adopt(TopologyPtr topology) {
  topology_ = std::move(topology);
  release_due_ = true;
  std::uint64_t ended = 0;
  for (NodeSlot* slot = first_; slot != nullptr; slot = slot->next_) {
    const Target to = config_.listen[slot->listener_].to;
    if (permits(*topology_, slot->listener_, to, slot->node_, slot->timeline_)) continue;
    const Verdict& verdict = topology_->pools[slot->listener_].by_node[slot->node_];
    const std::string& node = topology_->nodes[slot->node_].name;
    if (slot->user_->ending()) continue;
    if (!slot->user_->survives_node()) ++ended;
    slot->user_->end(EndReason::kRoleLost, "pgsteer: " + node + ": " + verdict.why);
  }
  return ended;
}

// A slot that one worker frees is offered to its own waiting clients first. With one limit for all
// workers the others would hardly ever see a free slot, so each has its share, and at least one.
std::uint32_t NodeSlots::login_share(std::uint32_t limit) const {
  if (limit == 0) return 0;
  const std::uint32_t rest = worker_ < limit % counters_.workers ? 1 : 0;
  return std::max(1U, limit / counters_.workers + rest);
}

Route NodeSlots::route_for(const SlotRequest& request) const {
  if (!topology_) return {};
  const ListenConfig& listen = config_.listen[request.listener];
  std::array<NodeLoad, kMaxNodes> load;
  const std::size_t nodes = config_.nodes.size();
  const std::uint32_t max_logins = login_share(listen.logins_in_flight);
  const auto& verdicts = topology_->pools[request.listener].by_node;
  for (std::size_t i = 0; i < nodes; ++i) {
    load[i].sessions = counters_.nodes[i].sessions.load(std::memory_order_relaxed);
    load[i].max_sessions = config_.nodes[i].max_connections;
    load[i].logins = logins_[i];
    // One login at a time finds out what the node is, before others follow.
    load[i].max_logins = verdicts[i].reason == Reason::kTrial ? 1 : max_logins;
  }
  return route({.topology = *topology_,
                .listener = request.listener,
                .balance = listen.balance,
                .load = std::span(load).first(nodes),
                .tried = request.tried,
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
  const std::uint32_t limit = config_.nodes[node].max_connections;
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
  slot.timeline_ = topology_->timeline;
  slot.listener_ = static_cast<std::uint16_t>(request.listener);
  slot.node_ = static_cast<std::uint8_t>(node);
  slot.client_ = request.client;
  slot.login_ = NodeSlot::Login::kInFlight;
  begin_login(slot);
  link(slot);
}

void NodeSlots::begin_login(const NodeSlot& slot) {
  ++logins_[slot.node_];
  ++logins_of_[slot.client_];
}

void NodeSlots::end_login(const NodeSlot& slot) {
  --logins_[slot.node_];
  const auto client = logins_of_.find(slot.client_);
  if (--client->second == 0) logins_of_.erase(client);
  release_due_ = true;
}

bool NodeSlots::too_many_logins(const SlotRequest& request) const {
  return route_for(request).outcome == RouteOutcome::kBusy;
}

bool NodeSlots::has_its_share(const SlotRequest& request) const {
  const std::uint32_t limit = login_share(config_.listen[request.listener].logins_in_flight);
  if (limit == 0) return false;
  const auto client = logins_of_.find(request.client);
  return client != logins_of_.end() && client->second >= std::max(1U, limit / kClientShare);
}

// The limit is the listener's, over all workers.
bool NodeSlots::hold(SlotRequest& request, Clock::time_point now) {
  ListenerCounters& counters = *counters_.by_listener[request.listener];
  if (!counters.held.enter_below(config_.listen[request.listener].hold_sessions)) return false;
  // A client whose node has failed it comes back to its place, not to the end of the queue.
  std::deque<SlotRequest*>& queue = queues_[request.listener];
  auto at = queue.end();
  while (at != queue.begin() && (*std::prev(at))->arrived > request.arrived) --at;
  queue.insert(at, &request);
  if (request.held_since == Clock::time_point{}) request.held_since = now;
  return true;
}

void NodeSlots::unhold(SlotRequest& request, Clock::time_point now, bool served) {
  std::deque<SlotRequest*>& queue = queues_[request.listener];
  // Mostly the first: the queue is served, and clients run out of time, in order.
  const auto at = std::find(queue.begin(), queue.end(), &request);
  if (at == queue.end()) return;
  queue.erase(at);
  ListenerCounters& counters = *counters_.by_listener[request.listener];
  counters.held.leave();
  const auto waited = now - request.held_since;
  counters.hold.record(std::chrono::duration_cast<std::chrono::microseconds>(waited));
  if (!served) return;
  ++held_.sessions;
  held_.longest =
      std::max(held_.longest, std::chrono::duration_cast<std::chrono::milliseconds>(waited));
}

bool NodeSlots::anyone_held() const {
  return std::any_of(queues_.begin(), queues_.end(), [](const auto& q) { return !q.empty(); });
}

// False: there is nothing for those behind it either. A request that waits only for nodes which
// failed it does not stop them.
bool NodeSlots::grant(SlotRequest& request, Clock::time_point now) {
  if (request.granted || request.user->ending()) return true;
  if (request.tried != 0 && now >= request.retry_at) request.tried = 0;
  const RouteOutcome outcome = take(request);
  if (outcome == RouteOutcome::kNode) request.user->resume_soon();
  if (outcome == RouteOutcome::kFull) request.user->end(EndReason::kNodeFull, {});
  return outcome == RouteOutcome::kNode || outcome == RouteOutcome::kFull ||
         outcome == RouteOutcome::kTried;
}

// First those whose address has less than its share, then, if places are left, everybody: a single
// address may use them all while nobody else waits.
void NodeSlots::release(Clock::time_point now) {
  release_due_ = false;
  for (const std::deque<SlotRequest*>& queue : queues_) {
    std::size_t passed = 0;
    bool places = true;
    for (SlotRequest* const request : queue) {
      if (!request->granted && has_its_share(*request)) {
        // The scan is bounded: thousands of one stranger's requests may wait here.
        if (++passed == kMostPassed) break;
        continue;
      }
      places = grant(*request, now);
      if (!places) break;
    }
    if (passed == 0) continue;
    for (auto at = queue.begin(); places && at != queue.end(); ++at) places = grant(**at, now);
  }
}

}  // namespace pgsteer
