#include "bench/load/kernel.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace pgsteer {

namespace {

std::uint64_t nanoseconds(clockid_t clock) {
  timespec spent{};
  if (clock_gettime(clock, &spent) < 0) {
    throw std::system_error(errno, std::generic_category(), "a process's clock");
  }
  return static_cast<std::uint64_t>(spent.tv_sec) * 1'000'000'000ULL +
         static_cast<std::uint64_t>(spent.tv_nsec);
}

// All threads, including those that have ended.
std::uint64_t run_ns(pid_t pid) {
  clockid_t clock{};
  const int error = clock_getcpuclockid(pid, &clock);
  if (error != 0) throw std::system_error(error, std::generic_category(), "a process's clock");
  return nanoseconds(clock);
}

}  // namespace

Charge read_charge(const std::vector<pid_t>& watched, const std::vector<pid_t>& load) {
  Charge charge;
  for (pid_t pid : watched) charge.watched_ns += run_ns(pid);
  for (pid_t pid : load) charge.load_ns += run_ns(pid);
  charge.load_ns += nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
  // user nice system idle iowait irq softirq steal, in ticks (proc(5)).
  std::string cpu;
  std::array<std::uint64_t, 8> ticks{};
  std::ifstream stat("/proc/stat");
  stat >> cpu;
  for (auto& value : ticks) stat >> value;
  const auto tick_ns = 1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  charge.busy_ns = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * tick_ns;
  charge.stolen_ns = ticks[7] * tick_ns;
  return charge;
}

Charge operator-(const Charge& later, const Charge& earlier) {
  return {.watched_ns = later.watched_ns - earlier.watched_ns,
          .load_ns = later.load_ns - earlier.load_ns,
          .busy_ns = later.busy_ns - earlier.busy_ns,
          .stolen_ns = later.stolen_ns - earlier.stolen_ns};
}

std::uint64_t resident_kib(const std::vector<pid_t>& watched) {
  std::uint64_t sum = 0;
  for (pid_t pid : watched) {
    std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
    std::string word;
    while (rollup >> word && word != "Rss:") {
    }
    std::uint64_t kib = 0;
    if (!(rollup >> kib)) throw std::runtime_error("no Rss of process " + std::to_string(pid));
    sum += kib;
  }
  return sum;
}

}  // namespace pgsteer
