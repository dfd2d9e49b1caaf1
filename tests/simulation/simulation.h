// One run: a cluster, the proxy's sessions, judge between them, and faults. Everything follows from
// the seed. One owner, one thread.
#pragma once

#include "health/judge.h"
#include "tests/simulation/invariants.h"

namespace pgsteer {

struct RunResult {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::uint64_t hash = 0;  // of everything that happened
  std::string violation;   // empty: none
  Span virtual_time{};
  std::uint64_t promotions = 0, topologies = 0, diagnostics = 0, requests = 0;
  SessionCounts sessions;
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, bool trace);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  RunResult run(std::uint64_t steps);

 private:
  void learn(Evidence evidence);
  void think(const std::vector<Evidence>& evidence);
  void carry_out(const Request& request);
  void follow(const Decision& decision);
  void print(const std::string& text) const;
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL; }

  // faults.cc
  void plan_fault();
  void fault();
  void undo(Span low, Span high, std::function<void()> what);
  void fault_of_patroni(std::size_t node);
  void fault_of_host(std::size_t node);
  void fault_of_network(std::size_t node);
  void fault_of_rest(std::size_t node);
  void operate(std::size_t node);
  void operate_postgres(std::size_t node);
  std::size_t victim();

  std::uint64_t seed_;
  bool trace_;
  Dice dice_;
  Agenda agenda_;
  Config config_;
  ModelCluster cluster_;
  ModelSessions sessions_;
  Invariants invariants_;
  JudgeState state_;
  std::uint64_t wake_serial_ = 0;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t topologies_ = 0, faults_ = 0, requests_ = 0;
  std::vector<unsigned> in_flight_;  // REST requests per node
  Span fault_every_{};
};

// How one seed differs from another, besides what happens in it.
Config simulated_config(Dice& dice, std::size_t nodes);
ModelSettings simulated_cluster(Dice& dice);

}  // namespace pgsteer
