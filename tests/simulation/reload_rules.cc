#include "tests/simulation/reload_rules.h"

#include <algorithm>

#include "health/reason.h"

namespace pgsteer {

namespace {

const char* word(const Verdict& v) { return to_string(v.admission); }

// By what judge decides; weight and address are the workers' concern.
bool same_rules(const ListenConfig& a, const ListenConfig& b) {
  return a.to == b.to && a.tags == b.tags && a.max_lag == b.max_lag &&
         a.drain_timeout == b.drain_timeout && a.fallback_to_primary == b.fallback_to_primary;
}

}  // namespace

bool Change::edits_node(const Scene& s, std::size_t i) const {
  return nodes[i] != s.layout.node(i) || config.nodes[i].discovered != s.config.nodes[i].discovered;
}

bool Change::edits_listener(const Scene& s, std::size_t l) const {
  const bool there = listeners[l] != Place::kAbsent && s.has_listener(l);
  return !there || !same_rules(config.listen[l], s.config.listen[l]);
}

bool Change::edits_nodes(const Scene& s) const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (edits_node(s, i)) return true;
  }
  return false;
}

bool Change::loses_node(const Scene& s) const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] != Place::kAbsent && !s.has(i)) return true;
  }
  return false;
}

// The exceptions: see the top of the header.
bool ReloadRules::unsupported(const Change& change, std::size_t i, const Verdict& is) const {
  const bool learnt = change.edits_nodes(s_) && !change.settled;
  if (learnt && is.reason == Reason::kForeign && s_.is_stranger(i)) return true;
  const Reason was = change.topology.pools[kReadWrite].by_node[i].reason;
  return change.loses_node(s_) && change.topology.primary == i && was != Reason::kPrimary &&
         is.reason != Reason::kForeign;
}

void ReloadRules::violated(const Change& change, std::size_t l, std::size_t i) const {
  const Verdict& was = change.topology.pools[l].by_node[i];
  const Verdict& is = s_.topology.pools[l].by_node[i];
  s_.fail("a reload that changes nothing about " + model_name(i) + " for " +
          s_.config.listen[l].name + " takes it from " + word(was) + " (" + to_string(was.reason) +
          ") to " + word(is) + " (" + to_string(is.reason) + ": " + is.why + ")");
}

void ReloadRules::reloading(const Change& change,
                            const std::vector<std::optional<Instant>>& fences) {
  now_ = &change;
  check_deadlines(change, fences);
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const Place is = s_.layout.node(i);
    if (is == Place::kAbsent) named_[i] = false;
    if (is != Place::kLeaving) left_[i].reset();
    if (is == Place::kLeaving && !left_[i]) left_[i] = s_.now();
  }
}

// A leader takes reads for want of a replica, or ceases to because there is one.
bool ReloadRules::stands_in(const Change& change, std::size_t l, std::size_t i) const {
  const auto by_need = [&](const Topology& t) {
    const Reason r = t.pools[l].by_node[i].reason;
    return r == Reason::kFallback || r == Reason::kStandIn;
  };
  return change.edits_nodes(s_) && (by_need(change.topology) || by_need(s_.topology));
}

void ReloadRules::check_pool(const Change& change, std::size_t l) {
  const bool rules = change.edits_listener(s_, l);
  const bool same_primary = change.topology.primary == s_.topology.primary;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (change.nodes[i] == Place::kAbsent || !s_.has(i)) continue;
    const Verdict& was = change.topology.pools[l].by_node[i];
    const Verdict& is = s_.topology.pools[l].by_node[i];
    if (s_.leaving(i) && is.admission == Admission::kAdmit) {
      s_.fail(model_name(i) + " is not in the file, and takes sessions");
    }
    const bool cut = is.admission == Admission::kCut && was.admission != Admission::kCut;
    const bool allowed = (rules && forbidden(l, i)) || unsupported(change, i, is);
    if (cut && !allowed) violated(change, l, i);
    if (rules || change.edits_node(s_, i) || !same_primary || stands_in(change, l, i)) continue;
    if (unsupported(change, i, is) || (change.edits_nodes(s_) && !change.settled)) continue;
    if (was.admission != is.admission || was.reason != is.reason) violated(change, l, i);
  }
}

void ReloadRules::check_primary(const Change& change) {
  const auto was = change.topology.primary;
  const bool excused =
      was && unsupported(change, *was, s_.topology.pools[kReadWrite].by_node[*was]);
  if (was && s_.has(*was) && !excused &&
      (s_.topology.primary != was || s_.topology.timeline != change.topology.timeline)) {
    s_.fail(model_name(*was) + " is not the primary any more because of a reload");
  }
  if (change.topology.first_round_done && !s_.topology.first_round_done) {
    s_.fail("a reload makes pgsteer forget that it has started");
  }
}

// The fence deadline is read from judge; the bounds in write_rules.h measure it by the truth.
void ReloadRules::check_deadlines(const Change& change,
                                  const std::vector<std::optional<Instant>>& fences) {
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (change.fences[i] && fences[i] && change.fences[i] != fences[i]) {
      s_.fail("a reload moves the fence deadline of " + model_name(i) + " by " +
              seconds_of(*fences[i] - *change.fences[i]));
    }
  }
}

void ReloadRules::reloaded(const Change& change) {
  now_ = nullptr;
  if (change.topology.generation == 0) return;
  check_primary(change);
  for (std::size_t l = 0; l < s_.config.listen.size(); ++l) {
    if (change.listeners[l] != Place::kAbsent && s_.has_listener(l)) check_pool(change, l);
  }
}

// What a listener's own settings may cut: the wrong role, and those whose time is over.
bool ReloadRules::forbidden(std::size_t l, std::size_t i) const {
  const Verdict& v = s_.topology.pools[l].by_node[i];
  const bool writes = s_.config.listen[l].to == Target::kPrimary;
  if (v.reason == Reason::kRemoved) return true;  // cut() looks at the time
  return writes ? s_.topology.primary != i : v.reason == Reason::kIsPrimary;
}

void ReloadRules::cut(const ModelSession& s, const Verdict& v) {
  const ListenConfig& listen = s_.config.listen[s.listener];
  if (v.reason == Reason::kRemoved && v.admission == Admission::kCut) {
    const auto& left = left_[s.node];
    if (!left || s_.now() - *left < listen.drain_timeout) {
      s_.fail("a session on " + model_name(s.node) + " was cut (" + v.why + "), and may stay");
    }
    return;
  }
  if (!now_ || now_->edits_node(s_, s.node) || now_->edits_listener(s_, s.listener)) return;
  if (unsupported(*now_, s.node, v)) return;
  s_.fail("a session on " + model_name(s.node) + " was cut (" + to_string(v.reason) + ": " + v.why +
          ") by a reload that does not concern it");
}

void ReloadRules::bound(const ModelSession& s) {
  note_named();
  if (s_.layout.node(s.node) != Place::kListed) {
    s_.fail("a session goes to " + model_name(s.node) + ", which is not in the file");
  }
  const NodeLedger& n = s_.told[s.node];
  if (!n.added) return;
  const bool proven = n.report && n.timeline != 0 && !n.report->system_identifier.empty();
  if (!proven && !named_[s.node])
    s_.fail("a session goes to the new " + model_name(s.node) + " before its proof");
}

void ReloadRules::note_named() {
  for (const NodeLedger& n : s_.told) {
    if (n.names && s_.topology.primary == n.names) named_[*n.names] = true;
  }
}

// Who was ours beyond doubt stays so, whoever else is listed.
void ReloadRules::decided() {
  note_named();
  if (!s_.is_ours_settled() || s_.topology.generation == 0) return;
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const NodeLedger& n = s_.told[i];
    if (!s_.has(i) || !n.report || n.report->system_identifier != s_.cluster.scopes[0].identifier) {
      continue;
    }
    if (n.report->scope != s_.cluster.scopes[0].name) continue;
    // What it was before is said of it until it is a replica, or leads.
    if (n.report->state != State::kRunning || !n.report->in_recovery() || n.report->lease) continue;
    if (s_.topology.pools[kReadWrite].by_node[i].reason == Reason::kForeign) {
      s_.fail(model_name(i) + " is ours, and counts as another cluster's");
    }
  }
}

void ReloadRules::after_step() const {
  for (const ModelSession& s : s_.sessions.all) {
    if (s.step == SessionStep::kHeld) continue;
    if (!s_.has(s.node)) s_.fail("a session is on " + model_name(s.node) + ", which is gone");
    const auto& left = left_[s.node];
    if (!left || s_.stalled) continue;
    const Instant end = *left + s_.config.listen[s.listener].drain_timeout;
    if (s_.now() > std::max(end, s_.resumed) + s_.interval() + kGrain) {
      s_.fail("a session is still on " + model_name(s.node) + ", which was removed " +
              seconds_of(s_.now() - *left) + " ago");
    }
  }
}

}  // namespace pgsteer
