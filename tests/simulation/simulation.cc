#include "tests/simulation/simulation.h"

#include <cstdio>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

Simulation::Simulation(std::uint64_t seed, Trace trace)
    : seed_(seed),
      trace_(trace),
      dice_(seed),
      profile_(draw_profile(dice_)),
      config_(draw_config(dice_, profile_)),
      cluster_(profile_.cluster, agenda_, dice_),
      faults_(profile_, config_, cluster_, proxies_, agenda_, dice_) {
  for (std::size_t p = 0; p < profile_.cluster.proxies; ++p) {
    proxies_.push_back(std::make_unique<SimulatedProxy>(p, config_, cluster_, agenda_, dice_));
    SimulatedProxy* const proxy = proxies_.back().get();
    agenda_.after(dice_.skewed(milliseconds(1), seconds(30)), [proxy] { proxy->start(); });
  }
  cluster_.sessions_end = [this](std::size_t node, bool host_died) {
    for (auto& proxy : proxies_) proxy->server_ends(node, host_died);
  };
  if (trace_ == Trace::kOff) return;
  const auto say = [this](const std::string& text) { print(text); };
  cluster_.trace = faults_.trace = say;
  for (auto& proxy : proxies_) {
    proxy->trace = say;
    proxy->traces_requests = trace_ == Trace::kRequests;
  }
  print("profile: " + profile_.name);
}

const std::string* Simulation::violation() const {
  for (const auto& proxy : proxies_) {
    if (!proxy->violation().empty()) return &proxy->violation();
  }
  return nullptr;
}

RunResult Simulation::run(std::uint64_t steps) {
  const Instant began = agenda_.now();
  RunResult r;
  r.hash = 0xcbf29ce484222325ULL;
  while (r.steps < steps && !violation()) {
    agenda_.step();
    ++r.steps;
    r.hash ^= static_cast<std::uint64_t>(agenda_.now().time_since_epoch().count());
    r.hash *= 0x100000001b3ULL;
    for (auto& proxy : proxies_) proxy->after_step();
  }
  r.seed = seed_;
  r.profile = profile_.name;
  if (const std::string* text = violation()) {
    r.violation = *text;
    print("VIOLATION: " + *text);
  }
  r.virtual_time = agenda_.now() - began;
  r.promotions = cluster_.promotions;
  r.faults = faults_.count;
  r.coverage = faults_.coverage;
  for (const auto& proxy : proxies_) {
    r.hash = (r.hash ^ proxy->hash) * 0x100000001b3ULL;
    r.topologies += proxy->counts.topologies;
    r.requests += proxy->counts.requests;
    const SessionCounts& s = proxy->session_counts();
    r.sessions.clients += s.clients;
    r.sessions.served += s.served;
    r.sessions.refused += s.refused;
    r.sessions.cut += s.cut;
    r.sessions.server_ended += s.server_ended;
  }
  return r;
}

void Simulation::print(const std::string& text) const {
  if (trace_ == Trace::kOff) return;
  const double at = std::chrono::duration<double>(agenda_.now().time_since_epoch()).count() - 3600;
  std::printf("%12.4f %s\n", at, text.c_str());
}

}  // namespace pgsteer
