// What to request next, and when. Normally one request per node and round, and rounds at least
// `interval` apart; while the primary is in question, rounds at `hunt_interval`, slowing down
// later.
#include <algorithm>

#include "health/judge_context.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// splitmix64, by Sebastiano Vigna (public domain algorithm): enough for jitter, and replayable.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

milliseconds longest_jitter(const JudgeContext& j) { return j.config.health.interval / 10; }

// Up to a tenth more than the interval, never less: several proxies drift apart, and no node is
// asked more than once per interval.
milliseconds jittered_interval(JudgeContext& j) {
  const auto interval = j.config.health.interval;
  const auto spread = static_cast<std::uint64_t>(longest_jitter(j).count() + 1);
  return interval + milliseconds(static_cast<std::int64_t>(next_random(j.s.random) % spread));
}

// A node leads and proves it: a primary, or the leader of a standby cluster. Where nothing can be
// checked, asking often helps nobody.
bool has_leader(const JudgeState& s) {
  if (s.primary) return s.primary->proven || s.primary->verdict.reason == Reason::kUncheckable;
  return std::any_of(s.nodes.begin(), s.nodes.end(),
                     [&](const NodeState& n) { return leads_standbys(s, n); });
}

bool must_hunt(const JudgeContext& j) {
  const JudgeState& s = j.s;
  if (!s.first_round_done) return false;
  if (!has_leader(s) || s.suspicion.until > j.now) return true;
  if (s.alarms.contains(AlarmKey{AlarmKind::kClaimants})) return true;
  return s.primary && is_late(s.nodes[s.primary->node], j.now);
}

// The time between two rounds, without jitter.
milliseconds pace(const JudgeContext& j) {
  const auto interval = j.config.health.interval;
  if (!j.s.rounds.hunting) return interval;
  const auto hunted = j.now - j.s.rounds.hunting_since;
  auto hunt = j.config.health.hunt_interval;
  if (hunted >= seconds(30)) hunt = std::max(hunt, milliseconds(250));
  // While sessions are served, what is in doubt may take longer to be found out. But what a witness
  // has read counts for two seconds only.
  const Reason reason = j.s.primary ? j.s.primary->verdict.reason : Reason::kUnknown;
  const bool served = j.s.primary && j.s.primary->verdict.admission == Admission::kAdmit &&
                      reason != Reason::kWitnessed && reason != Reason::kTrial;
  if (served && hunted >= seconds(60)) hunt = std::max(hunt, milliseconds(500));
  if (served && hunted >= seconds(120)) hunt = interval;
  return std::min(hunt, interval);
}

// Its TLS fails, or what answers there never was Patroni's REST API: asking often helps nobody, and
// each such request costs Patroni a worker thread.
bool is_misconfigured(const NodeState& n) {
  const Outcome outcome = n.rest.attempt.outcome;
  if (n.rest.failures < 3) return false;
  if (outcome == Outcome::kTlsFailed) return true;
  return !n.rest.report && (outcome == Outcome::kMalformed || outcome == Outcome::kEmpty);
}

// A node that is checked more often than the others: it is being promoted, or has just failed.
std::optional<milliseconds> quick_pace(const JudgeContext& j, const NodeState& n) {
  const auto hunt = j.config.health.hunt_interval;
  const bool promoting = is_fresh(n) && n.rest.report->lease && n.rest.report->in_recovery() &&
                         n.rest.report->role == Role::kReplica && !is_foreign(j.s, n);
  if (promoting && j.now - n.role_since < seconds(30)) return std::max(milliseconds(20), hunt / 2);
  const bool newly_silent = n.rest.failures > 0 && n.rest.failures < 3 && n.rest.report;
  const bool newly_incomplete = is_fresh(n) && n.rest.incomplete_replies == 1;
  if (newly_silent || newly_incomplete) return hunt;
  return std::nullopt;
}

// A majority of the nodes has answered, they agree on the cluster, and there is one leader, on the
// highest timeline in sight.
bool are_clear(const std::vector<const Report*>& answers, std::size_t nodes) {
  if (2 * answers.size() <= nodes) return false;
  const auto leads = [](const Report* r) { return r->lease; };
  const auto leader = std::find_if(answers.begin(), answers.end(), leads);
  if (leader == answers.end() || !(*leader)->leads() || (*leader)->by_role()) return false;
  if (std::any_of(leader + 1, answers.end(), leads)) return false;
  return std::all_of(answers.begin(), answers.end(), [&](const Report* r) {
    return r->timeline <= (*leader)->timeline && r->scope == (*leader)->scope &&
           r->system_identifier == (*leader)->system_identifier;
  });
}

// Collects the requests of one call of judge() and the time of the next call. The order of its
// steps matters: a node's REST API gets one request at a time.
class Planner {
 public:
  explicit Planner(JudgeContext& j) : j_(j), wake_(j.now + j.config.health.interval) {}
  Instant plan();

 private:
  void plan_witness();
  std::optional<Instant> witness_due() const;
  bool ask_witness(std::size_t about);
  void note_hunt();
  void plan_first_config();
  void plan_settings();
  void plan_round();
  void plan_quick_checks();
  void plan_port_checks();
  void plan_tls_checks();
  void plan_wake();
  bool can_be_asked(std::size_t i) const;
  std::optional<std::size_t> config_node() const;
  std::optional<std::size_t> list_node();
  void request(std::size_t i, ProbeKind kind);
  void wake_at(Instant t) {
    if (t > j_.now) wake_ = std::min(wake_, t);
  }

  JudgeContext& j_;
  Instant wake_;
};

void Planner::request(std::size_t i, ProbeKind kind) {
  NodeState& n = j_.node(i);
  j_.out.requests.push_back({i, kind});
  if (kind == ProbeKind::kDatabase) {
    n.database.in_flight = true;
    n.database.asked_at = j_.now;
  } else if (kind == ProbeKind::kTls) {
    n.tls.in_flight = true;
    n.tls.asked = true;
    n.tls.asked_at = j_.now;
  } else {
    n.rest.in_flight = true;
    n.rest.kind = kind;
    n.rest.sent = j_.now;
    n.rest.round = j_.s.rounds.number;
    if (kind == ProbeKind::kLeader) n.rest.leader_sent = j_.now;
  }
}

// From when on a member is asked whom the store names; empty: nobody needs to know.
std::optional<Instant> Planner::witness_due() const {
  const JudgeState& s = j_.s;
  if (!s.first_round_done || (s.primary && s.primary->proven)) return std::nullopt;
  const Instant next = s.witness.asked_at + std::max(kWitnessPace, pace(j_));
  if (!s.primary) {
    // Somebody whose Patroni hangs may lead.
    const bool any = std::any_of(s.nodes.begin(), s.nodes.end(), [](const NodeState& n) {
      return is_hung(n) && n.database.answer == DatabaseAnswer::kAnswers;
    });
    return any ? std::optional(next) : std::nullopt;
  }
  const std::size_t primary = s.primary->node;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (i != primary && is_fresh(n) && !is_foreign(s, n) && n.lease.replies > 0) return next;
  }
  if (!is_hung(s.nodes[primary])) return std::nullopt;
  return std::max(s.witness.asked_at + kWitnessPace,
                  fence_deadline(j_.config, s, primary) - seconds(2));
}

// Asks the next member but `about`. False: none can be asked now.
bool Planner::ask_witness(std::size_t about) {
  JudgeState& s = j_.s;
  for (std::size_t k = 0; k < s.nodes.size(); ++k) {
    const std::size_t i = (s.witness.next + k) % s.nodes.size();
    const NodeState& n = s.nodes[i];
    if (i == about || n.rest.in_flight || !is_fresh(n) || is_foreign(s, n)) continue;
    if (n.rest.kind == ProbeKind::kCluster) continue;  // its own GET /leader comes first
    s.witness.next = i + 1;
    s.witness.asked_at = j_.now;
    request(i, ProbeKind::kCluster);
    return true;
  }
  return false;
}

void Planner::plan_witness() {
  JudgeState& s = j_.s;
  auto due = witness_due();
  // It may be kept for long because nobody else is a member.
  const bool kept = s.first_round_done && s.primary && !s.primary->proven;
  if (kept) due = due ? std::min(*due, s.members.due) : s.members.due;
  if (!due) return;
  if (j_.now < *due) return wake_at(*due);
  const std::size_t nobody = s.nodes.size();
  if (!ask_witness(s.primary ? s.primary->node : nobody)) return;
  s.members.due = std::max(s.members.due, j_.now + members_period(j_.config));
  wake_at(j_.now + kWitnessPace);
}

bool Planner::can_be_asked(std::size_t i) const {
  const NodeState& n = j_.s.nodes[i];
  return is_fresh(n) && !n.rest.in_flight && !is_foreign(j_.s, n);
}

// The node that is asked for the configuration: a replica rather than the primary.
std::optional<std::size_t> Planner::config_node() const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < j_.s.nodes.size(); ++i) {
    if (!can_be_asked(i)) continue;
    if (!j_.is_primary(i)) return i;
    found = i;
  }
  return found;
}

// With discovery every member's list counts, so each one is asked in its turn.
std::optional<std::size_t> Planner::list_node() {
  if (!j_.config.clusters.front().discover) return config_node();
  std::size_t& turn = j_.s.members.turn;
  const std::size_t nodes = j_.s.nodes.size();
  for (std::size_t k = 0; k < nodes; ++k) {
    const std::size_t i = (turn + k) % nodes;
    if (!can_be_asked(i)) continue;
    turn = i + 1;
    return i;
  }
  return std::nullopt;
}

// Until the configuration is known it does not wait for a quiet round.
void Planner::plan_first_config() {
  PatroniSettings& settings = j_.s.settings;
  if (settings.known || !j_.s.first_round_done || j_.now < settings.due) return;
  if (const auto i = config_node()) {
    settings.due = j_.now + seconds(5);
    request(*i, ProbeKind::kConfig);
  }
}

// Before all else: the pace of everything depends on it.
void Planner::note_hunt() {
  RoundState& r = j_.s.rounds;
  const bool hunt = must_hunt(j_);
  if (hunt && !r.hunting) {
    r.hunting_since = j_.now;
    r.next = std::min(r.next, r.began + j_.config.health.hunt_interval);
  } else if (!hunt && r.hunting) {
    r.next = r.began + jittered_interval(j_);
  }
  r.hunting = hunt;
}

void Planner::plan_round() {
  JudgeState& s = j_.s;
  RoundState& r = s.rounds;
  const bool hunt = r.hunting;
  // At the latest: a reload may have made the interval shorter.
  r.next = std::min(r.next, r.began + pace(j_) + (hunt ? milliseconds(0) : longest_jitter(j_)));
  if (r.number > 0 && j_.now < r.next) return wake_at(r.next);

  if (r.number++ == 0) r.first = j_.now;
  r.began = j_.now;
  r.next = j_.now + (hunt ? pace(j_) : jittered_interval(j_));
  wake_at(r.next);
  if (!hunt) plan_settings();
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    const bool pause = is_misconfigured(n) && j_.now < n.rest.sent + j_.config.health.interval;
    if (!n.rest.in_flight && !pause) request(i, ProbeKind::kLeader);
  }
}

// In quiet rounds only, and one at a time: it takes the place of the node's check.
void Planner::plan_settings() {
  JudgeState& s = j_.s;
  const bool settings = s.settings.known && j_.now >= s.settings.due;
  Instant& due = settings ? s.settings.due : s.members.due;
  if (!s.first_round_done || j_.now < due) return;
  if (const auto i = settings ? config_node() : list_node()) {
    request(*i, settings ? ProbeKind::kConfig : ProbeKind::kCluster);
    due = j_.now + members_period(j_.config);
  }
}

void Planner::plan_quick_checks() {
  for (std::size_t i = 0; i < j_.s.nodes.size(); ++i) {
    const NodeState& n = j_.s.nodes[i];
    const auto every = quick_pace(j_, n);
    if (!every || n.rest.in_flight) continue;
    const Instant next = n.rest.leader_sent + *every;
    if (j_.now < next) {
      wake_at(next);
    } else {
      request(i, ProbeKind::kLeader);
    }
  }
}

// PostgreSQL's port is asked only while Patroni on the node does not answer.
void Planner::plan_port_checks() {
  for (std::size_t i = 0; i < j_.s.nodes.size(); ++i) {
    const NodeState& n = j_.s.nodes[i];
    const DatabaseState& d = n.database;
    if (!needs_port_check(n, j_.now) || d.in_flight || n.addresses.empty()) continue;
    const bool recent = n.rest.failures == 0 || j_.now - n.rest.failing_since < seconds(5);
    const milliseconds others = recent ? milliseconds(500) : milliseconds(5'000);
    const milliseconds every = j_.is_primary(i) ? std::max(pace(j_), milliseconds(200)) : others;
    const bool new_trouble =
        d.answer == DatabaseAnswer::kUnknown && d.asked_at < n.rest.leader_sent;
    if (new_trouble || j_.now >= d.asked_at + every) {
      request(i, ProbeKind::kDatabase);
    } else {
      wake_at(d.asked_at + every);
    }
  }
}

// Once, again when a node came back, and once a minute while unknown: PostgreSQL may log each one.
void Planner::plan_tls_checks() {
  for (std::size_t i = 0; i < j_.s.nodes.size(); ++i) {
    const NodeState& n = j_.s.nodes[i];
    if (n.tls.in_flight || n.addresses.empty()) continue;
    const bool queried = is_fresh(n) && (n.rest.report->location || n.rest.report->replayed);
    if (!queried && n.database.answer != DatabaseAnswer::kAnswers) continue;
    const bool again =
        n.tls.answer == TlsAnswer::kUnknown && j_.now - n.tls.asked_at >= seconds(60);
    if (!n.tls.asked || again) request(i, ProbeKind::kTls);
  }
}

// The moments at which a verdict may change although no evidence comes in.
void Planner::plan_wake() {
  const JudgeState& s = j_.s;
  wake_at(s.suspicion.until);
  if (!s.first_round_done) wake_at(s.rounds.first + kFirstRound);
  wake_at(s.grace_until);
  if (!s.identity.next.empty()) {
    wake_at(s.identity.next_since + j_.config.health.identity_settle);
  }
  if (!s.primary) return;
  const NodeState& n = s.nodes[s.primary->node];
  if (n.rest.in_flight && n.rest.kind == ProbeKind::kLeader) wake_at(n.rest.sent + kLate);
  if (!s.primary->proven || n.rest.in_flight) {
    wake_at(fence_deadline(j_.config, s, s.primary->node));
  }
  if (n.database.turned_away) wake_at(*n.database.turned_away + kTurnedAway);
  for (const NodeState& other : s.nodes) {
    if (other.store) wake_at(other.store->sent + kWitnessFresh + milliseconds(1));
  }
}

Instant Planner::plan() {
  note_hunt();
  plan_witness();
  plan_first_config();
  plan_round();
  plan_quick_checks();
  plan_port_checks();
  plan_tls_checks();
  plan_wake();
  return wake_;
}

}  // namespace

// Everybody has been tried; or the answers are clear; or there are some, and the others had their
// time.
void note_first_round(JudgeContext& j) {
  JudgeState& s = j.s;
  if (s.first_round_done || s.rounds.number == 0) return;
  std::vector<const Report*> answers;
  bool all_tried = true;
  for (const NodeState& n : s.nodes) {
    if (is_fresh(n)) answers.push_back(&*n.rest.report);
    all_tried &= n.rest.tried;
  }
  const bool waited = !answers.empty() && j.now >= s.rounds.first + kFirstRound;
  s.first_round_done = all_tried || waited || are_clear(answers, s.nodes.size());
}

void plan_requests(JudgeContext& j) { j.s.wake = j.out.wake = Planner(j).plan(); }

}  // namespace pgsteer
