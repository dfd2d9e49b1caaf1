#include "bench/load/kernel.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace pgsteer {

Charge read_charge(const std::vector<pid_t>& watched) {
  Charge charge;
  for (pid_t pid : watched) {
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
      // A task may end between the listing and the read; its time is then lost to the window.
      std::uint64_t run_ns = 0;
      std::ifstream(task.path() / "schedstat") >> run_ns;
      charge.watched_ns += run_ns;
    }
  }
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
