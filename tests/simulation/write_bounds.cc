// The bounds of the rules about writes.
#include <algorithm>

#include "health/reason.h"
#include "tests/simulation/write_rules.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
// From a support of a silent primary until pgsteer has found it, and asked the port and the
// members.
constexpr Span kFound = seconds(8);
}  // namespace

// What the ttl may be as far as pgsteer knows.
Span WriteRules::longest_ttl() const {
  return std::max({s_.cluster.scopes[0].times.ttl, s_.believed.ttl, s_.believed_before.ttl});
}

// From a read of the store to the fence deadline.
Span WriteRules::shortest_lease(bool failsafe, bool two_reads) const {
  const DcsTimes& now = s_.cluster.scopes[0].times;
  const DcsTimes &told = s_.believed, &before = s_.believed_before;
  const Span ttl = std::min({now.ttl, told.ttl, before.ttl});
  const Span loop = std::max({now.loop_wait, told.loop_wait, before.loop_wait});
  const Span retry = std::max({now.retry_timeout, told.retry_timeout, before.retry_timeout});
  const Span lease = failsafe ? ttl - loop - retry : two_reads ? ttl : ttl - loop;
  return lease - s_.config.health.clock_margin;
}

// The moment from which the node may have no sessions any more, if nothing but its silence is
// known.
Instant WriteRules::fence_bound(std::size_t i) const {
  const Watch& w = watch_[i];
  const NodeLedger& told = s_.told[i];
  const ModelScope& scope = s_.cluster.scopes[0];
  const Instant now = s_.now();
  Instant lost = *w.unleased.since;
  // A key that is deleted or stolen was valid for longer as far as pgsteer can tell.
  const Span renewed_for = std::min(s_.cluster.granted[i], longest_ttl());
  lost = std::max(lost, s_.cluster.promised[i]) + (longest_ttl() - renewed_for);
  const bool indefinite =
      scope.store.pause || w.last_paused == now || w.last_backed == now || w.last_heirless == now;
  if (indefinite) {
    if (!w.usurped.since) return Instant::max();
    lost = std::max(lost, w.usurped.must_be_known);
  }
  if (w.last_blind == now) return Instant::max();
  const Span round = s_.timeout() + 2 * s_.interval() + kReply;
  // A cluster that has been paused says so until the next loop of the last member.
  for (const Instant last : {w.last_paused, w.last_backed, w.last_heirless, w.last_blind}) {
    if (last != Instant{} && last + longest_ttl() >= lost) lost = std::max(lost, last + round);
  }
  lost += s_.cluster.stepped_since(i, lost);
  if (w.last_hung + seconds(3) >= lost) lost += seconds(2);
  const Span silence =
      2 * s_.either(&HealthConfig::interval) + s_.timeout() + milliseconds(500) + kReply;
  // After a stall nothing is cut before the nodes have had the time to answer.
  Instant bound = std::max({lost, told.claimed + silence, s_.resumed + silence}) + kGrain;
  // A checker that stands still cuts nothing: its last word expires.
  if (s_.stalled && s_.topology.primary && s_.topology.valid_until) {
    const Reason reason = s_.topology.pools[kReadWrite].by_node[i].reason;
    const bool any_clock = reason == Reason::kMaintenance || reason == Reason::kUncheckable;
    const Span valid = std::max(s_.least_validity(), any_clock ? longest_ttl() : Span(0));
    bound = std::max(bound, s_.published_at + valid + kGrain);
  }
  return bound;
}

// `open`: new sessions would go there. `live`: there are some.
void WriteRules::check_writes(std::size_t i, bool open, bool live) {
  const Watch& w = watch_[i];
  if (!w.wrong.since || (!open && !live)) return;
  if (s_.is_stranger(i) && !s_.knows_ours()) return;
  const Instant now = s_.now();
  const auto late = [&](const char* why, Instant deadline) {
    if (now <= deadline) return;
    s_.fail((live ? "sessions are on " : "new sessions would go to ") + model_name(i) +
            ", which has not been the primary for " + seconds_of(now - *w.wrong.since) + ": " +
            why + "; pgsteer says: " + s_.topology.pools[kReadWrite].by_node[i].why);
  };
  if (w.unleased.since) late("its lease has run out", fence_bound(i));
  if (s_.stalled) return;
  // Perhaps TLS of all nodes has failed until a moment ago.
  const Instant seen = w.last_blind + s_.timeout() + 4 * s_.interval();
  if (w.denies.since) {
    late("it reports so itself", std::max({w.denies.must_be_known, *w.wrong.since, seen}));
  }
  if (w.outshone.since && accepted()) {
    late("another leads on a higher timeline", std::max(w.outshone.must_be_known, seen));
  }
  if (w.not_writable.since && open) {
    late("it takes no writes", std::max(w.not_writable.must_be_known, seen));
  }
  if (w.usurped.since && accepted() && w.last_blind != now && !s_.cluster.shows_lease(i)) {
    const Span silence = 2 * s_.interval() + s_.timeout() + seconds(1);
    late("another has its lease", std::max(w.usurped.must_be_known, s_.told[i].claimed) + silence);
  }
}

// The system identifier that the cluster has now is the one that pgsteer takes for ours.
bool WriteRules::accepted() const {
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const Verdict& v = s_.topology.pools[kReadWrite].by_node[i];
    if (v.reason == Reason::kForeign && !s_.cluster.foreign(i)) return false;
  }
  return true;
}

// A rightful primary that answers promptly is admitted. Below the timeline of another node it has
// to prove itself for longer than the ttl.
void WriteRules::check_service(std::size_t i, bool open) {
  const Watch& w = watch_[i];
  if (open || !w.shown_alone || s_.leaving(i)) return;
  const Instant now = s_.now();
  if (!s_.knows_ours()) return;
  // Of two claims the one on the higher timeline counts, although its node may have thawed and not
  // noticed yet that its key was stolen; on one timeline the first one stays, and in a paused
  // cluster one by role alone.
  const auto primary = s_.topology.primary;
  if (primary && primary != i && s_.told[*primary].report) {
    const Report& r = *s_.told[*primary].report;
    if (r.by_role() || (r.leads() && r.timeline >= s_.cluster.nodes[i].timeline)) return;
  }
  if (!accepted() || !s_.first_round_done) {
    // Another system identifier has to settle.
    if (w.agreed.since &&
        now > w.agreed.must_be_known + s_.config.health.identity_settle + s_.timeout()) {
      s_.fail(model_name(i) + " leads, all nodes agree, and it still counts as foreign");
    }
    return;
  }
  Instant deadline = *w.shown_alone + longest_ttl() + s_.timeout() + 4 * s_.interval();
  if (w.serves.since) deadline = w.serves.must_be_known;
  deadline = std::max(deadline, s_.told[i].perhaps_turned_away + seconds(1));
  if (now <= deadline + kGrain) return;
  s_.fail(model_name(i) + " has been the primary and shown it for " +
          seconds_of(now - *w.shown_alone) +
          ", and is not admitted: " + s_.topology.no_primary_why);
}

// A rightful primary whose REST API hangs, while something speaks for it, is admitted, too.
void WriteRules::check_support(std::size_t i, bool open) {
  const Watch& w = watch_[i];
  if (open || !w.witnessed.since || eclipsed(i) || s_.leaving(i)) return;
  if (!accepted() || s_.contested() || !s_.is_settled()) return;
  if (last_primary_ != i && !w.named) return;  // a trial: it takes a session to confirm it
  const Instant from = std::max(*w.witnessed.since, s_.started);
  if (s_.now() - from < kFound + 2 * s_.timeout()) return;
  s_.fail(model_name(i) + " has been named as the leader in the store for " +
          seconds_of(s_.now() - from) + ", and is not admitted: " + s_.topology.no_primary_why);
}

// No client waits beyond its patience, nor for long while a primary serves.
void WriteRules::check_held() {
  const Instant now = s_.now();
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    Watch& w = watch_[i];
    const bool open = w.serves.since && s_.admitted(kReadWrite, i) && s_.port_answers(i);
    if (!open) w.open_since.reset();
    if (open && !w.open_since) w.open_since = now;
  }
  for (const ModelSession& s : s_.sessions.all) {
    if (s.step == SessionStep::kLive) continue;
    if (now > s.patience) s_.fail("a client is held beyond its patience");
    if (s.listener != kReadWrite || s.step != SessionStep::kHeld) continue;
    for (const Watch& w : watch_) {
      if (w.open_since && now > std::max(*w.open_since, s.came) + seconds(4)) {
        s_.fail("a client is held although there is a primary");
      }
    }
  }
}

// The earliest moment at which the fence deadline may pass: pgsteer knows the read of the store to
// a whole second on either side. A leader renews its key after each read, so that the read before
// the one that it showed last counts once two are known.
Instant WriteRules::earliest_fence(std::size_t i) const {
  const NodeLedger& n = s_.told[i];
  if (n.proof_failsafe) return n.proof_sent + shortest_lease(true, false);
  const Instant shown = n.read_shown + shortest_lease(false, false);
  const Instant before = n.read_before.value_or(Instant{}) + shortest_lease(false, true);
  const Instant fence = n.read_before ? before - n.reply_before : shown;
  return fence - (n.proof_received - n.proof_sent) - seconds(2) -
         s_.cluster.stepped_since(i, s_.now());
}

// Silence excuses a cut once the lease may have expired as far as pgsteer can tell, unless
// something has spoken for the node for long.
bool WriteRules::excused(const ModelSession& session) const {
  const Watch& w = watch_[session.node];
  const Instant now = s_.now();
  const auto long_since = [&](const Standing& s) {
    return s.since && now - std::max(*s.since, s_.resumed) >= kFound;
  };
  const bool supported = long_since(w.witnessed) || long_since(w.paused) || long_since(w.backed) ||
                         long_since(w.heirless) || long_since(w.blind);
  // A node with a new identifier may be an heir, as far as pgsteer can tell.
  return now >= earliest_fence(session.node) && (!supported || !accepted());
}

void WriteRules::cut(const ModelSession& s, const Verdict& v) {
  if (!s.rightful || s_.is_stranger(s.node) || excused(s)) return;
  // The cluster was replaced, and the session came before pgsteer knew; or it is not clear which
  // cluster is meant.
  if (v.reason == Reason::kForeign && (!accepted() || !s_.knows_ours())) return;
  // Somebody isolated has not noticed yet that its key was stolen: the higher timeline counts.
  if (v.reason == Reason::kSuperseded && outshining(s.node)) return;
  const NodeLedger& n = s_.told[s.node];
  if (s_.stalled && s_.now() >= s_.published_at + seconds(4)) return;  // its last word expired
  s_.fail("a session on " + model_name(s.node) + " was cut (" + to_string(v.reason) + ": " + v.why +
          ") although it was the rightful primary throughout; its last proof was asked for " +
          seconds_of(s_.now() - n.proof_sent) + " ago and showed a read of the store " +
          seconds_of(s_.now() - n.read_shown) + " ago; it may be fenced in " +
          seconds_of(earliest_fence(s.node) - s_.now()));
}

}  // namespace pgsteer
