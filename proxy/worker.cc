#include "proxy/worker.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pgsteer {

namespace {

// How often deadlines, retries and a stop are looked at while there are any. Nothing in a session
// is bounded more tightly than this.
constexpr std::chrono::milliseconds kTick{20};
// Sessions woken in one turn of the loop, so that cutting thousands does not keep the rest waiting:
// before the next ones are woken all that is ready has its turn, within reason.
constexpr std::size_t kWakesPerTurn = 16;
constexpr int kWaitsPerTurn = 8;
constexpr std::chrono::seconds kCancelTime{5};
// Connections that have said nothing yet may take this part of the descriptors; beyond it the
// oldest has to go.
constexpr rlim_t kGreetingShare = 8;
constexpr rlim_t kMostGreeting = 2'000;

std::size_t greeting_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 100;
  return std::clamp<rlim_t>(limit.rlim_cur / kGreetingShare, 16, kMostGreeting);
}

}  // namespace

TlsContextsPtr make_tls_contexts(const Config& config) {
  auto contexts = std::make_shared<TlsContexts>();
  for (const ListenConfig& listen : config.listen) {
    const bool terminates = listen.tls == ClientTls::kTerminate;
    contexts->listeners.push_back(terminates ? make_listener_context(listen) : nullptr);
  }
  contexts->node = make_node_context(config.node_tls);
  return contexts;
}

Worker::Worker(const Config& config, std::size_t index, Counters& counters, WorkerLinks links,
               TlsContextsPtr tls)
    : config_(config),
      index_(index),
      counters_(counters),
      links_(std::move(links)),
      tls_(std::move(tls)),
      bytes_(config.listen.size(), config.nodes.size()),
      most_greeting_(greeting_limit()),
      held_(config.listen.size()),
      logins_(config.nodes.size()) {
  bell_.fd.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell_.fd) throw std::system_error(errno, std::generic_category(), "eventfd");
  bell_.owner = this;
  bell_.ready = [](void* owner, Watch& bell, std::uint32_t) {
    auto& worker = *static_cast<Worker*>(owner);
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto n = ::read(bell.fd.get(), &rings, sizeof rings);
    worker.rung_.store(false, std::memory_order_seq_cst);
    worker.mailbox_.poll();
  };
  context_.poller.want(bell_, EPOLLIN);
}

Worker::~Worker() {
  while (first_ != nullptr) {
    Session* session = first_;
    first_ = session->next;
    delete session;
  }
}

void Worker::ring() {
  if (rung_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(bell_.fd.get(), &one, sizeof one);
}

int Worker::wait_limit() const {
  if (queue_next_ < queue_.size()) return 0;
  const bool ticking =
      !deadlines_.empty() || !cancels_.empty() || stopping_ || release_due_ || ticks_wanted_ ||
      std::any_of(held_.begin(), held_.end(), [](const HoldQueue& q) { return !q.empty(); });
  return ticking ? static_cast<int>(kTick.count()) : -1;
}

void Worker::run() {
  while (!stopping_ || first_ != nullptr) turn();
}

void Worker::turn() {
  bool more = context_.poller.wait(wait_limit());
  for (int waits = 1; more && waits < kWaitsPerTurn; ++waits) more = context_.poller.wait(0);
  run_queue();
  const auto now = Clock::now();
  if (release_due_) release_held(now);
  if (now >= next_tick_) {
    next_tick_ = now + kTick;
    check_deadlines(now);
    release_held(now);
    check_stop(now);
    std::erase_if(cancels_,
                  [now](const Running& r) { return r.cancel->finished() || now >= r.until; });
    if (ticks_wanted_) on_tick_(now);
  }
  if (feedback_due_ && queue_next_ >= queue_.size()) report();
  graves_.clear();
}

void Worker::run_queue() {
  for (std::size_t i = 0; i < kWakesPerTurn && queue_next_ < queue_.size(); ++i) {
    Session* session = queue_[queue_next_++];
    if (session == nullptr) continue;
    session->queued = false;
    session->wake();
  }
  if (queue_next_ >= queue_.size()) {
    queue_.clear();
    queue_next_ = 0;
  }
}

void Worker::enqueue(Session& session) {
  if (session.queued) return;
  session.queued = true;
  queue_.push_back(&session);
}

void Worker::take(AcceptedClient arrival) {
  const std::size_t listener = arrival.listener;
  counters_.by_listener[listener]->sessions.enter();
  const auto id = counters_.next_session.fetch_add(1, std::memory_order_relaxed);
  auto* session = new Session(*this, std::move(arrival), id);
  session->next = first_;
  if (first_ != nullptr) first_->previous = session;
  first_ = session;
  ++count_;
  session->start();
}

void Worker::bury(Session& session) {
  (session.previous != nullptr ? session.previous->next : first_) = session.next;
  if (session.next != nullptr) session.next->previous = session.previous;
  --count_;
  if (session.queued)
    std::replace(queue_.begin(), queue_.end(), &session, static_cast<Session*>(nullptr));
  links_.left(index_, session.listener(), session.peer(), session.counted());
  graves_.emplace_back(&session);
}

Session* Worker::find(std::uint64_t id) {
  for (Session* s = first_; s != nullptr; s = s->next) {
    if (s->id() == id) return s;
  }
  return nullptr;
}

// ---------------------------------------------------------------------------------------------
// Topology

void Worker::adopt(TopologyPtr topology) {
  topology_ = std::move(topology);
  std::uint64_t cut = 0;
  for (Session* s = first_; s != nullptr; s = s->next) {
    if (!s->bound() || s->ended() != EndReason::kNone) continue;
    const ListenConfig& listen = config_.listen[s->listener()];
    if (permits(*topology_, s->listener(), listen.to, s->node(), s->timeline())) continue;
    s->end(EndReason::kRoleLost, "pgsteer: " + topology_->nodes[s->node()].name + ": " +
                                     topology_->pools[s->listener()].by_node[s->node()].why);
    ++cut;
  }
  if (cut > 0) {
    feedback_.cut += cut;
    feedback_due_ = true;
  }
  feedback_.generation = topology_->generation;
  if (!topology_->primary) primary_reached_ = false;
  release_due_ = true;
}

// A slot that one worker frees serves its own waiting clients at once; with one pot for all the
// others would hardly ever see it. So each has its share of the bound, and never none.
std::uint32_t Worker::login_share(std::uint32_t bound) const {
  if (bound == 0) return 0;
  const std::uint32_t rest = index_ < bound % counters_.workers ? 1 : 0;
  return std::max(1U, bound / counters_.workers + rest);
}

Route Worker::route_for(const Session& session) {
  if (!topology_) return {};
  std::array<NodeLoad, kMaxNodes> load;
  const std::size_t nodes = config_.nodes.size();
  for (std::size_t i = 0; i < nodes; ++i) {
    load[i].sessions = counters_.nodes[i].sessions.load(std::memory_order_relaxed);
    load[i].max_sessions = config_.nodes[i].max_connections;
    load[i].logins = logins_[i];
    load[i].max_logins = login_share(config_.listen[session.listener()].logins_in_flight);
  }
  const auto turn = counters_.turn.load(std::memory_order_relaxed);
  return route({.topology = *topology_,
                .listener = session.listener(),
                .balance = config_.listen[session.listener()].balance,
                .load = std::span(load).first(nodes),
                .tried = session.tried(),
                .turn = turn,
                .random = session.id(),
                .client_hash = session.peer().hash()});
}

void Worker::bind(Session& session, std::size_t node) {
  session.bind(node, topology_->timeline);
  counters_.turn.fetch_add(1, std::memory_order_relaxed);
  counters_.nodes[node].sessions.fetch_add(1, std::memory_order_relaxed);
  counters_.by_listener[session.listener()]->by_node[node].sessions.enter();
  ++logins_[node];
}

void Worker::unbind(Session& session) {
  const std::size_t node = session.node();
  counters_.nodes[node].sessions.fetch_sub(1, std::memory_order_relaxed);
  counters_.by_listener[session.listener()]->by_node[node].sessions.leave();
  if (session.login_open()) login_over(session);
}

void Worker::login_over(Session& session) {
  --logins_[session.node()];
  release_due_ = true;
}

void Worker::node_answered(const Session& session) {
  if (primary_reached_ || config_.listen[session.listener()].to != Target::kPrimary) return;
  primary_reached_ = true;
  feedback_.first_primary_session = true;
  feedback_due_ = true;
}

// ---------------------------------------------------------------------------------------------
// Waiting

bool Worker::hold(Session& session) {
  // The bound is the listener's; each worker keeps its share of it, but never none.
  const std::uint64_t held = counters(session.listener()).held.now.load(std::memory_order_relaxed);
  if (held >= config_.listen[session.listener()].hold_sessions) return false;
  counters(session.listener()).held.enter();
  held_[session.listener()].add(&session);
  if (session.held_since_ == Clock::time_point{}) session.held_since_ = Clock::now();
  return true;
}

void Worker::unhold(Session& session) {
  held_[session.listener()].remove(&session);
  counters(session.listener()).held.leave();
  const auto waited = Clock::now() - session.held_since_;
  counters(session.listener())
      .hold.record(std::chrono::duration_cast<std::chrono::microseconds>(waited));
  if (session.ended() != EndReason::kNone) return;
  ++feedback_.held;
  feedback_.held_longest = std::max(feedback_.held_longest,
                                    std::chrono::duration_cast<std::chrono::milliseconds>(waited));
  feedback_due_ = true;
}

// In the order in which they came; one that must wait for its own reasons does not stop the others.
void Worker::release_held(Clock::time_point now) {
  release_due_ = false;
  for (HoldQueue& queue : held_) {
    for (std::size_t i = 0; i < queue.size(); ++i) {
      Session& session = *queue.at(i);
      if (session.bound() || session.ended() != EndReason::kNone) continue;
      if (session.tried() != 0 && session.may_retry(now)) session.forget_tried();
      const Route next = route_for(session);
      if (next.outcome == RouteOutcome::kNode) {
        bind(session, next.node);
        enqueue(session);
      } else if (next.outcome == RouteOutcome::kFull) {
        session.end(EndReason::kNodeFull);
      } else if (next.outcome != RouteOutcome::kTried) {
        break;
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Time

void Worker::set_deadline(Session& session, Clock::time_point at) {
  if (session.deadline_at == Clock::time_point{}) {
    session.deadline_slot = deadlines_.size();
    deadlines_.push_back(&session);
  }
  session.deadline_at = at;
}

void Worker::clear_deadline(Session& session) {
  if (session.deadline_at == Clock::time_point{}) return;
  session.deadline_at = {};
  Session* last = deadlines_.back();
  deadlines_.pop_back();
  if (last == &session) return;
  deadlines_[session.deadline_slot] = last;
  last->deadline_slot = session.deadline_slot;
}

void Worker::check_deadlines(Clock::time_point now) {
  for (std::size_t i = 0; i < deadlines_.size();) {
    Session* session = deadlines_[i];
    if (now >= session->deadline_at) {
      session->on_deadline();  // takes itself off the list, or sets a later one
      if (i < deadlines_.size() && deadlines_[i] == session && now >= session->deadline_at) ++i;
    } else {
      ++i;
    }
  }
}

// A stranger who connects and says nothing holds a descriptor for as long as the first packet may
// take. When there are too many of them, the oldest gives way to the newest.
void Worker::crowd_out() {
  Session* oldest = nullptr;
  for (Session* s : deadlines_) {
    if (s->phase() != Session::Phase::kGreeting || s->ended() != EndReason::kNone) continue;
    if (oldest == nullptr || s->id() < oldest->id()) oldest = s;
  }
  if (oldest != nullptr) oldest->end(EndReason::kCrowdedOut);
}

// ---------------------------------------------------------------------------------------------
// Ending, cancels, answers

void Worker::stop(Clock::time_point limit) {
  stopping_ = true;
  stop_limit_ = limit;
  next_tick_ = {};
}

void Worker::check_stop(Clock::time_point now) {
  if (!stopping_) return;
  for (Session* s = first_; s != nullptr; s = s->next) {
    const bool waits =
        s->phase() == Session::Phase::kHeld || s->phase() == Session::Phase::kGreeting;
    if (waits || s->idle() || now >= stop_limit_) s->end(EndReason::kShutdown);
  }
}

void Worker::send_cancel(const Address& to, std::vector<std::byte> packet) {
  cancels_.push_back({std::make_unique<OutgoingCancel>(context_.poller, std::vector<Address>{to},
                                                       std::move(packet), nullptr),
                      Clock::now() + kCancelTime});
}

bool Worker::answer_admission(std::uint64_t id, EndReason refuse) {
  Session* session = find(id);
  if (session != nullptr) session->admitted(refuse);
  return session != nullptr;
}

void Worker::answer_key(std::uint64_t id, const std::optional<Address>& address) {
  if (Session* session = find(id)) session->key_found(address);
}

std::optional<Address> Worker::find_key(std::uint32_t pid, std::span<const std::byte> key) const {
  for (const Session* s = first_; s != nullptr; s = s->next) {
    if (s->has_key(pid, key)) return s->server_address();
  }
  return std::nullopt;
}

std::vector<SessionView> Worker::sessions() const {
  std::vector<SessionView> views;
  views.reserve(count_);
  const auto now = Clock::now();
  for (const Session* s = first_; s != nullptr; s = s->next) views.push_back(s->view(now));
  return views;
}

void Worker::report() {
  feedback_due_ = false;
  feedback_.at = Clock::now();
  links_.report(feedback_);
  feedback_ = WorkerReport{.generation = feedback_.generation};
}

}  // namespace pgsteer
