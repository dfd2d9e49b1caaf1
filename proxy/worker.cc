#include "proxy/worker.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "proxy/routing/route.h"

namespace pgsteer {

namespace {

// Connections that have said nothing yet may take this part of the descriptors; beyond it the
// oldest has to go.
constexpr rlim_t kStartupShare = 8;
constexpr rlim_t kMaxStartups = 2'000;
// How old "the checks stopped 6 s ago" may become.
constexpr std::chrono::seconds kSentenceKept{1};

// A look for gone peers costs about a microsecond for a session that has sent something since the
// last one, and a few nanoseconds for one that has not. At most so many of either are looked at at
// once.
constexpr std::size_t kLooks = 64;
constexpr std::size_t kVisits = 1'000;
constexpr std::chrono::milliseconds kLookInterval{100};
constexpr std::chrono::seconds kLookRound{5};
// Slices that are this late were not late but stopped: the process, or its machine, stood still.
constexpr std::chrono::seconds kStoodStill{2};

std::size_t startup_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 100;
  return std::clamp<rlim_t>(limit.rlim_cur / kStartupShare, 16, kMaxStartups);
}

}  // namespace

Worker::Worker(RunningPtr running, std::size_t index, Counters& counters, SessionLinks links,
               WorkerOutput output, TlsContextsPtr tls)
    : running_(std::move(running)),
      index_(index),
      counters_(counters),
      links_(std::move(links)),
      output_(std::move(output)),
      tls_(std::move(tls)),
      bytes_(kMaxListeners, kMaxNodes),
      slots_(running_, counters, index),
      startups_(startup_limit()),
      handshake_turns_(loop_),
      cancels_(loop_, kMaxNodes),
      services_(services()),
      table_([](const Session& session) { return session.view(Clock::now()); }),
      housekeeping_(loop_, this, &keep_house) {
  watch_peers();
  in_force_.store(running_->number, std::memory_order_release);
  for (std::size_t i = 0; i < kMaxClusters; ++i) clusters_[i].report.cluster = i;
  loop_.on_watchdog(this, [](void* self) { static_cast<Worker*>(self)->look_at_deadlines(); });
}

Worker::~Worker() {
  retired_.clear();
  while (first_ != nullptr) {
    Session* const session = first_;
    first_ = session->next;
    delete session;
  }
}

SessionServices Worker::services() {
  return {
      .running = running_,
      .loop = loop_,
      .relay = relay_,
      .slots = slots_,
      .counters = counters_,
      .bytes = bytes_,
      .startups = startups_,
      .handshake_turns = handshake_turns_,
      .cancels = cancels_,
      .keys = keys_,
      .links = links_,
      .tls = tls_,
      .stopping = stopping_,
      .worker = index_,
      .node_spoke = [this](std::size_t listener) { node_spoke(listener); },
      .told_role_lost = [this](std::size_t listener) { ++of_listener(listener).report.cut_told; },
      .server_ended = [this](std::size_t listener) { server_ended(listener); },
      .retired = [this](Session& session) { retire(session); },
  };
}

// A slot that was vacant counts from nothing.
void Worker::use(RunningPtr running, TlsContextsPtr tls) {
  for (std::size_t l = 0; l < kMaxListeners; ++l) {
    for (std::size_t n = 0; n < kMaxNodes; ++n) {
      const bool fresh = (running_->node(n) == nullptr && running->node(n) != nullptr) ||
                         (running_->listener(l) == nullptr && running->listener(l) != nullptr);
      if (fresh) bytes_.at(l, n).reset();
    }
  }
  running_ = std::move(running);
  tls_ = std::move(tls);
  slots_.adopt(running_);
  for (std::size_t i = 0; i < kMaxClusters; ++i) {
    if (running_->cluster(i) != nullptr) continue;
    clusters_[i] = {};  // the next one in this slot begins anew
    clusters_[i].report.cluster = i;
  }
  set_watchdog();
  watch_peers();
  in_force_.store(running_->number, std::memory_order_release);
}

void Worker::run() {
  while (!stopping_ || first_ != nullptr) {
    loop_.turn();
    if (slots_.release_due()) slots_.release_where_due(Clock::now());
    const bool needed = stopping_ || slots_.anyone_held();
    if (needed && !housekeeping_.armed()) housekeeping_.set_after(EventLoop::kTick);
    if (any_report_due_ || slots_.any_released()) take_reports();
    retired_.clear();
    if (table_.pending()) describe_some();
  }
  table_.finish();
}

void Worker::describe_some() {
  table_.step();
  if (table_.pending()) loop_.post([] {});  // the next turn does not wait
}

void Worker::keep_house(void* owner) {
  auto& worker = *static_cast<Worker*>(owner);
  const auto now = Clock::now();
  worker.slots_.release(now);  // nodes that have failed a client are tried again after a moment
  worker.end_for_stop(now);
}

void Worker::take(AcceptedClient client) {
  counters_.by_listener[client.listener]->sessions.enter();
  const auto id = counters_.next_session.fetch_add(1, std::memory_order_relaxed);
  auto* const session = new Session(services_, std::move(client), id);
  session->next = first_;
  if (first_ != nullptr) first_->previous = session;
  first_ = session;
  ++count_;
  session->start();
}

void Worker::retire(Session& session) {
  table_.leaves(session);
  (session.previous != nullptr ? session.previous->next : first_) = session.next;
  if (session.next != nullptr) session.next->previous = session.previous;
  --count_;
  if (round_.next == &session) round_.next = session.next;
  links_.left(index_, session.listener(), session.client_address(), session.counted());
  retired_.emplace_back(&session);
}

Session* Worker::find(std::uint64_t id) const {
  for (Session* s = first_; s != nullptr; s = s->next) {
    if (s->id() == id) return s;
  }
  return nullptr;
}

void Worker::adopt(TopologyPtr topology) {
  if (running_->cluster(topology->cluster) == nullptr) return;
  Cluster& cluster = clusters_[topology->cluster];
  if (cluster.published && topology->generation < cluster.published->generation) return;
  cluster.published = std::move(topology);
  cluster.published_at = Clock::now();
  act_on_published(cluster);
  set_watchdog();
}

// Once for each publication, and when its deadline has passed; from then on once a second, because
// the sentence says how long ago that was.
void Worker::act_on_published(Cluster& cluster) {
  const auto now = Clock::now();
  const auto& valid_until = cluster.published->valid_until;
  const bool expires = valid_until && now >= *valid_until;
  cluster.look_again = expires ? now + kSentenceKept : valid_until;
  TopologyPtr topology = cluster.published;
  if (expires) {
    topology = std::make_shared<const Topology>(
        pgsteer::expired(*cluster.published, now - cluster.published_at));
  }
  const TopologyPtr& in_force = slots_.topology_of(topology->cluster);
  const bool renewal =
      in_force && in_force->generation == topology->generation && expires == cluster.expired;
  cluster.expired = expires;
  if (renewal) return slots_.renew(std::move(topology));
  enter_into_force(cluster, topology);
}

void Worker::look_at_deadlines() {
  const auto now = Clock::now();
  for (Cluster& cluster : clusters_) {
    if (cluster.look_again && now >= *cluster.look_again) act_on_published(cluster);
  }
  set_watchdog();
}

// At the earliest deadline of all clusters.
void Worker::set_watchdog() {
  std::optional<Clock::time_point> first;
  for (const Cluster& cluster : clusters_) {
    if (cluster.look_again && (!first || *cluster.look_again < *first)) first = cluster.look_again;
  }
  loop_.set_watchdog(first);
}

void Worker::enter_into_force(Cluster& cluster, const TopologyPtr& topology) {
  cluster.report.generation = topology->generation;
  if (!topology->primary) cluster.primary_reached = false;
  const std::uint64_t cut = slots_.adopt(topology);
  cluster.report.cut += cut;
  if (cut > 0) report_soon(cluster);
  if (output_.adopted) output_.adopted(topology, cluster.expired);
}

void Worker::node_spoke(std::size_t listener) {
  Cluster& cluster = of_listener(listener);
  if (cluster.primary_reached || running_->listener(listener)->to != Target::kPrimary) return;
  cluster.primary_reached = true;
  cluster.report.first_primary_session = true;
  report_soon(cluster);
}

void Worker::server_ended(std::size_t listener) {
  if (running_->listener(listener)->to != Target::kPrimary) return;
  WorkerReport& report = of_listener(listener).report;
  ++report.server_ended;
  if (!report.first_server_ended) report.first_server_ended = Clock::now();
  report_soon(of_listener(listener));
}

void Worker::take_reports() {
  for (std::size_t i = 0; i < kMaxClusters; ++i) {
    const NodeSlots::Held held = slots_.take_held(i);
    WorkerReport& report = clusters_[i].report;
    report.held += held.sessions;
    report.held_longest = std::max(report.held_longest, held.longest);
    if (held.sessions > 0) report_soon(clusters_[i]);
  }
  // Not before everybody who is cut has been told. Handshakes may wait for much longer.
  const std::size_t others = handshake_turns_.wakeup_pending() ? 1 : 0;
  if (loop_.wakeups_left() > others) return;
  any_report_due_ = false;
  for (Cluster& cluster : clusters_) {
    if (cluster.report_due) report(cluster);
  }
}

void Worker::report(Cluster& cluster) {
  cluster.report_due = false;
  cluster.report.at = Clock::now();
  output_.report(cluster.report);
  WorkerReport next;
  next.cluster = cluster.report.cluster;
  next.generation = cluster.report.generation;
  cluster.report = next;
}

void Worker::stop(Clock::time_point limit, Clock::time_point unreadable_limit) {
  stopping_ = true;
  stop_limit_ = limit;
  stop_limit_unreadable_ = unreadable_limit;
  end_for_stop(Clock::now());
}

void Worker::end_for_stop(Clock::time_point now) {
  if (!stopping_) return;
  const auto silence = running_->config.server.shutdown_silence_unreadable;
  for (Session* s = first_; s != nullptr; s = s->next) {
    const auto limit = s->readable() ? stop_limit_ : stop_limit_unreadable_;
    if (now >= limit) {
      s->stop_now();
    } else if (s->idle() || s->silent(now, silence)) {
      s->stop();
    }
  }
}

// With `user_timeout` = 0 the kernel alone decides, after about 15 minutes (tcp_retries2).
void Worker::watch_peers() {
  const Clock::duration timeout = running_->config.server.user_timeout;
  if (timeout.count() == 0) return;
  using std::chrono::milliseconds;
  const auto part = std::chrono::duration_cast<milliseconds>(timeout / 8);
  round_.interval = std::clamp(part, EventLoop::kTick, kLookInterval);
  round_.length = std::min<Clock::duration>(timeout / 4, kLookRound);
  loop_.on_interval(
      this, [](void* self) { static_cast<Worker*>(self)->look_at_peers(Clock::now()); },
      round_.interval);
}

void Worker::look_at_peers(Clock::time_point now) {
  if (running_->config.server.user_timeout.count() == 0) return;  // since a reload
  if (now - round_.last >= round_.interval + kStoodStill) round_.counts_from = now;
  round_.last = now;
  if (round_.next == nullptr && now - round_.began >= round_.length) {
    round_.next = first_;
    round_.began = now;
  }
  const auto slices = static_cast<std::size_t>(round_.length / round_.interval) + 1;
  const std::size_t visits = std::min(count_ / slices + 1, kVisits);
  std::size_t looks = 0;
  for (std::size_t i = 0; i < visits && looks < kLooks && round_.next != nullptr; ++i) {
    Session& session = *std::exchange(round_.next, round_.next->next);
    if (session.look_at_peers(now, round_.counts_from, running_->config.server.user_timeout))
      ++looks;
  }
}

bool Worker::answer_admission(std::uint64_t id, EndReason refuse) {
  Session* const session = find(id);
  if (session != nullptr) session->admitted(refuse);
  return session != nullptr;
}

void Worker::answer_key(std::uint64_t id, const std::optional<KeyOwner>& owner) {
  if (Session* const session = find(id)) session->key_found(owner);
}

void Worker::describe_sessions(std::function<void(std::vector<SessionView>)> done) {
  table_.begin(first_, count_, std::move(done));
}

}  // namespace pgsteer
