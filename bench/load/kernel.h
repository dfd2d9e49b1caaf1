// The kernel's accounting: CPU time of watched processes and of the whole machine, and resident
// memory. Read at the start and the end of a measured window, never within it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace pgsteer {

struct Charge {
  std::uint64_t watched_ns = 0;  // the watched processes (their CPU clocks, clock_getcpuclockid(3))
  std::uint64_t load_ns = 0;     // this process and the source
  std::uint64_t busy_ns = 0;     // the machine: all but idle, iowait and steal (/proc/stat)
  std::uint64_t stolen_ns = 0;   // taken by the hypervisor; if large, do not trust this round
};

Charge read_charge(const std::vector<pid_t>& watched, const std::vector<pid_t>& load);
Charge operator-(const Charge& later, const Charge& earlier);

// Sum of Rss over the processes' smaps_rollup, in KiB. Shared pages count in each process.
std::uint64_t resident_kib(const std::vector<pid_t>& watched);

}  // namespace pgsteer
