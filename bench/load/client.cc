#include "bench/load/client.h"

#include <future>
#include <thread>

#include "bench/load/kernel.h"
#include "bench/load/login.h"
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

json describe(const Charge& charge, double took) {
  return {{"seconds", took},
          {"proxy_cpu_s", static_cast<double>(charge.watched_ns) / 1e9},
          {"load_cpu_s", static_cast<double>(charge.load_ns) / 1e9},
          {"system_cpu_s", static_cast<double>(charge.busy_ns) / 1e9},
          {"stolen_s", static_cast<double>(charge.stolen_ns) / 1e9}};
}

// Sleeps through the window on the calling thread and returns what it cost.
json account(const ClientOptions& options, const Window& window) {
  std::this_thread::sleep_until(window.begin);
  const auto begin = Clock::now();
  const Charge before = read_charge(options.watched, options.load);
  std::this_thread::sleep_until(window.end);
  const auto end = Clock::now();
  return describe(read_charge(options.watched, options.load) - before, to_seconds(end - begin));
}

void add_latencies(json& result, Latencies& latencies) {
  result["count"] = latencies.count();
  result["p50_us"] = latencies.at(0.5);
  result["p99_us"] = latencies.at(0.99);
  result["max_us"] = latencies.at(1);
}

std::vector<std::vector<Fd>> deal(std::vector<Fd> sessions, std::size_t hands) {
  std::vector<std::vector<Fd>> dealt(hands);
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    dealt[i % hands].push_back(std::move(sessions[i]));
  }
  return dealt;
}

}  // namespace

json measure_round_trips(const ClientOptions& options) {
  const auto hands = deal(open_sessions(options.target, options.sessions), options.threads);
  const auto beside = open_sessions(options.target, options.beside_stream ? 1 : 0);
  const Window window = window_from_now(options);
  const RoundTripPlan plan{.rate = options.rate / static_cast<double>(options.threads)};
  std::vector<std::future<Latencies>> drivers;
  for (const auto& hand : hands) {
    drivers.push_back(
        std::async(std::launch::async, run_round_trips, std::cref(hand), plan, window));
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
  // What the logins needed for a moment is given back by now, or is not going to be.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const std::uint64_t after = resident_kib(options.watched);
  json result = account(options, window_from_now(options));
  result["sessions"] = sessions.size();
  result["resident_kib_before"] = before;
  result["resident_kib_after"] = after;
  return result;
}

}  // namespace pgsteer
