// What to ask next, and when. In the steady state one request per node and round, rounds at least
// `interval` apart; while something is in doubt, rounds at `hunt_interval`, backing off.
#include <algorithm>

#include "health/judge_parts.h"

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

// Up to a tenth more than the interval, never less: several proxies drift apart, and no node is
// asked more than once per interval.
milliseconds jittered(Judging& j) {
  auto interval = j.config.health.interval;
  auto spread = static_cast<std::uint64_t>(interval.count() / 10 + 1);
  return interval + milliseconds(static_cast<std::int64_t>(next_random(j.s.random) % spread));
}

// Somebody leads and proves it: a primary, or the leader of a standby cluster.
bool settled(const JudgeState& s) {
  if (s.holder) return s.holder->proven;
  return std::any_of(s.nodes.begin(), s.nodes.end(), [&](const NodeState& n) {
    return fresh(n) && n.report->lease && n.report->role == Role::kStandbyLeader && !foreign(s, n);
  });
}

bool in_doubt(const Judging& j) {
  const JudgeState& s = j.s;
  if (!s.first_round_done) return false;
  if (!settled(s) || s.doubt_until > j.now || s.alarms.contains("claimants")) return true;
  return s.holder && late(s.nodes[s.holder->node], j.now);
}

milliseconds pace(const Judging& j) {
  auto interval = j.config.health.interval;
  if (!j.s.hunting) return interval;
  auto hunted = j.now - j.s.hunting_since;
  auto hunt = j.config.health.hunt_interval;
  if (hunted >= seconds(30)) hunt = std::max(hunt, milliseconds(250));
  if (hunted >= seconds(60)) hunt = std::max(hunt, milliseconds(500));
  if (hunted >= seconds(120)) hunt = interval;
  return std::min(hunt, interval);
}

// A node that deserves a closer look than the others: promotion is imminent, or silence is new.
std::optional<milliseconds> quick_pace(const Judging& j, const NodeState& n) {
  auto hunt = j.config.health.hunt_interval;
  bool leads_soon = fresh(n) && n.report->lease && n.report->in_recovery() &&
                    n.report->role == Role::kReplica && !foreign(j.s, n);
  if (leads_soon && j.now - n.role_since < seconds(30)) return std::max(milliseconds(20), hunt / 2);
  bool newly_silent = n.failures > 0 && n.failures < 3 && n.report;
  bool newly_odd = n.odd_replies == 1;
  if (newly_silent || newly_odd) return hunt;
  return std::nullopt;
}

struct Planner {
  Judging& j;
  Instant wake;

  void wake_at(Instant t) {
    if (t > j.now) wake = std::min(wake, t);
  }

  void ask(std::size_t i, ProbeKind what) {
    NodeState& n = j.node(i);
    j.out.requests.push_back({i, what});
    if (what == ProbeKind::kDatabase) {
      n.database_in_flight = true;
      n.database_asked = j.now;
    } else if (what == ProbeKind::kTls) {
      n.tls_in_flight = true;
      n.tls_asked_before = true;
      n.tls_asked = j.now;
    } else {
      n.rest_in_flight = true;
      n.rest_kind = what;
      n.rest_since = j.now;
      n.rest_round = j.s.round;
      if (what == ProbeKind::kLeader) n.last_leader_ask = j.now;
    }
  }
  void witness();
  void round();
  void quick();
  void config_now();
  void databases();
  void tls();
  std::optional<std::size_t> config_node() const;
};

// Close to the fence deadline of a hung Patroni, the other members are asked whom the store names.
void Planner::witness() {
  JudgeState& s = j.s;
  if (!s.holder || s.holder->proven) return;
  std::size_t holder = s.holder->node;
  const NodeState& h = s.nodes[holder];
  if (h.failures == 0 || h.attempt.outcome != Outcome::kSilent) return;
  Instant from = fence_deadline(j.config, s, holder) - seconds(2);
  if (j.now < from) return wake_at(from);
  if (j.now < s.witness_asked + kWitnessPace) return wake_at(s.witness_asked + kWitnessPace);
  for (std::size_t k = 0; k < s.nodes.size(); ++k) {
    std::size_t i = (s.next_witness + k) % s.nodes.size();
    const NodeState& n = s.nodes[i];
    if (i == holder || n.rest_in_flight || !fresh(n) || foreign(s, n)) continue;
    s.next_witness = i + 1;
    s.witness_asked = j.now;
    ask(i, ProbeKind::kCluster);
    return wake_at(j.now + kWitnessPace);
  }
}

// Whom to ask for the configuration: a replica rather than the primary.
std::optional<std::size_t> Planner::config_node() const {
  const JudgeState& s = j.s;
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (!fresh(n) || n.rest_in_flight || foreign(s, n)) continue;
    if (!s.holder || s.holder->node != i) return i;
    found = i;
  }
  return found;
}

// Until it is known, the configuration is worth a request of its own.
void Planner::config_now() {
  JudgeState& s = j.s;
  if (s.dcs_known || !s.first_round_done || j.now < s.config_due) return;
  if (auto i = config_node()) {
    s.config_due = j.now + seconds(5);
    ask(*i, ProbeKind::kConfig);
  }
}

void Planner::round() {
  JudgeState& s = j.s;
  bool doubt = in_doubt(j);
  if (doubt && !s.hunting) {
    s.hunting_since = j.now;
    s.next_round = std::min(s.next_round, s.round_at + j.config.health.hunt_interval);
  } else if (!doubt && s.hunting) {
    s.next_round = s.round_at + jittered(j);
  }
  s.hunting = doubt;
  if (doubt) s.next_round = std::min(s.next_round, s.round_at + pace(j));
  if (s.round > 0 && j.now < s.next_round) return wake_at(s.next_round);

  ++s.round;
  s.round_at = j.now;
  s.next_round = j.now + (doubt ? pace(j) : jittered(j));
  wake_at(s.next_round);
  if (!doubt && s.dcs_known && j.now >= s.config_due) {
    if (auto i = config_node()) {
      s.config_due = j.now + seconds(30);
      ask(*i, ProbeKind::kConfig);
    }
  }
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    if (!s.nodes[i].rest_in_flight) ask(i, ProbeKind::kLeader);
  }
}

void Planner::quick() {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    auto every = quick_pace(j, n);
    if (!every || n.rest_in_flight) continue;
    if (j.now >= n.last_leader_ask + *every) {
      ask(i, ProbeKind::kLeader);
    } else {
      wake_at(n.last_leader_ask + *every);
    }
  }
}

// PostgreSQL's port is asked only while Patroni on the node does not answer.
void Planner::databases() {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    bool slow = late(n, j.now);
    if ((n.failures == 0 && !slow) || n.database_in_flight || n.addresses.empty()) continue;
    bool holder = j.s.holder && j.s.holder->node == i;
    bool recent = n.failures == 0 || j.now - n.failing_since < seconds(5);
    milliseconds every = holder ? std::max(pace(j), milliseconds(200))
                                : (recent ? milliseconds(500) : milliseconds(5'000));
    bool new_trouble =
        n.database == DatabaseAnswer::kUnknown && n.database_asked < n.last_leader_ask;
    if (new_trouble || j.now >= n.database_asked + every) {
      ask(i, ProbeKind::kDatabase);
    } else {
      wake_at(n.database_asked + every);
    }
  }
}

// Learnt once, again when a node came back, and once a minute while unknown: PostgreSQL may log it.
void Planner::tls() {
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.s.nodes[i];
    if (n.tls_in_flight || n.addresses.empty() || !fresh(n)) continue;
    if (!n.report->location && !n.report->replayed) continue;
    bool again = n.tls == TlsAnswer::kUnknown && j.now - n.tls_asked >= seconds(60);
    if (!n.tls_asked_before || again) ask(i, ProbeKind::kTls);
  }
}

}  // namespace

void plan(Judging& j) {
  Planner p{j, j.now + j.config.health.interval};
  p.witness();
  p.config_now();
  p.round();
  p.quick();
  p.databases();
  p.tls();
  JudgeState& s = j.s;
  p.wake_at(s.doubt_until);
  if (s.holder) {
    const NodeState& n = s.nodes[s.holder->node];
    if (n.rest_in_flight && n.rest_kind == ProbeKind::kLeader) p.wake_at(n.rest_since + kLate);
    if (!s.holder->proven || n.rest_in_flight)
      p.wake_at(fence_deadline(j.config, s, s.holder->node));
    if (n.turned_away) p.wake_at(*n.turned_away + kTurnedAway);
    if (s.witness.valid) p.wake_at(s.witness.sent + kWitnessFresh + milliseconds(1));
  }
  j.out.wake = p.wake;
}

}  // namespace pgsteer
