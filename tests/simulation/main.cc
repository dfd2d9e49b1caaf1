// simulation [--seeds N | --seconds N | --total STEPS] [--steps N] [--jobs N] [--from S]
//            [--coverage] [--keep-going]
// simulation --seed S [--steps N] [--trace | --requests]
//
// Runs one seed after another: random ones, or a fixed sequence that starts with `--from`; until so
// many seeds, seconds or steps are through. `--jobs` runs several at a time. `--seed` replays one;
// `--requests` is a trace with each request.
// Exits with 1 after a violation and prints the seed and the command that replays it (the first one
// ends the run, unless it is to keep going); with 2 if the command line is wrong.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>

#include "tests/simulation/simulation.h"

namespace {

using namespace pgsteer;
using Trace = Simulation::Trace;
using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

struct Options {
  std::uint64_t seeds = kNoLimit, seconds = kNoLimit, total = kNoLimit;
  std::uint64_t steps = 20'000;  // per seed
  std::uint64_t jobs = 1;
  std::optional<std::uint64_t> seed, from;
  Trace trace = Trace::kOff;
  bool coverage = false, keep_going = false;
};

bool set_flag(Options& o, std::string_view name) {
  if (name == "--trace") return o.trace = Trace::kOn, true;
  if (name == "--requests") return o.trace = Trace::kRequests, true;
  if (name == "--coverage") return o.coverage = true;
  if (name == "--keep-going") return o.keep_going = true;
  return false;
}

bool set_number(Options& o, std::string_view name, std::uint64_t value) {
  if (name == "--seeds") return o.seeds = value, true;
  if (name == "--seconds") return o.seconds = value, true;
  if (name == "--total") return o.total = value, true;
  if (name == "--steps") return o.steps = value, value > 0;
  if (name == "--jobs") return o.jobs = value, value > 0 && value <= 64;
  if (name == "--seed") return o.seed = value, true;
  if (name == "--from") return o.from = value, true;
  return false;
}

std::optional<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    if (set_flag(o, argv[i])) continue;
    if (i + 1 == argc) return std::nullopt;
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(argv[i + 1], &end, 10);
    if (*end != '\0' || end == argv[i + 1] || !set_number(o, argv[i], value)) return std::nullopt;
    ++i;
  }
  if (o.seeds == kNoLimit && o.total == kNoLimit && o.seconds == kNoLimit) o.seconds = 10;
  return o;
}

struct Sums {
  std::uint64_t seeds = 0, steps = 0, promotions = 0, faults = 0, topologies = 0, requests = 0;
  std::uint64_t violations = 0;
  SessionCounts sessions;
  Span virtual_time{};
  FaultCoverage coverage;
  std::map<std::string, std::uint64_t> profiles;

  void add(const RunResult& r) {
    ++seeds;
    ++profiles[r.profile];
    steps += r.steps;
    promotions += r.promotions;
    faults += r.faults;
    topologies += r.topologies;
    requests += r.requests;
    violations += r.violation.empty() ? 0 : 1;
    sessions.clients += r.sessions.clients;
    sessions.served += r.sessions.served;
    sessions.refused += r.sessions.refused;
    sessions.cut += r.sessions.cut;
    sessions.server_ended += r.sessions.server_ended;
    virtual_time += r.virtual_time;
    coverage.add(r.coverage);
  }

  void print(double took) const {
    std::printf("%" PRIu64 " seeds, %" PRIu64
                " steps in %.1f s (%.0f a second), %.1f virtual hours\n",
                seeds, steps, took, static_cast<double>(steps) / took,
                std::chrono::duration<double>(virtual_time).count() / 3600);
    std::printf("%" PRIu64 " faults, %" PRIu64 " promotions, %" PRIu64 " requests, %" PRIu64
                " topologies\n",
                faults, promotions, requests, topologies);
    std::printf("%" PRIu64 " clients: %" PRIu64 " served, %" PRIu64 " refused; %" PRIu64
                " sessions cut, %" PRIu64 " ended by their server\n",
                sessions.clients, sessions.served, sessions.refused, sessions.cut,
                sessions.server_ended);
    std::printf("%" PRIu64 " violations\n", violations);
  }
};

std::string pair_name(std::size_t a, std::size_t b) {
  return std::string(to_string(static_cast<Fault>(a))) + " + " + to_string(static_cast<Fault>(b));
}

// Which faults overlapped, how often, and which never did.
void print_coverage(const Sums& sums) {
  std::printf("\nseeds by profile:\n");
  for (const auto& [name, count] : sums.profiles) {
    std::printf("  %-18s %10" PRIu64 "\n", name.c_str(), count);
  }
  std::printf("\nfaults:\n");
  for (std::size_t i = 0; i < kFaults; ++i) {
    std::printf("  %-18s %10" PRIu64 "\n", to_string(static_cast<Fault>(i)),
                sums.coverage.begun[i]);
  }
  std::multimap<std::uint64_t, std::string> pairs;
  std::size_t all = 0;
  for (std::size_t i = 0; i < kFaults; ++i) {
    for (std::size_t k = i; k < kFaults; ++k, ++all) {
      pairs.emplace(sums.coverage.pairs[i][k], pair_name(i, k));
    }
  }
  std::printf("\npairs that overlapped: %zu of %zu; least often:\n", all - pairs.count(0), all);
  int shown = 0;
  for (const auto& [count, name] : pairs) {
    if (count > 0 && shown++ < 10) std::printf("  %10" PRIu64 "  %s\n", count, name.c_str());
  }
  if (pairs.count(0) == 0) return;
  std::printf("pairs that never overlapped:\n");
  for (const auto& [count, name] : pairs) {
    if (count == 0) std::printf("  %s\n", name.c_str());
  }
}

bool report(const RunResult& r, const Options& o) {
  if (r.violation.empty()) return true;
  std::printf("VIOLATION: %s\n", r.violation.c_str());
  std::printf("seed %" PRIu64 ", step %" PRIu64 ", profile \"%s\"; replay it with\n", r.seed,
              r.steps, r.profile.c_str());
  std::printf("  simulation --seed %" PRIu64 " --steps %" PRIu64 " --trace\n", r.seed, o.steps);
  std::fflush(stdout);
  return false;
}

// The same seed must give the same run, or a replay proves nothing.
bool replays(std::uint64_t seed) {
  constexpr std::uint64_t kSteps = 20'000;
  const RunResult a = Simulation(seed, Trace::kOff).run(kSteps);
  const RunResult b = Simulation(seed, Trace::kOff).run(kSteps);
  if (a.hash == b.hash && a.steps == b.steps) return true;
  std::printf("seed %" PRIu64 " did not replay: %016" PRIx64 " and %016" PRIx64 "\n", seed, a.hash,
              b.hash);
  return false;
}

// Hands out seeds to the jobs and adds up their results.
class Series {
 public:
  explicit Series(const Options& options)
      : options_(options), seeds_(options.from.value_or(random_seed())) {}

  int run() {
    if (!replays(next_seed())) return 1;
    std::vector<std::thread> jobs;
    for (std::uint64_t k = 0; k < options_.jobs; ++k) jobs.emplace_back([this] { work(); });
    for (std::thread& job : jobs) job.join();
    sums_.print(took());
    if (options_.coverage) print_coverage(sums_);
    return sums_.violations == 0 ? 0 : 1;
  }

 private:
  static std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
  }
  std::uint64_t next_seed() { return seeds_.next() >> 20; }
  double took() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  std::optional<std::uint64_t> take() {
    std::lock_guard lock(mutex_);
    const bool failed = sums_.violations > 0 && !options_.keep_going;
    const bool over = took() >= static_cast<double>(options_.seconds);
    if (failed || over || taken_ >= options_.seeds) return std::nullopt;
    if (taken_ * options_.steps >= options_.total) return std::nullopt;
    ++taken_;
    return next_seed();
  }
  void work() {
    while (const auto seed = take()) {
      const RunResult r = Simulation(*seed, options_.trace).run(options_.steps);
      std::lock_guard lock(mutex_);
      sums_.add(r);
      report(r, options_);
    }
  }

  const Options& options_;
  const Clock::time_point began_ = Clock::now();
  std::mutex mutex_;
  Dice seeds_;
  Sums sums_;
  std::uint64_t taken_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: simulation [--seeds N | --seconds N | --total STEPS] [--steps N]\n"
                 "                  [--jobs N] [--from S] [--coverage] [--keep-going]\n"
                 "       simulation --seed S [--steps N] [--trace | --requests]\n");
    return 2;
  }
  if (!options->seed) return Series(*options).run();
  const RunResult r = Simulation(*options->seed, options->trace).run(options->steps);
  std::printf("seed %" PRIu64 " (%s): %" PRIu64 " steps, hash %016" PRIx64 "\n", r.seed,
              r.profile.c_str(), r.steps, r.hash);
  return report(r, *options) ? 0 : 1;
}
