// Figures in words, for log lines and verdicts. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pgsteer {

std::string seconds_text(std::chrono::steady_clock::duration d);  // "1.2 s"
std::string bytes_text(std::uint64_t bytes);                      // "1.2 MB"

}  // namespace pgsteer
