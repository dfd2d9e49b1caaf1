// One run: the clusters, the pgsteers in front of them, and faults. Everything follows from the
// seed. One owner, one thread.
#pragma once

#include "tests/simulation/faults.h"

namespace pgsteer {

struct RunResult {
  std::uint64_t seed = 0;
  std::string profile;
  std::uint64_t steps = 0;
  std::uint64_t hash = 0;  // of everything that happened
  std::string violation;   // empty: none
  Span virtual_time{};
  std::uint64_t promotions = 0, topologies = 0, faults = 0, requests = 0;
  SessionCounts sessions;
  FaultCoverage coverage;
};

class Simulation {
 public:
  enum class Trace : std::uint8_t { kOff, kOn, kRequests };
  Simulation(std::uint64_t seed, Trace trace);
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  RunResult run(std::uint64_t steps);

 private:
  const std::string* violation() const;
  void print(const std::string& text) const;

  std::uint64_t seed_;
  Trace trace_;
  Dice dice_;
  Agenda agenda_;
  Profile profile_;
  Config config_;
  ModelCluster cluster_;
  std::vector<std::unique_ptr<SimulatedProxy>> proxies_;
  Faults faults_;
};

}  // namespace pgsteer
