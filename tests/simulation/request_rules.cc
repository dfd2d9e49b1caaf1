#include "tests/simulation/request_rules.h"

#include <algorithm>
#include <utility>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void RequestRules::impolite(std::size_t i, const char* what, Span gap) const {
  s_.fail(model_name(i) + " is asked " + what + " " + seconds_of(gap) + " after the last time");
}

void RequestRules::forget() { calm_since_ = s_.now(); }

// The list of the members is read again after each reload; what was asked about a node that has
// gone is never answered.
void RequestRules::reloading(const Change& change) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!s_.has(i) || change.nodes[i] == Place::kAbsent) nodes_[i] = {};
    nodes_[i].cluster = nodes_[i].list_due = {};
    if (s_.health_changed != s_.now()) continue;
    nodes_[i].easy_since = s_.now() + Span(1);
    nodes_[i].recent.clear();
    nodes_[i].checks.clear();
  }
  // What was asked a moment ago was asked at the pace before.
  if (s_.health_changed == s_.now()) calm_since_ = s_.now() + Span(1);
}

// A node that is checked more often than the others: it is being promoted, has just failed, or its
// query of PostgreSQL has.
bool RequestRules::troubled(std::size_t i) const {
  const NodeLedger& n = s_.told[i];
  if (n.failures > 0 && n.failures < 3) return true;
  if (n.failures > 0 || !n.report) return false;
  const bool promoting = n.report->lease && n.report->in_recovery();
  return promoting || n.incomplete == 1;
}

bool RequestRules::calm() const {
  const Topology& t = s_.topology;
  if (t.generation == 0 || !t.first_round_done || !t.primary || alarmed_) return false;
  if (t.pools[kReadWrite].by_node[*t.primary].reason != Reason::kPrimary) return false;
  if (s_.now() - s_.suspected < seconds(2)) return false;
  const NodeLedger& n = s_.told[*t.primary];
  if (n.failures > 0) return false;
  return !(n.in_flight && s_.now() - n.asked >= kLateReply - kGrain);
}

void RequestRules::asked(const Request& request) {
  const std::size_t i = request.node;
  if (request.kind == ProbeKind::kDatabase || request.kind == ProbeKind::kTls) {
    return asked_port(i, request.kind);
  }
  if (s_.told[i].in_flight) s_.fail("two requests at a time to the REST API of " + model_name(i));
  Asked& a = nodes_[i];
  std::erase_if(a.recent, [&](Instant t) { return s_.now() - t >= seconds(1); });
  a.recent.push_back(s_.now());
  const Span hunt = s_.config.health.hunt_interval;
  const Span quick = std::max(Span(milliseconds(20)), hunt / 2);
  const auto most = static_cast<std::size_t>(seconds(1) / quick + seconds(1) / hunt) + 8;
  if (a.recent.size() > most) impolite(i, "too often in a second;", s_.now() - a.recent[0]);
  if (request.kind == ProbeKind::kLeader) {
    asked_leader(i);
  } else {
    asked_other(i, request.kind);
  }
}

void RequestRules::asked_leader(std::size_t i) {
  Asked& a = nodes_[i];
  const Span gap = s_.now() - a.leader;
  const Span hunt = s_.config.health.hunt_interval;
  const bool first = a.leader == Instant{};
  const bool at_ease = a.easy_since != Instant{} && a.leader >= a.easy_since && !troubled(i);
  const bool settled = at_ease && calm_since_ != Instant{} && a.leader >= calm_since_ && calm();
  a.leader = s_.now();
  if (first) return;
  if (at_ease && gap < hunt) impolite(i, "for its role", gap);
  if (settled && gap < s_.config.health.interval) {
    impolite(i, "for its role while all is well", gap);
  }
}

void RequestRules::asked_other(std::size_t i, ProbeKind kind) {
  const bool config = kind == ProbeKind::kConfig;
  if (!config) {
    Asked& a = nodes_[i];
    members_asked_ = s_.now();
    const Span gap = s_.now() - a.cluster;
    const bool first = a.cluster == Instant{};
    a.cluster = s_.now();
    // The list of the members is read in its time, whoever was asked for a witness meanwhile.
    if (!first && gap < milliseconds(150) &&
        std::exchange(a.list_due, s_.now() + s_.members_period() * 5 / 6) > s_.now()) {
      impolite(i, "for the members", gap);
    }
    if (!first && calm_since_ != Instant{} && calm() && calm_since_ + seconds(3) < s_.now() - gap &&
        gap < s_.members_period() * 2 / 3) {
      impolite(i, "for the members while all is well", gap);
    }
    return;
  }
  for (std::size_t k = 0; s_.topology.primary == i && k < s_.size(); ++k) {
    if (k != i && s_.told[k].answers() && !s_.told[k].in_flight && !s_.is_apart(k)) {
      s_.fail("the primary is asked for the configuration, and a replica could be");
    }
  }
  const Span gap = s_.now() - config_asked_;
  const bool first = config_asked_ == Instant{};
  config_asked_ = s_.now();
  if (!first && gap < (config_known_ ? seconds(30) : seconds(5))) {
    impolite(i, "for the configuration", gap);
  }
}

// PostgreSQL's port is asked only while there is a reason, and slowly.
void RequestRules::asked_port(std::size_t i, ProbeKind kind) {
  Asked& a = nodes_[i];
  const NodeLedger& n = s_.told[i];
  if (kind == ProbeKind::kTls) {
    a.tls_asked = true;
    if (a.tls_in_flight) s_.fail("two questions at a time about TLS of " + model_name(i));
    a.tls_in_flight = true;
    return;
  }
  if (a.database_in_flight) s_.fail("two checks at a time of the port of " + model_name(i));
  a.database_in_flight = true;
  const Span gap = s_.now() - a.database;
  a.database = s_.now();
  const bool late = n.in_flight && s_.now() - n.asked >= kLateReply;
  const bool degraded = n.answers() && n.report->incomplete();
  if (n.failures == 0 && !late && !degraded && n.checks > 0) {
    s_.fail("PostgreSQL's port of " + model_name(i) + " is asked although Patroni answers");
  }
  std::erase_if(a.checks, [&](Instant t) { return s_.now() - t >= seconds(1); });
  a.checks.push_back(s_.now());
  const auto most = static_cast<std::size_t>(seconds(1) / Span(s_.config.health.hunt_interval)) + 6;
  if (a.checks.size() > most) impolite(i, "too often whether its port answers;", gap);
  const bool long_dead = n.failures > 3 && s_.now() - n.failing_since > seconds(8);
  const bool primary = s_.topology.primary == i;
  if (long_dead && !primary && s_.topology.primary && gap < seconds(4)) {
    impolite(i, "whether its port answers, long after it failed,", gap);
  }
}

void RequestRules::answered(const Evidence& evidence) {
  if (const auto* e = std::get_if<DatabaseEvidence>(&evidence)) {
    nodes_[e->node].database_in_flight = false;
  } else if (const auto* t = std::get_if<TlsEvidence>(&evidence)) {
    nodes_[t->node].tls_in_flight = false;
  } else if (const auto* c = std::get_if<ConfigEvidence>(&evidence)) {
    config_known_ = c->times.has_value();
    nodes_[c->node].other_ended = s_.now();
  } else if (const auto* m = std::get_if<ClusterEvidence>(&evidence)) {
    nodes_[m->node].other_ended = s_.now();
  }
}

void RequestRules::deciding(const Decision& decision) {
  for (const Transition& t : decision.transitions) {
    const bool claims = t.text.find("more than one node claims") != std::string::npos;
    if (claims) alarmed_ = t.kind == TransitionKind::kAlarm;
  }
}

// What follows from a failure at once, and what is asked again and again.
void RequestRules::decided() {
  const Instant now = s_.now();
  for (std::size_t i = 0; i < s_.size(); ++i) {
    const Asked& a = nodes_[i];
    const NodeLedger& n = s_.told[i];
    if (!s_.has(i)) continue;
    const bool has_address = s_.topology.generation != 0 && !s_.topology.nodes[i].addresses.empty();
    if (!has_address || s_.topology.generation == 0) continue;
    const bool asked = a.database + milliseconds(500) >= n.failing_since || a.database_in_flight;
    if (n.failures > 0 && !asked) {
      s_.fail("Patroni on " + model_name(i) + " fails, and nobody asks PostgreSQL's port");
    }
    const bool queried = n.answers() && (n.report->location || n.report->replayed);
    if (queried && !a.tls_asked) s_.fail("nobody asks whether " + model_name(i) + " takes TLS");
  }
  const bool known = config_known_ && calm_since_ != Instant{};
  const Span takes = 3 * s_.interval() + s_.timeout() + kGrain;
  if (known && now - std::max(config_asked_, calm_since_) > seconds(30) + takes) {
    s_.fail("the configuration has not been read for long");
  }
  if (known && now - std::max(members_asked_, calm_since_) > s_.members_period() + takes) {
    s_.fail("the members have not been read for long");
  }
}

// The longest time between two checks of the node now.
Span RequestRules::step(std::size_t i) const {
  const Span hunt = s_.config.health.hunt_interval;
  const NodeLedger& n = s_.told[i];
  if (n.failures >= 3 && (n.last == Outcome::kTlsFailed || !n.report)) return 2 * s_.interval();
  const bool failed = n.failures > 0 && n.failures < 3 && n.report;
  if (failed) return std::min(hunt, s_.interval());
  return s_.hunting_step(i);
}

// A node whose slot is free is asked in time.
void RequestRules::after_step() {
  const Instant now = s_.now();
  if (!calm()) {
    calm_since_ = {};
  } else if (calm_since_ == Instant{}) {
    calm_since_ = now;
  }
  for (std::size_t i = 0; i < s_.size(); ++i) {
    if (!s_.has(i)) continue;
    const NodeLedger& n = s_.told[i];
    Asked& a = nodes_[i];
    if (troubled(i)) {
      a.easy_since = {};
    } else if (a.easy_since == Instant{}) {
      a.easy_since = now;
    }
    const Span wait = step(i);
    if (wait != a.step) {
      a.step = wait;
      a.step_since = now;
    }
    if (n.in_flight) continue;
    const Instant from =
        std::max({n.slot_free, a.step_since, s_.started, s_.resumed, a.other_ended});
    if (now > from + 2 * wait + milliseconds(100)) {
      s_.fail(model_name(i) + " has not been asked for " + seconds_of(now - n.asked) +
              ", and is to be asked every " + seconds_of(wait));
    }
  }
}

}  // namespace pgsteer
