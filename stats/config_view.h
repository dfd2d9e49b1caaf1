// The configuration in force and what became of the last reload, as observers see it. A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "health/views.h"

namespace pgsteer {

struct ConfigView {
  std::string file;
  std::uint64_t number = 1;  // counts up with every change of the configuration in force
  WallTime in_force_since{};
  std::uint64_t reloads_done = 0;
  std::uint64_t reloads_failed = 0;
  // Of the last reload; before the first one: that it went well, at the start.
  WallTime reload_at{};
  std::string reload_error;          // one line; empty: it was put in force
  std::vector<std::string> changes;  // one line each
};

}  // namespace pgsteer
