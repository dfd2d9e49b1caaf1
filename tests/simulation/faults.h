// The faults of a run: drawn by chance, each with its end; several overlap. Also counts which pairs
// of faults overlapped. One owner, one thread.
#pragma once

#include <array>
#include <memory>

#include "tests/simulation/proxy.h"

namespace pgsteer {

// What has no end of its own counts for this long, as its consequences do.
inline constexpr Span kConsequences = std::chrono::seconds(30);
// For how long a pgsteer counts as starting.
inline constexpr Span kStarts = std::chrono::seconds(5);

// How often the fault of the row began while that of the column was going on, or the other way
// round.
struct FaultCoverage {
  std::array<std::uint64_t, kFaults> begun{};
  std::array<std::array<std::uint64_t, kFaults>, kFaults> pairs{};

  void add(const FaultCoverage& other);
};

class Faults {
 public:
  Faults(const Profile& profile, const Config& config, ModelCluster& cluster,
         std::vector<std::unique_ptr<SimulatedProxy>>& proxies, Agenda& agenda, Dice& dice);
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  std::function<void(const std::string&)> trace;  // empty: nobody listens
  FaultCoverage coverage;
  std::uint64_t count = 0;

 private:
  void plan();
  void strike();
  std::size_t victim();
  // Begins the fault; the rest of the function that calls it carries it out.
  void begin(Fault fault, std::size_t node);
  // Carries out `what` after a while, mostly near `low`; then the fault is over.
  void end_after(Fault fault, Span low, Span high, std::function<void()> what);
  void end_at(Fault fault, Span after, std::function<void()> what);

  // By subject: each returns false if the fault is not of it.
  bool strike_processes(Fault fault, std::size_t node);
  bool strike_host(Fault fault, std::size_t node);
  bool strike_network(Fault fault, std::size_t node);
  bool strike_rest(Fault fault, std::size_t node);
  bool strike_names(Fault fault, std::size_t node);
  bool strike_proxies(Fault fault);
  void reload(SimulatedProxy& proxy);
  bool strike_postgres(Fault fault, std::size_t node);
  bool operate(Fault fault, std::size_t node);
  bool tag(Fault fault, std::size_t node);

  void isolate(std::size_t node, int by);
  void pause(std::size_t node, bool stops);
  void foreign_node(std::size_t node);
  void change_times();
  void replace_cluster();
  void lag(std::size_t node);

  const Profile& profile_;
  const Config& config_;
  ModelCluster& cluster_;
  std::vector<std::unique_ptr<SimulatedProxy>>& proxies_;
  Agenda& agenda_;
  Dice& dice_;
  std::array<unsigned, kFaults> active_{};
};

}  // namespace pgsteer
