#include "tests/simulation/invariants.h"

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Span kReply = milliseconds(130);
// Allows for events of one instant, and for a request that begins a millisecond late.
constexpr Span kGrain = milliseconds(20);
constexpr std::size_t kReadWrite = 0;

std::string seconds_text(Span d) {
  return std::to_string(std::chrono::duration<double>(d).count()) + " s";
}

}  // namespace

Invariants::Invariants(const Config& config, const ModelCluster& cluster,
                       const ModelSessions& sessions, const Agenda& agenda)
    : config_(config),
      cluster_(cluster),
      sessions_(sessions),
      agenda_(agenda),
      watch_(cluster.nodes.size()) {}

void Invariants::fail(std::string text) {
  if (violation.empty()) violation = std::move(text);
}

void Invariants::asked(const Request& request, Instant due_at_most) {
  if (request.kind == ProbeKind::kDatabase || request.kind == ProbeKind::kTls) return;
  Watch& w = watch_[request.node];
  w.slot_free = due_at_most;
  if (request.kind != ProbeKind::kLeader) w.other_ask = agenda_.now();
}

void Invariants::answered(const Evidence& evidence, const ModelNode& node) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, LeaderEvidence>) {
          Watch& w = watch_[e.node];
          w.slot_free = agenda_.now();
          w.shows_neither = e.report.answered() && !e.report.lease && !e.report.location;
          if (!e.report.answered() || !e.report.lease) return;
          w.proof_sent = e.sent;
          w.proof_received = e.received;
          w.read_shown = node.read_shown;
          w.proof_failsafe = e.report.failsafe;
        } else if constexpr (std::is_same_v<E, ConfigEvidence> ||
                             std::is_same_v<E, ClusterEvidence>) {
          watch_[e.node].slot_free = agenda_.now();
        }
      },
      evidence);
}

Instant Invariants::learning(std::size_t node, Instant from) const {
  const auto interval = config_.health.interval;
  const Span round = interval + interval / 10;
  const Watch& w = watch_[node];
  const Instant free = std::max(from, w.slot_free);
  return free + round + (w.other_ask + round >= from ? round : Span(0)) + kReply + kGrain;
}

// The deadline is set when the condition begins. Only a GET /config in between moves it, because it
// takes the place of the node's check in one round.
void Invariants::stand(Standing& s, bool holds, std::size_t learn_from) {
  if (!holds) {
    s.since.reset();
    return;
  }
  const Instant now = agenda_.now();
  if (!s.since) {
    s.since = now;
    s.must_be_known = learning(learn_from, now);
  } else if (now < s.must_be_known && watch_[learn_from].other_ask >= *s.since) {
    const Span round = config_.health.interval + config_.health.interval / 10;
    s.must_be_known = std::max(s.must_be_known, learning(learn_from, *s.since));
    s.must_be_known = std::min(s.must_be_known, *s.since + config_.health.timeout + 3 * round);
  }
}

std::optional<std::size_t> Invariants::outshining(std::size_t i) const {
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    if (k != i && cluster_.prompt(k) && !cluster_.foreign(k) && cluster_.shows_lease(k) &&
        cluster_.shows_write(k) && cluster_.nodes[k].timeline > cluster_.nodes[i].timeline) {
      return k;
    }
  }
  return std::nullopt;
}

void Invariants::update(std::size_t i) {
  Watch& w = watch_[i];
  const ModelNode& n = cluster_.nodes[i];
  const bool prompt = cluster_.prompt(i);
  const bool lease = cluster_.shows_lease(i);
  const bool rightful = cluster_.rightful(i);
  stand(w.wrong, !rightful, i);
  stand(w.unleased, !cluster_.leased(i), i);
  stand(w.denies,
        prompt && !lease && !n.writable() && n.recovery && n.postgres == PostgresLife::kRunning, i);
  stand(w.not_writable, prompt && !n.writable(), i);
  const auto brighter = outshining(i);
  stand(w.outshone, brighter.has_value(), brighter.value_or(i));

  auto higher = i;
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    const ModelNode& o = cluster_.nodes[k];
    const bool shows =
        cluster_.prompt(k) && !cluster_.foreign(k) && o.postgres == PostgresLife::kRunning;
    if (k != i && shows && o.timeline > n.timeline) higher = k;
  }
  stand(w.below, higher != i, higher);

  const auto leader = cluster_.store.leader;
  stand(w.usurped,
        leader && *leader != i && cluster_.prompt(*leader) && cluster_.shows_lease(*leader) &&
            cluster_.shows_write(*leader),
        leader.value_or(i));

  bool eclipsed = false;
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    eclipsed |= k != i && !cluster_.foreign(k) && cluster_.nodes[k].timeline > n.timeline;
  }
  stand(w.serves, first_round_done_ && rightful && prompt && lease && !eclipsed, i);
  update_silence(i);
}

// What speaks for a rightful primary while its Patroni is silent.
void Invariants::update_silence(std::size_t i) {
  Watch& w = watch_[i];
  const ModelNode& n = cluster_.nodes[i];
  const bool rightful = cluster_.rightful(i);
  bool witness = false;
  bool paused = cluster_.store.pause;
  bool member = false;  // there is another one that can say so
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    witness |= k != i && cluster_.prompt(k) && !cluster_.foreign(k) && cluster_.store.up &&
               cluster_.nodes[k].reaches_store;
    member |= k != i && !cluster_.foreign(k);
    paused &= k == i || cluster_.foreign(k) ||
              (cluster_.prompt(k) && cluster_.nodes[k].paused_view && !cluster_.shows_lease(k));
  }
  const bool hung = n.on && !n.frozen && n.reaches_pgsteer && n.patroni == PatroniLife::kRunning &&
                    n.rest == RestMode::kHung;
  stand(w.paused, rightful && member && paused && n.reaches_pgsteer && !n.frozen, i);
  if (n.rest == RestMode::kHung || n.patroni != PatroniLife::kRunning) w.last_hung = agenda_.now();
  stand(w.witnessed, rightful && hung && witness && cluster_.store.leader == i, i);
}

// The moment from which the node may have no sessions any more, if nothing but its silence is
// known.
Instant Invariants::fence_bound(std::size_t i) const {
  const Watch& w = watch_[i];
  Instant lost = *w.unleased.since;
  // A key that is deleted or stolen was valid for longer as far as pgsteer can tell.
  lost = std::max(lost, cluster_.promised[i]);
  if (cluster_.store.pause) {
    if (!w.usurped.since) return Instant::max();
    lost = std::max(lost, w.usurped.must_be_known);
  }
  // A cluster that has been paused says so until the next loop of the last member.
  const DcsTimes& t = cluster_.settings.times;
  const Span loop = t.loop_wait + t.retry_timeout;
  if (cluster_.paused_until + loop + t.ttl >= lost) {
    lost = std::max(lost, cluster_.paused_until) + loop + config_.health.timeout;
  }
  lost += cluster_.stepped_since(i, lost);
  if (w.last_hung + seconds(3) >= lost) lost += seconds(2);
  const Span silence =
      2 * config_.health.interval + config_.health.timeout + milliseconds(500) + kReply;
  return std::max(lost, w.proof_received + silence) + kGrain;
}

// `open`: new sessions would go there. `live`: there are some.
void Invariants::check_writes(std::size_t i, bool open, bool live) {
  const Watch& w = watch_[i];
  if (!w.wrong.since || (!open && !live)) return;
  const Instant now = agenda_.now();
  std::string what = live ? "sessions are on " : "new sessions would go to ";
  what += model_name(i);
  const auto late = [&](const char* why, Instant deadline) {
    if (now <= deadline) return;
    fail(what + ", which has not been the primary for " + seconds_text(now - *w.wrong.since) +
         ": " + why);
  };
  if (w.denies.since)
    late("it reports so itself", std::max(w.denies.must_be_known, *w.wrong.since));
  if (w.outshone.since) late("another leads on a higher timeline", w.outshone.must_be_known);
  if (w.not_writable.since && open) late("it takes no writes", w.not_writable.must_be_known);
  if (w.unleased.since) late("its lease has run out", fence_bound(i));
}

// A rightful primary that answers promptly and that nothing outshines is admitted.
void Invariants::check_service(std::size_t i, bool open) {
  const Watch& w = watch_[i];
  if (!w.serves.since || open) return;
  const Instant deadline = w.serves.must_be_known + seconds(1);
  if (agenda_.now() > deadline) {
    fail(model_name(i) + " has been the primary and shown it for " +
         seconds_text(agenda_.now() - *w.serves.since) +
         ", and is not admitted: " + topology_.no_primary_why);
  }
}

void Invariants::published(const Topology& topology) {
  if (topology.generation != topology_.generation + 1) fail("a generation was skipped");
  for (std::size_t l = 0; l < topology.pools.size(); ++l) {
    const auto& pool = topology.pools[l].by_node;
    if (config_.listen[l].to != Target::kPrimary) continue;
    for (std::size_t i = 0; i < pool.size(); ++i) {
      if (pool[i].admission == Admission::kAdmit && topology.primary != i) {
        fail(model_name(i) + " is admitted to write without being the primary");
      }
      const bool other = topology.primary && *topology.primary != i;
      if (other && pool[i].admission == Admission::kDrain && pool[i].reason != Reason::kPromoting &&
          pool[i].reason != Reason::kNotRunning) {
        fail(model_name(i) + " keeps writers while " + model_name(*topology.primary) +
             " is the primary");
      }
    }
  }
  const bool anew = topology.primary && topology.primary != topology_.primary;
  if (anew) {
    const Watch& w = watch_[*topology.primary];
    if (w.below.since && agenda_.now() > w.below.must_be_known) {
      fail(model_name(*topology.primary) +
           " becomes the primary while another shows a higher timeline");
    }
  }
  topology_ = topology;
}

// A reply that shows neither the lease nor a write position excuses a cut: it comes from a Patroni
// that has just started and whose query fails. Silence excuses it once the lease may have expired
// as far as pgsteer can tell: it knows the read of the store to a whole second on either side.
bool Invariants::excused(const ModelSession& session) const {
  const Watch& w = watch_[session.node];
  const DcsTimes& t = cluster_.settings.times;
  const Instant now = agenda_.now();
  if (w.shows_neither) return true;
  // There is no excuse while every other member says that the cluster is paused, or while only the
  // REST API hangs and another member can tell whom the store names.
  const auto long_since = [&](const Standing& s) {
    return s.since && now - *s.since >= seconds(8);
  };
  if (long_since(w.witnessed) || long_since(w.paused)) return false;
  const Span margin = config_.health.clock_margin;
  const Span lease = t.ttl - t.loop_wait - margin;
  if (w.proof_failsafe) return now >= w.proof_sent + lease - t.retry_timeout;
  const Instant read = w.read_shown - (w.proof_received - w.proof_sent) - seconds(2);
  return now >= read + lease - cluster_.stepped_since(session.node, now);
}

void Invariants::cut(const ModelSession& s, const Verdict& v) {
  const std::string who = "a session on " + model_name(s.node) + " was cut (" +
                          to_string(v.reason) + ": " + v.why + ")";
  if (config_.listen[s.listener].to == Target::kPrimary) {
    if (s.rightful && !excused(s)) {
      const Watch& w = watch_[s.node];
      fail(who + " although it was the rightful primary throughout; its last proof was asked for " +
           seconds_text(agenda_.now() - w.proof_sent) + " ago and showed a read of the store " +
           seconds_text(agenda_.now() - w.read_shown) + " ago");
    }
  } else if (s.replica && !s.of_primary) {
    fail(who + " although it was a running replica throughout");
  }
}

void Invariants::bound(const ModelSession& s) {
  if (cluster_.foreign(s.node)) fail("a session goes to another cluster's " + model_name(s.node));
}

// A replica that is healthy beyond question is admitted if there is a primary to compare it with.
void Invariants::check_replica(std::size_t i) {
  const ModelNode& n = cluster_.nodes[i];
  Watch& w = watch_[i];
  bool primary = false;
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    primary |= k != i && watch_[k].serves.since.has_value();
  }
  const bool good = primary && cluster_.prompt(i) && cluster_.streams(i) && !n.noloadbalance &&
                    n.behind == 0 && !cluster_.foreign(i);
  stand(w.good_replica, good, i);
  if (!w.good_replica.since || topology_.generation == 0) return;
  if (agenda_.now() - *w.good_replica.since < seconds(9)) return;
  for (std::size_t l = 0; l < config_.listen.size(); ++l) {
    const Verdict& v = topology_.pools[l].by_node[i];
    if (config_.listen[l].to == Target::kPrimary || v.admission == Admission::kAdmit) continue;
    fail(model_name(i) + " has been a healthy replica for 9 s and is not admitted: " + v.why);
  }
}

// No client waits beyond its patience, nor for long while a primary serves.
void Invariants::check_held() {
  const Instant now = agenda_.now();
  for (const ModelSession& s : sessions_.all) {
    if (s.step == SessionStep::kLive) continue;
    if (now > s.patience) fail("a client is held beyond its patience");
    if (s.listener != kReadWrite) continue;
    for (const Watch& w : watch_) {
      if (!w.serves.since) continue;
      const Instant deadline = std::max(w.serves.must_be_known, s.came) + seconds(4);
      if (now > deadline) fail("a client is held although there is a primary");
    }
  }
}

void Invariants::after_step(const JudgeState& state) {
  first_round_done_ = state.first_round_done;
  for (std::size_t i = 0; i < watch_.size(); ++i) update(i);
  if (topology_.generation == 0) return;
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    const bool open = topology_.pools[kReadWrite].by_node[i].admission == Admission::kAdmit;
    bool live = false;
    for (const ModelSession& s : sessions_.all) {
      live |= s.step != SessionStep::kHeld && s.node == i && s.listener == kReadWrite;
      if (s.step != SessionStep::kHeld && cluster_.foreign(s.node)) bound(s);
    }
    check_writes(i, open, live);
    check_service(i, open);
    check_replica(i);
  }
  check_held();
}

}  // namespace pgsteer
