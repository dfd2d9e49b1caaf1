#include "tests/simulation/write_rules.h"

#include <algorithm>
#include <utility>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The deadline is set when the condition begins. Only another request in between moves it, because
// it takes the place of the node's check in one round.
void WriteRules::stand(Standing& s, bool holds, std::size_t learn_from) {
  if (!holds) {
    s.since.reset();
    return;
  }
  const Instant now = s_.now();
  if (!s.since) {
    s.since = now;
    s.must_be_known = s_.learning(learn_from, now);
  } else if (now < s.must_be_known && s_.told[learn_from].other_ask >= *s.since) {
    s.must_be_known = std::max(s.must_be_known, s_.learning(learn_from, *s.since));
    s.must_be_known = std::min(s.must_be_known, *s.since + s_.timeout() + 3 * s_.interval());
  }
}

void WriteRules::forget() {
  for (Watch& w : watch_) w = {};
}

void WriteRules::reloading(const Change& change) {
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    if (!s_.has(i) || change.nodes[i] != s_.layout.node(i)) watch_[i] = {};
  }
  // What spoke for a silent primary, or against another node, may have gone with a node.
  for (Watch& w : watch_) {
    if (!change.loses_node(s_)) break;
    for (Standing* s : {&w.witnessed, &w.paused, &w.backed, &w.heirless, &w.blind, &w.below,
                        &w.outshone, &w.usurped}) {
      s->since.reset();
    }
  }
  if (last_primary_ && !s_.has(*last_primary_)) last_primary_.reset();
  if (s_.health_changed == s_.now()) forget();
}

std::optional<std::size_t> WriteRules::outshining(std::size_t i) const {
  const ModelCluster& c = s_.cluster;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    if (k != i && s_.prompt(k) && !c.foreign(k) && c.shows_lease(k) && !c.by_role(k) &&
        c.nodes[k].writable() && c.nodes[k].timeline > c.nodes[i].timeline) {
      return k;
    }
  }
  return std::nullopt;
}

// Some node of the cluster is on a higher timeline, whether pgsteer sees it or not, or was when it
// last answered.
bool WriteRules::eclipsed(std::size_t i) const {
  const ModelCluster& c = s_.cluster;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    if (k == i) continue;
    const auto& told = s_.told[k].report;
    if (!c.foreign(k) && c.nodes[k].timeline > c.nodes[i].timeline) return true;
    if (told && told->system_identifier == c.scopes[0].identifier &&
        told->timeline > c.nodes[i].timeline) {
      return true;
    }
    const bool recent = s_.now() - s_.told[k].timeline_received <= seconds(6);
    if (recent && s_.told[k].timeline > c.nodes[i].timeline) return true;
  }
  return false;
}

void WriteRules::update(std::size_t i) {
  Watch& w = watch_[i];
  const ModelCluster& c = s_.cluster;
  const ModelNode& n = c.nodes[i];
  const bool prompt = s_.prompt(i);
  const bool lease = c.shows_lease(i);
  const bool rightful = c.rightful(i) && !c.foreign(i);
  stand(w.wrong, !rightful, i);
  stand(w.unleased, !c.leased(i), i);
  const bool runs = n.postgres == PostgresLife::kRunning;
  stand(w.denies, prompt && !lease && !n.writable() && n.recovery && runs, i);
  stand(w.not_writable, prompt && !n.writable(), i);
  const auto brighter = outshining(i);
  stand(w.outshone, brighter.has_value(), brighter.value_or(i));

  auto higher = i;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    const ModelNode& o = c.nodes[k];
    const bool shows = s_.prompt(k) && !c.foreign(k) && o.postgres == PostgresLife::kRunning;
    if (k != i && shows && o.timeline > n.timeline) higher = k;
  }
  if (std::exchange(w.below_whom, higher) != higher) w.below.since.reset();
  stand(w.below, higher != i, higher);

  const auto leader = c.store(i).leader;
  stand(w.usurped,
        leader && *leader != i && s_.prompt(*leader) && c.shows_lease(*leader) &&
            !c.by_role(*leader) && c.nodes[*leader].writable(),
        leader.value_or(i));

  const bool serves = rightful && prompt && lease;
  // A claim by role alone outweighs no timeline.
  if (!serves || (c.by_role(i) && eclipsed(i))) w.shown_alone.reset();
  if (serves && !w.shown_alone) w.shown_alone = s_.now();
  const bool first = !w.serves.since;
  stand(w.serves, serves && !eclipsed(i), i);
  if (first && w.serves.since) {
    // While no primary is admitted, the nodes are asked more often.
    w.serves.must_be_known = s_.learning(i, s_.now(), s_.hunting_step(i));
  }
  // A leader that never was ours, as far as this pgsteer was told, stays a stranger.
  bool agreed = serves && !c.by_role(i) && s_.told[i].first_identifier != c.scopes[0].identifier;
  std::size_t added = 0;  // they may have been strangers before, as far as pgsteer can tell
  for (std::size_t k = 0; k < s_.size(); ++k) {
    if (s_.has(k)) agreed &= s_.prompt(k) && !c.foreign(k);
    added += s_.told[k].added ? 1 : 0;
  }
  agreed = agreed && !s_.told[i].added && 2 * added < s_.nodes_in_force();
  stand(w.agreed, agreed, i);
  update_support(i);
}

// Its REST API accepts the connections of this pgsteer.
bool WriteRules::accepts(std::size_t k) const {
  const ModelNode& n = s_.cluster.nodes[k];
  return n.on && !n.frozen && s_.reaches_rest(k) && n.patroni == PatroniLife::kRunning &&
         n.rest != RestMode::kRefusing && n.rest != RestMode::kHung &&
         n.rest != RestMode::kBacklogFull;
}

// Silent without being dead: the node's Patroni may run.
bool WriteRules::hangs(std::size_t i) const {
  const ModelNode& n = s_.cluster.nodes[i];
  if (s_.prompt(i) || !n.on || n.frozen || n.tls_faults > 0) return false;
  if (s_.reaches_rest(i) && n.rest == RestMode::kRefusing) return false;
  if (!s_.reaches_rest(i)) return true;
  return n.patroni == PatroniLife::kSuspended || n.patroni == PatroniLife::kShuttingDown ||
         (n.patroni == PatroniLife::kRunning &&
          (n.rest == RestMode::kHung || n.rest == RestMode::kBacklogFull));
}

// As far as pgsteer can see, `k` cannot take the lease of `from`: it never may, or it shows that it
// has lost the store, and has not read it since the lease was good.
bool WriteRules::is_barred(std::size_t k, std::size_t from, bool surely) const {
  const ModelCluster& c = s_.cluster;
  const ModelNode& n = c.nodes[k];
  const bool seen = s_.prompt(k) && n.recovery && n.postgres == PostgresLife::kRunning &&
                    !c.shows_lease(k) && !c.foreign(k);
  if (!seen) return false;
  if (n.nofailover) return true;
  if (!surely) return !n.store_known || n.unlocked_view;
  const auto& told = s_.told[k].report;  // that it has read the store at all
  return !n.store_known && told && told->dcs_last_seen &&
         n.store_read + seconds(5) < earliest_fence(from);
}

// What speaks for a rightful primary while its Patroni is silent.
void WriteRules::update_support(std::size_t i) {
  Watch& w = watch_[i];
  const ModelCluster& c = s_.cluster;
  const ModelNode& n = c.nodes[i];
  const Instant now = s_.now();
  const bool rightful = c.rightful(i) && !c.foreign(i);
  unsigned witnesses = 0;
  bool paused = c.store(i).pause;
  bool member = false;  // there is another one that can say so
  bool backed = false, others_lead = false, says_paused = false;
  bool blind = accepts(i) && n.tls_faults > 0;
  bool heirless = true, perhaps = true;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    if (k == i) continue;
    if (!s_.has(k)) {
      // It cannot speak for the node, and may take its lease. pgsteer can only know of it from the
      // list of the members.
      others_lead |= c.shows_lease(k) && !c.foreign(k);
      heirless &= c.foreign(k);
      perhaps &= c.foreign(k) || !s_.members[k];
      continue;
    }
    const bool answers = s_.prompt(k);
    const ModelNode& o = c.nodes[k];
    if (!c.foreign(k)) {
      witnesses += answers && c.reaches_store(k) && o.postgres == PostgresLife::kRunning ? 1 : 0;
      member = true;
      paused &= answers && o.paused_view && !c.shows_lease(k);
      backed |= answers && c.shows_failsafe(k);
    }
    says_paused |= answers && o.paused_view && !c.foreign(k);
    // A Patroni that has just started does not say that the pause is over.
    const NodeLedger& told = s_.told[k];
    const bool young = !told.answers() || now - told.answering_since < seconds(5);
    says_paused |= answers && young && !c.foreign(k) && now - w.last_paused <= s_.interval();
    others_lead |= c.shows_lease(k) && !c.foreign(k);
    heirless &= is_barred(k, i, true);
    perhaps &= is_barred(k, i, false) || c.foreign(k);
    blind &= !accepts(k) || o.tls_faults > 0;
  }
  // With every other Patroni dead, as it seems, its own last word counts.
  bool refused_all = s_.told[i].report && s_.told[i].report->pause;
  for (std::size_t k = 0; k < s_.size(); ++k) {
    refused_all &= k == i || !s_.has(k) || c.foreign(k) || s_.told[k].last == Outcome::kRefused;
  }
  says_paused |= refused_all;
  const bool hung = hangs(i);
  const bool port = s_.port_answers(i);
  const bool heard = s_.reaches_rest(i) && n.on && !n.frozen && n.rest != RestMode::kBacklogFull;
  const bool refused = heard && (n.patroni == PatroniLife::kDead || n.rest == RestMode::kRefusing);
  if (!refused && !s_.prompt(i)) w.last_hung = now;
  if (backed) w.last_backed = now;
  if (says_paused) w.last_paused = now;
  if (perhaps) w.last_heirless = now;
  if (blind) w.last_blind = now;
  w.named = witnesses >= 2;
  stand(w.paused, rightful && member && paused && port, i);
  const NodeLedger& told = s_.told[i];
  const bool same_history = (!told.report || told.report->timeline == n.timeline) &&
                            told.found_in_recovery < told.failing_since;
  stand(w.witnessed,
        rightful && hung && port && witnesses > 0 && c.store(i).leader == i && !others_lead &&
            same_history,
        i);
  stand(w.backed, rightful && hung && port && backed && !others_lead, i);
  stand(w.heirless, rightful && port && heirless, i);
  stand(w.blind, rightful && port && blind, i);
}

void WriteRules::published() {
  const Topology& t = s_.topology;
  if (t.primary && t.primary != last_primary_) {
    const Watch& w = watch_[*t.primary];
    const Instant since = s_.told[*t.primary].proven_since;
    const DcsTimes& times = s_.cluster.scopes[0].times;
    const bool proven =
        since != Instant{} && s_.now() - since >= std::min(times.ttl, s_.believed.ttl);
    if (w.below.since && s_.now() > w.below.must_be_known && !proven) {
      s_.fail(model_name(*t.primary) +
              " becomes the primary while another shows a higher timeline");
    }
  }
  if (t.primary) last_primary_ = t.primary;
}

void WriteRules::bound(const ModelSession& s) {
  if (s_.is_stranger(s.node) && s_.knows_ours()) {
    s_.fail("a session goes to another cluster's " + model_name(s.node));
  }
}

void WriteRules::after_step() {
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    if (s_.has(i)) update(i);
  }
  if (s_.topology.generation == 0) return;
  for (std::size_t i = 0; i < watch_.size(); ++i) {
    if (!s_.has(i)) continue;
    const bool open = s_.admitted(kReadWrite, i);
    bool live = false;
    for (const ModelSession& s : s_.sessions.all) {
      const bool writes = s_.config.listen[s.listener].to == Target::kPrimary;
      live |= s.step != SessionStep::kHeld && s.node == i && writes;
    }
    check_writes(i, open && !s_.stalled, live);
    if (s_.stalled) continue;
    check_service(i, open);
    check_support(i, open);
  }
  if (!s_.stalled) check_held();
}

}  // namespace pgsteer
