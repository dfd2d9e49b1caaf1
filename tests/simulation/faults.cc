#include "tests/simulation/faults.h"

#include <algorithm>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void FaultCoverage::add(const FaultCoverage& other) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    begun[i] += other.begun[i];
    for (std::size_t k = 0; k < kFaults; ++k) pairs[i][k] += other.pairs[i][k];
  }
}

Faults::Faults(const Profile& profile, const Config& config, ModelCluster& cluster,
               std::vector<std::unique_ptr<SimulatedProxy>>& proxies, Agenda& agenda, Dice& dice)
    : profile_(profile),
      config_(config),
      cluster_(cluster),
      proxies_(proxies),
      agenda_(agenda),
      dice_(dice) {
  plan();
}

// Now and then a long quiet time, after which everything has to be in service again.
void Faults::plan() {
  Span wait = dice_.between(milliseconds(1), 2 * profile_.fault_every);
  if (dice_.chance(0.03)) wait += seconds(300);
  agenda_.after(wait, [this] {
    strike();
    plan();
  });
}

// In most cases the leader.
std::size_t Faults::victim() {
  const auto& leader = cluster_.scopes[0].store.leader;
  if (leader && dice_.chance(0.6)) return *leader;
  return dice_.below(cluster_.nodes.size());
}

void Faults::strike() {
  ++count;
  const bool uniform = profile_.likely.empty() || dice_.chance(0.25);
  const Fault fault = uniform ? static_cast<Fault>(dice_.below(kFaults))
                              : profile_.likely[dice_.below(profile_.likely.size())];
  const std::size_t node = victim();
  const bool struck = strike_processes(fault, node) || strike_host(fault, node) ||
                      strike_network(fault, node) || strike_rest(fault, node) ||
                      strike_names(fault, node) || strike_proxies(fault) ||
                      strike_postgres(fault, node) || operate(fault, node) || tag(fault, node);
  if (!struck) trace("a fault without a model");
}

void Faults::begin(Fault fault, std::size_t node) {
  const auto f = static_cast<std::size_t>(fault);
  ++coverage.begun[f];
  for (std::size_t k = 0; k < kFaults; ++k) {
    if (active_[k] == 0) continue;
    ++coverage.pairs[f][k];
    if (k != f) ++coverage.pairs[k][f];
  }
  ++active_[f];
  if (trace) trace(std::string("  fault: ") + to_string(fault) + ", " + model_name(node));
}

void Faults::end_at(Fault fault, Span after, std::function<void()> what) {
  agenda_.after(after, [this, fault, what = std::move(what)] {
    --active_[static_cast<std::size_t>(fault)];
    if (what) what();
  });
}

void Faults::end_after(Fault fault, Span low, Span high, std::function<void()> what) {
  end_at(fault, dice_.skewed(low, high), std::move(what));
}

bool Faults::strike_processes(Fault fault, std::size_t node) {
  const auto restart = [this, node] { cluster_.start_patroni(node); };
  switch (fault) {
    case Fault::kPatroniKilled:
      begin(fault, node);
      cluster_.kill_patroni(node);
      break;
    case Fault::kPatroniStopped:
      begin(fault, node);
      cluster_.stop_patroni(node);
      break;
    case Fault::kPatroniRestart:
      begin(fault, node);
      cluster_.nodes[node].rest = RestMode::kQueryFails;
      cluster_.kill_patroni(node);
      agenda_.after(dice_.skewed(milliseconds(50), seconds(2)), restart);
      end_after(fault, seconds(1), seconds(60),
                [this, node] { cluster_.nodes[node].rest = RestMode::kPrompt; });
      return true;
    case Fault::kPatroniSuspended:
      begin(fault, node);
      cluster_.suspend_patroni(node, true);
      end_after(fault, milliseconds(100), seconds(90),
                [this, node] { cluster_.suspend_patroni(node, false); });
      return true;
    default:
      return false;
  }
  // systemd or an operator restarts it sooner or later; if it was still stopping, much later.
  end_after(fault, seconds(1), seconds(90), restart);
  agenda_.after(seconds(120), restart);
  return true;
}

bool Faults::strike_host(Fault fault, std::size_t node) {
  switch (fault) {
    case Fault::kPowerLoss:
      begin(fault, node);
      cluster_.power_off(node);
      end_after(fault, seconds(5), seconds(120), [this, node] { cluster_.power_on(node); });
      return true;
    case Fault::kFreeze:
    case Fault::kTheft:
      begin(fault, node);
      cluster_.freeze(node, dice_.chance(0.4));
      if (fault == Fault::kTheft) {
        end_after(fault, seconds(15), seconds(120), [this, node] { cluster_.thaw(node, true); });
      } else {
        end_after(fault, milliseconds(100), seconds(120),
                  [this, node] { cluster_.thaw(node, false); });
      }
      return true;
    case Fault::kClockStep: {
      begin(fault, node);
      Span by = dice_.skewed(milliseconds(200), seconds(90));
      if (dice_.chance(0.5)) by = -by;
      cluster_.step_clock(node, by);
      end_after(fault, seconds(1), seconds(300),
                [this, node] { cluster_.step_clock(node, -cluster_.nodes[node].clock); });
      return true;
    }
    default:
      return false;
  }
}

bool Faults::strike_postgres(Fault fault, std::size_t node) {
  ModelNode& n = cluster_.nodes[node];
  switch (fault) {
    case Fault::kPostgresCrash:
      begin(fault, node);
      cluster_.crash_postgres(node);
      break;
    case Fault::kPostgresRestart:
      begin(fault, node);
      cluster_.restart_postgres(node);
      break;
    case Fault::kPostmasterHangs:
      begin(fault, node);
      ++n.postmaster_hangs;
      end_after(fault, milliseconds(200), seconds(60), [&n] { --n.postmaster_hangs; });
      return true;
    case Fault::kLag:
      lag(node);
      return true;
    default:
      return false;
  }
  end_at(fault, kConsequences, nullptr);
  return true;
}

// It replays above the limit of a listener, then for a while between three quarters of it and all
// of it, or just below that.
void Faults::lag(std::size_t node) {
  ModelNode& n = cluster_.nodes[node];
  begin(Fault::kLag, node);
  if (!n.recovery) return end_at(Fault::kLag, seconds(1), nullptr);
  n.behind = 4'000'000 * (1 + dice_.below(10));
  agenda_.after(dice_.skewed(seconds(1), seconds(60)), [this, &n] {
    if (n.behind > 0 && dice_.chance(0.6)) n.behind = 11'000'000 + 1'000'000 * dice_.below(5);
  });
  end_after(Fault::kLag, seconds(1), seconds(120), [&n] { n.behind = 0; });
}

bool Faults::tag(Fault fault, std::size_t node) {
  static constexpr const char* kTruths[] = {"true", "1", "\"yes\"", "false", "0"};
  static constexpr const char* kRegions[] = {"eu", "us", ""};
  ModelNode& n = cluster_.nodes[node];
  switch (fault) {
    case Fault::kNoLoadBalance:
      begin(fault, node);
      n.noloadbalance = dice_.pick(kTruths);
      end_after(fault, seconds(1), seconds(120), [&n] { n.noloadbalance.reset(); });
      return true;
    case Fault::kNoFailover: {
      // Often on all of them: then nobody can take over.
      begin(fault, node);
      const bool all = dice_.chance(0.6);
      for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
        if (all || k == node) cluster_.nodes[k].nofailover = true;
      }
      end_after(fault, seconds(20), seconds(300), [this] {
        for (ModelNode& m : cluster_.nodes) m.nofailover = false;
      });
      return true;
    }
    case Fault::kArchiveOnly:
      begin(fault, node);
      n.archive_only = n.recovery;
      end_after(fault, seconds(5), seconds(120), [&n] { n.archive_only = false; });
      return true;
    case Fault::kTagChange:
      begin(fault, node);
      n.region = dice_.pick(kRegions);
      if (dice_.chance(0.3)) {
        const std::size_t from = dice_.below(cluster_.nodes.size());
        const bool cascade = from != node && !cluster_.nodes[from].replicatefrom;
        n.replicatefrom = cascade ? std::optional(from) : std::nullopt;
      }
      end_at(fault, kConsequences, nullptr);
      return true;
    default:
      return false;
  }
}

}  // namespace pgsteer
