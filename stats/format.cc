#include "stats/format.h"

#include <cstdio>
#include <ctime>

namespace pgsteer {

std::string rfc3339(WallTime time) {
  if (time == WallTime{}) return "";
  const auto since_epoch =
      std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  std::int64_t millis = since_epoch % 1000;
  std::time_t seconds = static_cast<std::time_t>(since_epoch / 1000);
  if (millis < 0) {
    millis += 1000;
    seconds -= 1;
  }
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

std::string lsn_text(std::uint64_t lsn) {
  char text[24];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn >> 32),
                static_cast<unsigned>(lsn & 0xFFFFFFFFu));
  return text;
}

}  // namespace pgsteer
