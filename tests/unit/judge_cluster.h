// A scripted cluster for the tests of judge: three nodes whose answers a test sets, and a clock
// that the test moves. It carries out every request as the checker would. No threads, no real time.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "health/judge.h"
#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::size_t kReadWrite = 0;
inline constexpr std::size_t kReadOnly = 1;

struct ScriptedNode {
  Outcome outcome = Outcome::kAnswered;
  Report reply;             // if answered
  milliseconds latency{2};  // of an answer, or until a failure shows
  bool dcs_loop = true;     // dcs_last_seen keeps up; otherwise it stays at `dcs_stuck`
  std::int64_t dcs_stuck = 0;
  bool shows_dcs = true;
  DatabaseAnswer database = DatabaseAnswer::kAnswers;
  TlsAnswer tls = TlsAnswer::kNo;
  std::string store_says;        // leader's name in GET /cluster; empty: it fails
  bool member = true;            // is listed there
  std::string member_name;       // how; empty: as it is configured
  bool address_moved = false;    // with an address that is not configured
  std::uint64_t write_rate = 0;  // bytes of WAL per second: moves the location
  std::vector<ProbeKind> asked;
  std::vector<Instant> asked_at;
};

class ScriptedCluster {
 public:
  explicit ScriptedCluster(std::size_t size = 3) {
    for (std::size_t i = 0; i < size; ++i) {
      NodeConfig node;
      node.name = "pg-" + std::to_string(i + 1);
      node.host = "10.0.0." + std::to_string(i + 1);
      config.nodes.push_back(node);
    }
    config.listen.resize(2);
    config.listen[kReadWrite].name = "read_write";
    config.listen[kReadOnly].name = "read_only";
    config.listen[kReadOnly].to = Target::kReplica;
    config.health.clock_margin = milliseconds(1'000);
    nodes.resize(size);
    for (std::size_t i = 0; i < size; ++i) nodes[i].reply = i == 0 ? leader(5) : replica(5);
    times.ttl = seconds(30);
  }

  ScriptedCluster(const ScriptedCluster&) = delete;  // requests in flight point here
  ScriptedCluster& operator=(const ScriptedCluster&) = delete;

  static Report base(const char* version = "3.0.2") {
    Report r;
    r.outcome = Outcome::kAnswered;
    r.status = 503;
    r.detail = "503";
    r.state = State::kRunning;
    r.state_word = "running";
    r.system_identifier = "7001";
    r.patroni_version = version;
    return r;
  }
  static Report leader(std::uint32_t timeline, std::uint64_t location = 1'000'000) {
    Report r = base();
    r.status = 200;
    r.detail = "200";
    r.lease = true;
    r.role = Role::kPrimary;
    r.timeline = timeline;
    r.location = location;
    return r;
  }
  static Report replica(std::uint32_t timeline, std::uint64_t replayed = 1'000'000) {
    Report r = base();
    r.role = Role::kReplica;
    r.timeline = timeline;
    r.replayed = replayed;
    return r;
  }
  static Report promoting(std::uint32_t timeline) {
    Report r = replica(timeline);
    r.status = 200;
    r.lease = true;
    return r;
  }
  // Patroni answers, PostgreSQL was not asked: `lease` with a state such as "crashed".
  static Report without_query(bool lease, State state, const char* state_word, Role role) {
    Report r = base();
    r.status = lease ? 200 : 503;
    r.lease = lease;
    r.state = state;
    r.state_word = state_word;
    r.role = role;
    return r;
  }

  void refuse(std::size_t i, DatabaseAnswer database = DatabaseAnswer::kAnswers) {
    nodes[i].outcome = Outcome::kRefused;
    nodes[i].latency = milliseconds(1);
    nodes[i].database = database;
  }
  void silence(std::size_t i, DatabaseAnswer database = DatabaseAnswer::kAnswers) {
    nodes[i].outcome = Outcome::kSilent;
    nodes[i].latency = config.health.timeout;
    nodes[i].database = database;
  }
  void answer(std::size_t i, const Report& reply) {
    nodes[i].outcome = Outcome::kAnswered;
    nodes[i].latency = milliseconds(2);
    nodes[i].reply = reply;
  }

  // Calls judge for the first time if needed; then moves time and carries out what falls due.
  void run(std::chrono::steady_clock::duration d) {
    const Instant end = now + d;
    start();
    for (;;) {
      Instant next = wake;
      for (const Pending& p : pending) next = std::min(next, p.due);
      if (next > end) break;
      now = std::max(now, next);
      std::vector<Evidence> evidence;
      for (auto it = pending.begin(); it != pending.end();) {
        if (it->due > now) {
          ++it;
          continue;
        }
        if (const auto i = index_of(it->node)) evidence.push_back(it->make(*i));
        it = pending.erase(it);
      }
      step(evidence);
    }
    now = end;
  }
  // Until `done`, for at most `limit`; how long it took.
  std::chrono::steady_clock::duration run_until(const std::function<bool()>& done,
                                                milliseconds limit) {
    const Instant from = now;
    while (!done() && now - from < limit) run(milliseconds(1));
    return now - from;
  }
  void start() {
    if (started) return;
    started = true;
    state = initial_state(config, 1);
    std::vector<Evidence> evidence;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      evidence.push_back(AddressEvidence{i, {address(i)}});
    step(evidence);
  }
  // The nodes and listeners of `next`, read again. Nodes that go on answer as before; the others
  // are replicas whose addresses are known at once.
  void reload(const Config& next) {
    std::vector<ScriptedNode> old =
        std::exchange(nodes, std::vector<ScriptedNode>(next.nodes.size()));
    std::vector<Evidence> evidence;
    for (std::size_t i = 0; i < next.nodes.size(); ++i) {
      nodes[i].reply = replica(5);
      const auto before = index_of(next.nodes[i].name);
      if (before) nodes[i] = std::move(old[*before]);
      if (!before) evidence.push_back(AddressEvidence{i, {address(i)}});
    }
    state = carry_over(config, next, std::move(state));
    config = next;
    step(evidence);
  }
  void step(const std::vector<Evidence>& evidence) {
    const Decision d = judge(config, state, evidence, now);
    wake = d.wake;
    ASSERT_GT(wake, now) << "judge wants to be called without anything to do";
    if (d.topology) {
      ASSERT_EQ(d.topology->generation, generations + 1);
      ++generations;
    }
    for (const Transition& t : d.transitions) transitions.push_back(t);
    if (d.nominated) nominated = d.nominated;
    for (const Request& r : d.requests) carry_out(r);
  }

  const Verdict& verdict(std::size_t listener, std::size_t node) const {
    return state.published.pools[listener].by_node[node];
  }
  std::string rw(std::size_t node) const { return words(verdict(kReadWrite, node)); }
  std::string ro(std::size_t node) const { return words(verdict(kReadOnly, node)); }
  static std::string words(const Verdict& v) {
    return std::string(to_string(v.admission)) + " " + to_string(v.reason);
  }
  std::optional<std::size_t> primary() const { return state.published.primary; }
  bool admits(std::size_t node) const {
    return verdict(kReadWrite, node).admission == Admission::kAdmit;
  }
  bool cuts(std::size_t node) const {
    return verdict(kReadWrite, node).admission == Admission::kCut;
  }
  bool alarm(AlarmKind kind, std::optional<std::size_t> node = std::nullopt) const {
    return state.alarms.contains(AlarmKey{kind, node});
  }
  std::size_t count(TransitionKind kind) const {
    return static_cast<std::size_t>(std::count_if(transitions.begin(), transitions.end(),
                                                  [&](const auto& t) { return t.kind == kind; }));
  }

  Config config;
  JudgeState state;
  std::vector<ScriptedNode> nodes;
  DcsTimes times;
  bool stranger_member = false;        // GET /cluster lists a member that is not configured
  std::vector<ClusterMember> further;  // more of them
  std::optional<std::vector<NodeConfig>> nominated;  // as a decision said last
  std::string leader_word = "leader";                // role of the leader there
  Instant now = Instant{} + std::chrono::hours(1);
  Instant wake{};
  std::uint64_t generations = 0;
  std::vector<Transition> transitions;
  std::int64_t clock_offset = 1'700'000'000;  // the nodes' wall clock at Instant{}

  std::int64_t wall(Instant t) const {
    return clock_offset + std::chrono::duration_cast<seconds>(t.time_since_epoch()).count();
  }
  static Address address(std::size_t i) {
    Address a;
    a.size = sizeof(sockaddr);
    a.storage.ss_family = AF_INET;
    reinterpret_cast<unsigned char*>(&a.storage)[7] = static_cast<unsigned char>(i + 1);
    return a;
  }

 private:
  struct Pending {
    Instant due;
    std::string node;
    std::function<Evidence(std::size_t)> make;
  };
  std::optional<std::size_t> index_of(const std::string& node) const {
    const auto at = std::ranges::find(config.nodes, node, &NodeConfig::name);
    if (at == config.nodes.end()) return std::nullopt;
    return static_cast<std::size_t>(at - config.nodes.begin());
  }

  Report reply_of(std::size_t i, Instant at) {
    ScriptedNode& n = nodes[i];
    if (n.outcome != Outcome::kAnswered) return failed_report(n.outcome, to_string(n.outcome));
    Report r = n.reply;
    if (r.location && n.write_rate) {
      const auto run_for = std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count();
      *r.location += n.write_rate * static_cast<std::uint64_t>(run_for) / 1000;
    }
    if (n.shows_dcs) {
      r.date = wall(at);
      const auto loop = std::chrono::duration_cast<seconds>(times.loop_wait).count();
      r.dcs_last_seen = n.dcs_loop ? wall(at) / loop * loop : n.dcs_stuck;
    }
    return r;
  }

  // Every node is a member. A leader's name that is none of theirs: there is no leader key.
  ClusterReport members(const std::string& leader) const {
    ClusterReport report;
    for (std::size_t k = 0; k < nodes.size(); ++k) {
      if (!nodes[k].member) continue;
      ClusterMember m;
      m.name = nodes[k].member_name.empty() ? config.nodes[k].name : nodes[k].member_name;
      m.host = nodes[k].address_moved ? "10.9.9.9" : config.nodes[k].host;
      m.port = 5432;
      m.timeline = nodes[k].reply.timeline;
      m.leader = m.name == leader;
      m.role = m.leader ? leader_word : "replica";
      if (m.leader) report.leader = m;
      report.members.push_back(m);
    }
    report.members.insert(report.members.end(), further.begin(), further.end());
    if (stranger_member) {
      ClusterMember& m = report.members.emplace_back();
      m.name = "pg-9";
      m.leader = m.name == leader;
      if (m.leader) report.leader = m;
    }
    return report;
  }

  void carry_out(const Request& request) {
    const std::size_t i = request.node;
    ScriptedNode& n = nodes[i];
    n.asked.push_back(request.kind);
    n.asked_at.push_back(now);
    const Instant sent = now;
    const bool rest = request.kind != ProbeKind::kDatabase && request.kind != ProbeKind::kTls;
    const Instant due = now + (rest ? n.latency : milliseconds(1));
    const bool answers = n.outcome == Outcome::kAnswered;
    pending.push_back(
        {due, config.nodes[i].name,
         [this, request, sent, due, answers](std::size_t at) -> Evidence {
           switch (request.kind) {
             case ProbeKind::kLeader:
               return LeaderEvidence{at, sent, due, reply_of(at, due)};
             case ProbeKind::kConfig:
               return ConfigEvidence{at, sent, due, answers ? std::optional(times) : std::nullopt};
             case ProbeKind::kCluster: {
               if (!answers || nodes[at].store_says.empty()) {
                 return ClusterEvidence{at, sent, due, std::nullopt};
               }
               return ClusterEvidence{at, sent, due, members(nodes[at].store_says)};
             }
             case ProbeKind::kDatabase:
               return DatabaseEvidence{at, sent, due, nodes[at].database};
             case ProbeKind::kTls:
               return TlsEvidence{at, nodes[at].tls};
           }
           return TlsEvidence{at, TlsAnswer::kUnknown};
         }});
  }

  bool started = false;
  std::vector<Pending> pending;
};

// Runs quietly until 2.5 s after a loop of Patroni.
inline void quiet(ScriptedCluster& c) {
  c.run(seconds(62) + milliseconds(500));
  EXPECT_EQ(c.rw(0), "admit primary");
}

inline std::chrono::steady_clock::duration until_cut(ScriptedCluster& c,
                                                     milliseconds limit = seconds(90)) {
  return c.run_until([&] { return c.cuts(0); }, limit);
}

}  // namespace pgsteer
