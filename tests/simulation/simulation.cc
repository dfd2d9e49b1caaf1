#include "tests/simulation/simulation.h"

#include <cstdio>

#include "health/reason.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

Address address_of(std::size_t i) {
  Address a;
  a.size = 16;
  a.storage.ss_family = AF_INET;
  reinterpret_cast<unsigned char*>(&a.storage)[7] = static_cast<unsigned char>(i + 1);
  return a;
}

bool of_rest(ProbeKind ask) { return ask != ProbeKind::kDatabase && ask != ProbeKind::kTls; }

}  // namespace

ModelSettings simulated_cluster(Dice& dice) {
  ModelSettings s;
  s.nodes = 2 + dice.below(3);
  if (dice.chance(0.5)) {
    s.times.ttl = seconds(20);
    s.times.loop_wait = seconds(2 + static_cast<int>(dice.below(4)));
    s.times.retry_timeout = seconds(5);
  }
  s.times.failsafe_mode = dice.chance(0.3);
  s.modern = dice.chance(0.5);
  s.wal_rate = dice.below(2) * 300'000;
  return s;
}

Config simulated_config(Dice& dice, std::size_t nodes) {
  Config c;
  for (std::size_t i = 0; i < nodes; ++i) {
    NodeConfig node;
    node.name = model_name(i);
    node.host = "10.0.0." + std::to_string(i + 1);
    node.rest = "http://" + node.host + ":8008";
    c.nodes.push_back(node);
  }
  c.listen.resize(3);
  c.listen[0].name = "read_write";
  c.listen[1].name = "read_only";
  c.listen[1].to = Target::kReplica;
  c.listen[1].max_lag = 16'000'000;
  c.listen[2].name = "read_any";
  c.listen[2].to = dice.chance(0.5) ? Target::kAny : Target::kReplica;
  c.listen[2].fallback_to_primary = c.listen[2].to == Target::kReplica;
  return c;
}

Simulation::Simulation(std::uint64_t seed, bool trace)
    : seed_(seed),
      trace_(trace),
      dice_(seed),
      cluster_(simulated_cluster(dice_), agenda_, dice_),
      sessions_((config_ = simulated_config(dice_, cluster_.nodes.size()), config_), cluster_,
                agenda_, dice_),
      invariants_(config_, cluster_, sessions_, agenda_),
      state_(initial_state(config_, dice_.next())),
      in_flight_(cluster_.nodes.size()) {
  if (trace_) cluster_.trace = [this](const std::string& text) { print(text); };
  cluster_.sessions_end = [this](std::size_t node, bool host_died) {
    sessions_.server_ends(node, host_died);
  };
  sessions_.suspect = [this](Suspicion d) {
    agenda_.after(milliseconds(1), [this, d] { learn(SuspicionEvidence{d}); });
  };
  sessions_.on_bound = [this](const ModelSession& s) { invariants_.bound(s); };
  sessions_.on_cut = [this](const ModelSession& s, const Verdict& v) { invariants_.cut(s, v); };
  // Some clusters are almost always in trouble, some almost never.
  static constexpr int kMeans[] = {4, 15, 40, 150};
  fault_every_ = seconds(kMeans[dice_.below(4)]);
  plan_fault();
  agenda_.after(dice_.skewed(milliseconds(1), seconds(30)), [this] {
    std::vector<Evidence> names;
    for (std::size_t i = 0; i < config_.nodes.size(); ++i) {
      names.push_back(AddressEvidence{i, {address_of(i)}});
    }
    think(names);
  });
}

RunResult Simulation::run(std::uint64_t steps) {
  const Instant began = agenda_.now();
  RunResult r;
  while (r.steps < steps && invariants_.violation.empty()) {
    agenda_.step();
    ++r.steps;
    mix(static_cast<std::uint64_t>(agenda_.now().time_since_epoch().count()));
    sessions_.observe();
    invariants_.after_step(state_);
  }
  if (!invariants_.violation.empty()) print("VIOLATION: " + invariants_.violation);
  r.seed = seed_;
  r.hash = hash_;
  r.violation = invariants_.violation;
  r.virtual_time = agenda_.now() - began;
  r.promotions = cluster_.promotions;
  r.topologies = topologies_;
  r.diagnostics = faults_;
  r.requests = requests_;
  r.sessions = sessions_.counts;
  return r;
}

void Simulation::learn(Evidence evidence) {
  std::size_t node = 0;
  std::visit(
      [&](const auto& e) {
        if constexpr (requires { e.node; }) node = e.node;
      },
      evidence);
  invariants_.answered(evidence, cluster_.nodes[node]);
  std::vector<Evidence> one;
  one.push_back(std::move(evidence));
  think(std::move(one));
}

void Simulation::think(const std::vector<Evidence>& evidence) {
  const Decision decision = judge(config_, state_, evidence, agenda_.now());
  follow(decision);
  if (dice_.chance(0.01)) {
    // Called again at the same moment without evidence, it has nothing to add.
    const Decision again = judge(config_, state_, {}, agenda_.now());
    if (again.topology || !again.requests.empty() || !again.transitions.empty()) {
      invariants_.violation = "judge decides again without evidence";
    }
    follow(again);
  }
}

void Simulation::follow(const Decision& decision) {
  if (decision.wake <= agenda_.now()) invariants_.violation = "judge wants to be called at once";
  for (const Transition& t : decision.transitions) {
    mix(static_cast<std::uint64_t>(t.kind));
    if (trace_) print("pgsteer: " + t.text);
  }
  if (decision.topology) {
    ++topologies_;
    invariants_.published(*decision.topology);
    for (const Pool& pool : decision.topology->pools) {
      for (const Verdict& v : pool.by_node) mix(static_cast<std::uint64_t>(v.reason));
    }
    sessions_.observe();
    sessions_.adopt(*decision.topology);
  }
  for (const Request& request : decision.requests) carry_out(request);
  const std::uint64_t serial = ++wake_serial_;
  agenda_.at(decision.wake, [this, serial] {
    if (wake_serial_ == serial) think({});
  });
}

void Simulation::carry_out(const Request& request) {
  ++requests_;
  const std::size_t node = request.node;
  const bool rest = of_rest(request.kind);
  if (rest && ++in_flight_[node] > 1) {
    invariants_.violation = "two requests at a time to " + model_name(node);
  }
  invariants_.asked(request, agenda_.now() + config_.health.timeout);
  cluster_.ask(node, request.kind, config_.health.timeout, [this, node, rest](Evidence e) {
    if (rest) --in_flight_[node];
    learn(std::move(e));
  });
}

void Simulation::print(const std::string& text) const {
  if (!trace_) return;
  const double at = std::chrono::duration<double>(agenda_.now().time_since_epoch()).count() - 3600;
  std::printf("%12.4f %s\n", at, text.c_str());
}

}  // namespace pgsteer
