#include "bench/load/client.h"

#include <future>
#include <thread>

#include "bench/load/kernel.h"
#include "bench/load/login.h"
#include "bench/load/paced_group.h"
#include "bench/load/rest.h"
#include "bench/load/round_trips.h"
#include "bench/load/stream.h"

namespace pgsteer {
namespace {

using nlohmann::json;

Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

double to_seconds(Clock::duration value) { return std::chrono::duration<double>(value).count(); }

Window window_from_now(const ClientOptions& options) {
  const auto begin = Clock::now() + seconds(options.warm_up);
  return {.begin = begin, .end = begin + seconds(options.seconds)};
}

json describe(const Charge& charge, double took, double scale = 1) {
  const auto seconds_of = [scale](std::uint64_t ns) {
    return static_cast<double>(ns) / 1e9 * scale;
  };
  return {{"seconds", took},
          {"proxy_cpu_s", seconds_of(charge.watched_ns)},
          {"load_cpu_s", seconds_of(charge.load_ns)},
          {"system_cpu_s", seconds_of(charge.busy_ns)},
          {"stolen_s", seconds_of(charge.stolen_ns)}};
}

// Sleeps through the window on the calling thread and returns what it cost. If the thread wakes
// late, it also reads the clocks late, so their values are scaled to the window.
json account(const ClientOptions& options, const Window& window) {
  std::this_thread::sleep_until(window.begin);
  const auto begin = Clock::now();
  const Charge before = read_charge(options.watched, options.load);
  std::this_thread::sleep_until(window.end);
  const auto end = Clock::now();
  const Charge spent = read_charge(options.watched, options.load) - before;
  const double counted = to_seconds(window.end - window.begin);
  return describe(spent, counted, counted / to_seconds(end - begin));
}

void add_latencies(json& result, Latencies& latencies) {
  result["count"] = latencies.count();
  result["p50_us"] = latencies.at(0.5);
  result["p99_us"] = latencies.at(0.99);
  result["max_us"] = latencies.at(1);
}

std::vector<std::vector<Fd>> distribute(std::vector<Fd> sessions, std::size_t threads) {
  std::vector<std::vector<Fd>> shares(threads);
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    shares[i % threads].push_back(std::move(sessions[i]));
  }
  return shares;
}

}  // namespace

json measure_round_trips(const ClientOptions& options) {
  const auto shares = distribute(open_sessions(options.target, options.sessions), options.threads);
  const auto beside = open_sessions(options.target, options.beside_stream ? 1 : 0);
  const Window window = window_from_now(options);
  const RoundTripPlan plan{.rate = options.rate / static_cast<double>(options.threads)};
  std::vector<std::future<Latencies>> drivers;
  for (const auto& share : shares) {
    drivers.push_back(
        std::async(std::launch::async, run_round_trips, std::cref(share), plan, window));
  }
  std::future<Streamed> stream;
  if (options.beside_stream) {
    const StreamPlan copy{
        .receive = options.receive, .row_bytes = options.row_bytes, .yielding = true};
    stream = std::async(std::launch::async, run_stream, std::cref(beside[0]), copy, window);
  }
  json result = account(options, window);
  Latencies all;
  for (auto& driver : drivers) all.merge(driver.get());
  add_latencies(result, all);
  if (options.beside_stream) result["stream_bytes"] = stream.get().bytes;
  return result;
}

json measure_stream(const ClientOptions& options) {
  const auto session = open_sessions(options.target, 1);
  const Window window = window_from_now(options);
  const StreamPlan plan{.receive = options.receive, .row_bytes = options.row_bytes};
  auto stream = std::async(std::launch::async, run_stream, std::cref(session[0]), plan, window);
  json result = account(options, window);
  const Streamed streamed = stream.get();
  result["stream_bytes"] = streamed.bytes;
  result["longest_pause_us"] = to_seconds(streamed.longest) * 1e6;
  return result;
}

json measure_logins(const ClientOptions& options) {
  LoginPlan plan{.target = options.target,
                 .in_flight = options.sessions,
                 .count = SIZE_MAX,
                 .keep = false,
                 .deadline = Clock::now() + seconds(options.warm_up)};
  log_in(plan);
  const auto begin = Clock::now();
  const Charge before = read_charge(options.watched, options.load);
  plan.deadline = begin + seconds(options.seconds);
  Logins logins = log_in(plan);
  const auto end = Clock::now();
  json result =
      describe(read_charge(options.watched, options.load) - before, to_seconds(end - begin));
  add_latencies(result, logins.latencies);
  result["failed"] = logins.failed;
  result["first_error"] = logins.first_error;
  return result;
}

json measure_storm(const ClientOptions& options) {
  const auto begin = Clock::now();
  const Charge before = read_charge(options.watched, options.load);
  Logins logins = log_in({.target = options.target,
                          .in_flight = options.sessions,
                          .count = options.sessions,
                          .keep = true,
                          .deadline = begin + std::chrono::seconds(30)});
  const auto end = Clock::now();
  json result =
      describe(read_charge(options.watched, options.load) - before, to_seconds(end - begin));
  add_latencies(result, logins.latencies);
  result["failed"] = options.sessions - logins.sessions.size();
  result["first_error"] = logins.first_error;
  return result;
}

json measure_idle(const ClientOptions& options) {
  const std::uint64_t before = resident_kib(options.watched);
  const auto sessions = open_sessions(options.target, options.sessions);
  // Gives the proxy time to return memory that only the logins needed.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const std::uint64_t after = resident_kib(options.watched);
  json result = account(options, window_from_now(options));
  result["sessions"] = sessions.size();
  result["resident_kib_before"] = before;
  result["resident_kib_after"] = after;
  return result;
}

json measure_cut(const ClientOptions& options) {
  constexpr std::size_t kBeside = 50;
  constexpr double kBesideRate = 2000;
  constexpr std::chrono::seconds kTimeout{20};
  // The cut includes the work that the proxy does after the sessions have ended.
  constexpr std::chrono::milliseconds kAftermath{500};
  PacedGroup crowd(open_sessions(options.target, options.sessions), options.busy, options.rate);
  PacedGroup others(open_sessions(options.beside, kBeside), kBeside, kBesideRate);
  std::atomic<bool> crowd_over = false;
  std::atomic<bool> others_over = false;
  const Window window = window_from_now(options);
  auto run_others = std::async(std::launch::async, [&] { others.run(others_over); });
  auto run_crowd = std::async(std::launch::async, [&] { crowd.run(crowd_over); });
  json result = account(options, window);
  change_role(options.rest, false);
  const bool all = run_crowd.wait_for(kTimeout) == std::future_status::ready;
  std::this_thread::sleep_for(kAftermath);
  crowd_over = others_over = true;
  change_role(options.rest, true);
  run_crowd.get();
  run_others.get();
  if (!all) throw std::runtime_error("the sessions were not ended");
  if (others.ended() > 0) throw std::runtime_error("sessions on the other node were ended");
  Latencies busy = crowd.answered_between(window.begin, window.end);
  Latencies before = others.answered_between(window.begin, window.end);
  Latencies during = others.answered_between(crowd.first_end(), crowd.last_end() + kAftermath);
  add_latencies(result, busy);
  result["cut_ms"] = to_seconds(crowd.last_end() - crowd.first_end()) * 1e3;
  result["told"] = crowd.got_error();
  result["others_before_p99_us"] = before.at(0.99);
  result["others_during_max_us"] = during.at(1);
  return result;
}

}  // namespace pgsteer
