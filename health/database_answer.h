// How PostgreSQL's port behaves, as a check of that port has found.
#pragma once

#include <cstdint>

namespace pgsteer {

// kAnswers means that a live postmaster handled the connection; it may still refuse a login.
enum class DatabaseAnswer : std::uint8_t { kUnknown, kAnswers, kRefused, kUnreachable, kHung };

const char* to_string(DatabaseAnswer);

}  // namespace pgsteer
