// Waiting for a condition with a bound, and nothing else: no test waits for time to pass.
#pragma once

#include <chrono>
#include <thread>

namespace pgsteer {

// Looks again every millisecond. False when the bound has passed.
template <class Condition>
bool eventually(Condition&& condition, std::chrono::milliseconds bound = std::chrono::seconds(5)) {
  const auto until = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace pgsteer
