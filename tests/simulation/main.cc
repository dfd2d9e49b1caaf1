// simulation [--seconds N] [--steps N] [--seed S | --from S] [--trace]
//
// Runs one seed after another until the time is up: random ones, or a fixed sequence that starts
// with `--from`. `--seed` replays one. Exits with 1 after a violation and prints the seed and the
// command that replays it; exits with 2 if the command line is wrong.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>

#include "tests/simulation/simulation.h"

namespace {

using namespace pgsteer;
using Clock = std::chrono::steady_clock;

struct Options {
  std::uint64_t seconds = 10;
  std::uint64_t steps = 20'000;  // per seed
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> from;
  bool trace = false;
};

std::optional<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--trace") == 0) {
      o.trace = true;
      continue;
    }
    if (i + 1 == argc) return std::nullopt;
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(argv[i + 1], &end, 10);
    if (*end != '\0' || end == argv[i + 1]) return std::nullopt;
    if (std::strcmp(argv[i], "--seconds") == 0) {
      o.seconds = value;
    } else if (std::strcmp(argv[i], "--steps") == 0) {
      o.steps = value;
    } else if (std::strcmp(argv[i], "--seed") == 0) {
      o.seed = value;
    } else if (std::strcmp(argv[i], "--from") == 0) {
      o.from = value;
    } else {
      return std::nullopt;
    }
    ++i;
  }
  return o;
}

struct Sums {
  std::uint64_t seeds = 0, steps = 0, promotions = 0, diagnostics = 0, topologies = 0, requests = 0;
  SessionCounts sessions;
  Span virtual_time{};

  void add(const RunResult& r) {
    ++seeds;
    steps += r.steps;
    promotions += r.promotions;
    diagnostics += r.diagnostics;
    topologies += r.topologies;
    requests += r.requests;
    sessions.clients += r.sessions.clients;
    sessions.served += r.sessions.served;
    sessions.refused += r.sessions.refused;
    sessions.cut += r.sessions.cut;
    sessions.server_ended += r.sessions.server_ended;
    virtual_time += r.virtual_time;
  }
  void print(double took) const {
    std::printf("%" PRIu64 " seeds, %" PRIu64
                " steps in %.1f s (%.0f a second), %.1f virtual hours\n",
                seeds, steps, took, static_cast<double>(steps) / took,
                std::chrono::duration<double>(virtual_time).count() / 3600);
    std::printf("%" PRIu64 " diagnostics, %" PRIu64 " promotions, %" PRIu64 " requests, %" PRIu64
                " topologies\n",
                diagnostics, promotions, requests, topologies);
    std::printf("%" PRIu64 " clients: %" PRIu64 " served, %" PRIu64 " refused; %" PRIu64
                " sessions cut, %" PRIu64 " ended by their server\n",
                sessions.clients, sessions.served, sessions.refused, sessions.cut,
                sessions.server_ended);
  }
};

bool report(const RunResult& r, const Options& o) {
  if (r.violation.empty()) return true;
  std::printf("VIOLATION: %s\n", r.violation.c_str());
  std::printf("seed %" PRIu64 ", step %" PRIu64 "; replay it with\n", r.seed, r.steps);
  std::printf("  simulation --seed %" PRIu64 " --steps %" PRIu64 " --trace\n", r.seed, o.steps);
  return false;
}

// The same seed must give the same run, or a replay proves nothing.
bool replays(std::uint64_t seed) {
  constexpr std::uint64_t kSteps = 20'000;
  const RunResult a = Simulation(seed, false).run(kSteps);
  const RunResult b = Simulation(seed, false).run(kSteps);
  if (a.hash == b.hash && a.steps == b.steps) return true;
  std::printf("seed %" PRIu64 " did not replay: %016" PRIx64 " and %016" PRIx64 "\n", seed, a.hash,
              b.hash);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: simulation [--seconds N] [--steps N] [--seed S | --from S] [--trace]\n");
    return 2;
  }
  if (options->seed) {
    const RunResult r = Simulation(*options->seed, options->trace).run(options->steps);
    std::printf("seed %" PRIu64 ": %" PRIu64 " steps, hash %016" PRIx64 "\n", r.seed, r.steps,
                r.hash);
    return report(r, *options) ? 0 : 1;
  }
  std::random_device device;
  Dice seeds(options->from.value_or((std::uint64_t{device()} << 32) | device()));
  if (!replays(seeds.next() >> 20)) return 1;
  Sums sums;
  const Clock::time_point began = Clock::now();
  const auto took = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  bool clean = true;
  while (clean && took() < static_cast<double>(options->seconds)) {
    const RunResult r = Simulation(seeds.next() >> 20, options->trace).run(options->steps);
    sums.add(r);
    clean = report(r, *options);
  }
  sums.print(took());
  return clean ? 0 : 1;
}
