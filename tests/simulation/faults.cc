// The faults of a run: drawn by chance, each with its end; several may overlap.
#include "tests/simulation/simulation.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Now and then a long quiet time, after which everything has to be in service again.
void Simulation::plan_fault() {
  Span pause = dice_.between(milliseconds(1), 2 * fault_every_);
  if (dice_.chance(0.03)) pause += seconds(300);
  agenda_.after(pause, [this] {
    fault();
    plan_fault();
  });
}

void Simulation::undo(Span low, Span high, std::function<void()> what) {
  agenda_.after(dice_.skewed(low, high), std::move(what));
}

// In most cases the leader.
std::size_t Simulation::victim() {
  if (cluster_.store.leader && dice_.chance(0.6)) return *cluster_.store.leader;
  return dice_.below(cluster_.nodes.size());
}

void Simulation::fault() {
  ++faults_;
  const std::size_t node = victim();
  mix(node);
  switch (dice_.below(6)) {
    case 0:
      return fault_of_patroni(node);
    case 1:
      return fault_of_host(node);
    case 2:
      return fault_of_network(node);
    case 3:
      return fault_of_rest(node);
    case 4:
      return operate(node);
    default:
      return operate_postgres(node);
  }
}

void Simulation::fault_of_patroni(std::size_t node) {
  switch (dice_.below(3)) {
    case 0:
      cluster_.kill_patroni(node);
      break;
    case 1:
      cluster_.stop_patroni(node);
      break;
    default:
      cluster_.suspend_patroni(node, true);
      undo(milliseconds(100), seconds(90), [this, node] { cluster_.suspend_patroni(node, false); });
      return;
  }
  // systemd or an operator restarts it sooner or later; if it was still stopping, much later.
  undo(seconds(1), seconds(90), [this, node] { cluster_.start_patroni(node); });
  agenda_.after(seconds(120), [this, node] { cluster_.start_patroni(node); });
}

void Simulation::fault_of_host(std::size_t node) {
  switch (dice_.below(3)) {
    case 0: {
      cluster_.power_off(node);
      undo(seconds(5), seconds(120), [this, node] { cluster_.power_on(node); });
      return;
    }
    case 1: {
      const bool theft = dice_.chance(0.2);
      cluster_.freeze(node, dice_.chance(0.4));
      undo(milliseconds(100), seconds(120), [this, node, theft] { cluster_.thaw(node, theft); });
      return;
    }
    default: {
      Span by = dice_.skewed(milliseconds(200), seconds(90));
      if (dice_.chance(0.5)) by = -by;
      if (trace_) print("  clock of " + model_name(node) + " steps");
      cluster_.step_clock(node, by);
      undo(seconds(1), seconds(300),
           [this, node] { cluster_.step_clock(node, -cluster_.nodes[node].clock); });
    }
  }
}

void Simulation::fault_of_network(std::size_t node) {
  ModelNode& n = cluster_.nodes[node];
  const std::size_t kind = dice_.below(4);
  if (trace_) print("  network trouble " + std::to_string(kind) + " at " + model_name(node));
  switch (kind) {
    case 0:
      n.reaches_pgsteer = false;
      return undo(milliseconds(50), seconds(90), [&n] { n.reaches_pgsteer = true; });
    case 1:
      n.reaches_store = false;
      return undo(milliseconds(50), seconds(90), [&n] { n.reaches_store = true; });
    case 2:
      n.reaches_store = n.reaches_peers = n.reaches_pgsteer = false;
      return undo(milliseconds(50), seconds(90),
                  [&n] { n.reaches_store = n.reaches_peers = n.reaches_pgsteer = true; });
    default:
      cluster_.set_store(false);
      return undo(milliseconds(100), seconds(120), [this] { cluster_.set_store(true); });
  }
}

void Simulation::fault_of_rest(std::size_t node) {
  static constexpr RestMode kModes[] = {RestMode::kSlow,     RestMode::kHung,
                                        RestMode::kRefusing, RestMode::kEmpty,
                                        RestMode::kGarbage,  RestMode::kQueryFails};
  ModelNode& n = cluster_.nodes[node];
  const std::size_t kind = dice_.below(6);
  if (trace_) print("  REST trouble " + std::to_string(kind) + " at " + model_name(node));
  n.rest = kModes[kind];
  undo(milliseconds(100), seconds(120), [&n] { n.rest = RestMode::kPrompt; });
}

void Simulation::operate(std::size_t node) {
  switch (dice_.below(4)) {
    case 0:
      return cluster_.switchover();
    case 1:
      cluster_.set_pause(true);
      if (dice_.chance(0.6)) {
        undo(seconds(3), seconds(30), [this, node] { cluster_.stop_patroni(node); });
        undo(seconds(30), seconds(90), [this, node] { cluster_.start_patroni(node); });
      }
      return undo(seconds(20), seconds(200), [this] {
        cluster_.set_pause(false);
        if (cluster_.store.pause) agenda_.after(seconds(60), [this] { cluster_.set_pause(false); });
      });
    case 2: {
      // Never so many that the others are no majority.
      if (cluster_.nodes.size() < 3) return;
      for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
        if (cluster_.foreign(i)) return cluster_.reinitialise(i, false);
      }
      if (cluster_.prompt(node)) cluster_.reinitialise(node, true);
      return;
    }
    default:
      return cluster_.reinitialise(node, cluster_.foreign(node));
  }
}

void Simulation::operate_postgres(std::size_t node) {
  ModelNode& n = cluster_.nodes[node];
  switch (dice_.below(4)) {
    case 0:
      return cluster_.crash_postgres(node);
    case 1:
      return cluster_.restart_postgres(node);
    case 2:
      if (!n.recovery) return;
      n.behind = 4'000'000 * (1 + dice_.below(10));
      return undo(seconds(1), seconds(120), [&n] { n.behind = 0; });
    default:
      n.noloadbalance = true;
      return undo(seconds(1), seconds(120), [&n] { n.noloadbalance = false; });
  }
}

}  // namespace pgsteer
