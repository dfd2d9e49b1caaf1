// What one pgsteer has been told, kept apart from judge's own memory, and the scene in which the
// invariants of that pgsteer look at it: its sessions, the true state of the clusters and the
// topology that it published last. One owner, one thread.
#pragma once

#include "health/judge.h"
#include "tests/simulation/model_sessions.h"

namespace pgsteer {

// The latest is never allowed to take longer: a reply of a node that answers promptly.
inline constexpr Span kReply = std::chrono::milliseconds(130);
// Allows for events of one instant, and for a call of judge that comes some milliseconds late.
inline constexpr Span kGrain = std::chrono::milliseconds(25);
inline constexpr Span kLateReply = std::chrono::milliseconds(500);
inline constexpr std::size_t kReadWrite = 0;  // the listener

struct NodeLedger {
  bool added = false;  // by a reload of this process

  // GET /leader.
  std::uint64_t checks = 0, failed = 0;
  unsigned failures = 0;    // in a row
  Instant failing_since{};  // when the first of those was sent
  Outcome last = Outcome::kAnswered;
  std::optional<Report> report;  // the last answer
  Instant sent{}, received{};    // of that answer
  std::string first_identifier;  // that it showed
  unsigned incomplete = 0;       // answers in a row whose query had failed

  // The slot of its REST API.
  bool in_flight = false;
  ProbeKind kind = ProbeKind::kLeader;
  Instant asked{};      // when the request in the slot, or the last one, was sent
  Instant slot_free{};  // it ends by then
  Instant other_ask{};  // when the slot was last given to something but GET /leader

  // The last answer that showed the lease, and the true times of the reads of the store in it and
  // in the one before that showed another.
  Instant proof_sent{}, proof_received{};
  Instant claimed{};  // when the last answer came that showed it, or claimed it by role alone
  bool proof_failsafe = false;
  std::optional<std::int64_t> seen;
  Instant read_shown{};
  std::optional<Instant> read_before;
  Span reply_shown{}, reply_before{};  // how long the first reply took that showed it
  Instant proven_since{};              // the lease without a break
  unsigned leases = 0;                 // answers in a row that showed it
  Instant answering_since{};           // without a failure
  std::uint32_t timeline = 0;          // the last one that was shown
  Instant timeline_received{};
  Instant leading_at{};  // when it last was the proven primary, as published
  bool deposed = false;  // it was that, and has not shown since that it is a replica

  // Whom its store named, by its last GET /cluster that was answered; the model's number.
  std::optional<std::size_t> names;
  Instant named_at{};  // when that was sent

  // PostgreSQL's port.
  DatabaseAnswer database = DatabaseAnswer::kUnknown;
  unsigned slow_checks = 0;  // of the port, in a row, without an answer in time
  Instant writable_at{};     // when a session last found it writable
  Instant database_received{};
  std::optional<Instant> turned_away;  // a session, and judge took note of it
  Instant perhaps_turned_away{};       // or may have
  Instant found_in_recovery{};         // by a session

  std::vector<bool> admitted;  // by listener, when its last answer came

  bool answers() const { return failures == 0 && report.has_value(); }
};

struct Scene;

// A reload, as the rules compare it: what held before it, by number.
struct Change {
  Config config;
  std::vector<Place> nodes, listeners;
  Topology topology;
  std::vector<std::optional<Instant>> fences;  // of the nodes in force
  bool settled = false;                        // it was clear which cluster is ours

  // What it changed, now that the scene has the new configuration.
  bool edits_node(const Scene& s, std::size_t i) const;
  bool edits_listener(const Scene& s, std::size_t l) const;
  bool edits_nodes(const Scene& s) const;
  bool loses_node(const Scene& s) const;  // for good
};

// Both end or begin together with the pgsteer whose scene it is.
struct Scene {
  const ModelConfig& layout;
  const Config& config;  // by number
  const ModelCluster& cluster;
  const ModelSessions& sessions;
  const Agenda& agenda;
  std::size_t proxy;

  std::vector<NodeLedger> told;
  std::vector<bool> members;  // of the cluster, by the last answer that listed them
  // By judge's last decision: a list has named it, and it has yet to show whose it is. Whether
  // judge is right is for discovery_rules.h.
  std::vector<bool> unproven_nodes;
  Topology topology;        // generation 0: none yet
  Instant published_at{};   // also when it was renewed
  Instant primary_since{};  // as announced
  Instant first_answer{};
  Instant started{};     // of this process
  bool stalled = false;  // the checker thread stands still
  Instant resumed{};     // when it last went on
  bool first_round_done = false;
  std::optional<Instant> unproven;  // since when no primary has been proven
  std::optional<Instant> unserved;  // since when no primary has been admitted
  std::optional<Instant> disputed;  // when nodes of several clusters were last in sight
  Instant suspected{};              // the last suspicion that judge took
  DcsTimes believed,
      believed_before;         // Patroni's configuration as last told; its defaults at first
  HealthConfig health_before;  // until a reload changed it
  Instant health_changed{};
  std::string settled;    // the identifier of ours, once most nodes have shown it
  std::string violation;  // empty: none

  Scene(const ModelConfig& c, const ModelCluster& m, const ModelSessions& s, const Agenda& a,
        std::size_t p)
      : layout(c),
        config(c.by_number),
        cluster(m),
        sessions(s),
        agenda(a),
        proxy(p),
        told(m.nodes.size()),
        members(m.nodes.size()),
        unproven_nodes(m.nodes.size()),
        health_before(config.health) {}

  Instant now() const { return agenda.now(); }
  std::size_t size() const { return told.size(); }
  // In force: in the file, or removed from it and not gone yet.
  bool has(std::size_t i) const { return layout.node(i) != Place::kAbsent; }
  bool has_listener(std::size_t l) const { return layout.listener(l) != Place::kAbsent; }
  bool leaving(std::size_t i) const { return layout.node(i) == Place::kLeaving; }
  std::size_t nodes_in_force() const { return layout.judged().nodes.size(); }
  const NodeState& of(const JudgeState& state, std::size_t i) const {
    return state.nodes[*layout.entry_of(i)];
  }
  void fail(std::string text) {
    if (violation.empty()) violation = std::move(text);
  }

  // Judge decides about it as about a node of another cluster.
  bool is_apart(std::size_t i) const {
    return unproven_nodes[i] || topology.pools[kReadWrite].by_node[i].reason == Reason::kForeign;
  }

  // pgsteer gets whole, honest answers quickly.
  bool prompt(std::size_t i) const {
    return cluster.serves_rest(i) && cluster.nodes[i].postmaster_hangs == 0 && reaches_rest(i);
  }
  bool reaches_rest(std::size_t i) const {
    return has(i) && cluster.net.proxy[proxy][i].rest == 0 && knows(i);
  }
  bool knows(std::size_t i) const { return cluster.nodes[i].address == sessions.known_address[i]; }
  // The node is one of another cluster, whatever happens to the identifier of ours.
  bool is_stranger(std::size_t i) const {
    return cluster.nodes[i].scope != 0 || cluster.nodes[i].system_identifier == "666";
  }
  // Once most nodes have agreed on ours, others are strangers; until the cluster is replaced.
  bool is_ours_settled() const { return settled == cluster.scopes[0].identifier; }
  void settle();
  // A node of another cluster has said that it leads, and none of ours does now.
  bool contested() const;
  bool is_disputed() const;
  bool is_settled() const;
  // Enough nodes have answered to tell whose cluster it is; fewer decide after a while.
  bool majority() const;
  bool may_decide() const;
  // Those of our cluster are the majority, or alone, and one of them leads.
  bool knows_ours() const;
  bool port_answers(std::size_t i) const {
    return cluster.connect({proxy, i, sessions.known_address[i]}) ==
           ModelCluster::Connect::kAccepted;
  }
  bool admitted(std::size_t listener, std::size_t i) const {
    return topology.generation != 0 &&
           topology.pools[listener].by_node[i].admission == Admission::kAdmit;
  }

  // From the driver.
  void asked(const Request& request);
  void answered(const Evidence& evidence, Instant read_shown);
  void published(const Topology& topology, bool renewed);
  void lost(std::size_t primary);
  void reloading(const Change& change);
  void decided(const JudgeState& state);

  // The longest time from `from` until a change that an answer of the node shows is known; `step`
  // is the time between two checks.
  Instant learning(std::size_t node, Instant from, Span step) const;
  Instant learning(std::size_t node, Instant from) const {
    return learning(node, from, interval());
  }
  // For how long a publication is valid at least.
  Span least_validity() const {
    const HealthConfig& h = config.health;
    return std::max(Span(std::chrono::seconds(5)),
                    Span(2 * h.interval + h.timeout + std::chrono::seconds(1)));
  }
  // For a while after a reload what was begun before goes on at the old pace.
  bool newly_paced() const {
    return health_changed != Instant{} && now() - health_changed <= std::chrono::seconds(10);
  }
  Span either(Duration HealthConfig::*time) const {
    return newly_paced() ? std::max(config.health.*time, health_before.*time) : config.health.*time;
  }
  bool discovers() const { return config.clusters.front().discover; }
  bool discovered(std::size_t i) const { return has(i) && config.nodes[i].discovered; }
  // Between two readings of the list of the members.
  Span members_period() const { return std::chrono::seconds(discovers() ? 10 : 30); }
  Span interval() const { return either(&HealthConfig::interval) * 11 / 10; }
  Span timeout() const { return either(&HealthConfig::timeout); }
  // Between two checks of the node at this moment, for want of a primary.
  Span hunting_step(std::size_t node) const;
};

std::string seconds_of(Span d);  // "1.25 s"

}  // namespace pgsteer
