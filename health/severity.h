// How much an event matters to an operator. The word is the same in the log, the JSON and on the
// page. Pure; any thread.
#pragma once

#include <cstdint>

namespace pgsteer {

enum class Severity : std::uint8_t {
  kInfo,   // something changed as expected
  kWarn,   // clients may notice it
  kError,  // somebody has to look at it
};

const char* to_string(Severity);  // "info", "warn", "error"

}  // namespace pgsteer
