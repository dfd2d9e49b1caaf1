#include "proxy/logging.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace pgsteer {

namespace {

// Lines waiting to be written. If stderr stalls for longer than this lasts the oldest are dropped:
// a proxy that stops because its log is not read would be worse.
constexpr std::size_t kQueue = 8192;

// {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"..."}
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    const auto since = line.time.time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    const auto level = spdlog::level::to_string_view(line.level);
    nlohmann::ordered_json object;
    object["time"] =
        fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
    object["level"] = std::string(level.data(), level.size());
    object["message"] = std::string(line.payload.data(), line.payload.size());
    const std::string text =
        object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void start_logging(const LogConfig& config) {
  spdlog::init_thread_pool(kQueue, 1);
  spdlog::set_default_logger(std::make_shared<spdlog::async_logger>(
      "pgsteer", std::make_shared<spdlog::sinks::stderr_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest));
  use_logging(config);
}

// The logger itself stays: other threads write to it at this moment.
void use_logging(const LogConfig& config) {
  spdlog::logger& logger = *spdlog::default_logger_raw();
  if (config.format == LogFormat::kJson) {
    logger.set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v", spdlog::pattern_time_type::utc));
  }
  logger.set_level(level_of(config.level));
}

void stop_logging() { spdlog::shutdown(); }

}  // namespace pgsteer
