// Waits for a condition, with a timeout. Tests use nothing else to wait.
#pragma once

#include <chrono>
#include <thread>

namespace pgsteer {

// Checks every millisecond. False on timeout.
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
