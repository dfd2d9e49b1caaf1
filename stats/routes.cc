#include "stats/routes.h"

#include <nlohmann/json.hpp>

#include "stats/json.h"
#include "stats/metrics.h"
#include "stats/page.h"
#include "stats/readiness.h"

namespace pgsteer {
namespace {

constexpr auto kSessionsAge = std::chrono::milliseconds(500);
constexpr const char* kJsonType = "application/json";

std::optional<HttpAnswer> page_answer(std::string_view path) {
  if (path == "/") path = "/index.html";
  for (const PageFile& file : page_files()) {
    if (file.path == path) return HttpAnswer{200, std::string(file.type), std::string(file.body)};
  }
  return std::nullopt;
}

}  // namespace

Routes::Routes(const StatsStore& store, StatsSources sources, bool show_sessions)
    : store_(store), sources_(std::move(sources)), show_sessions_(show_sessions) {}

StatsSnapshot Routes::snapshot() const {
  StatsSnapshot snapshot;
  snapshot.now = std::chrono::system_clock::now();
  snapshot.started = sources_.started;
  snapshot.version = sources_.version;
  snapshot.traffic = sources_.traffic();
  store_.read(snapshot);
  return snapshot;
}

HttpAnswer Routes::ready(const std::optional<std::string>& listener) const {
  Readiness state = readiness(snapshot(), listener);
  HttpAnswer answer;
  answer.body = std::move(state.text);
  switch (state.answer) {
    case Readiness::Answer::kReady:
      answer.status = 200;
      break;
    case Readiness::Answer::kNotReady:
      answer.status = 503;
      break;
    case Readiness::Answer::kNoSuchListener:
      answer.status = 404;
      break;
  }
  return answer;
}

HttpAnswer Routes::sessions() {
  if (!show_sessions_) return {404, HttpAnswer{}.type, "the session table is switched off\n"};
  const std::lock_guard lock(sessions_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (sessions_body_.empty() || now - sessions_at_ > kSessionsAge) {
    sessions_body_ = dump(sessions_json(sources_.sessions(), std::chrono::system_clock::now()));
    sessions_at_ = std::chrono::steady_clock::now();
  }
  return {200, kJsonType, sessions_body_};
}

HttpAnswer Routes::answer(std::string_view method, std::string_view path,
                          const std::optional<std::string>& listener) {
  if (method != "GET" && method != "HEAD") {
    return {405, HttpAnswer{}.type, "only GET and HEAD are served here\n"};
  }
  if (path == "/live") return {200, HttpAnswer{}.type, "alive\n"};
  if (path == "/ready") return ready(listener);
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(snapshot())};
  }
  if (path == "/api/v1/status") return {200, kJsonType, dump(status_json(snapshot()))};
  if (path == "/api/v1/sessions") return sessions();
  if (auto page = page_answer(path)) return *std::move(page);
  return {404, HttpAnswer{}.type, "no such page\n"};
}

}  // namespace pgsteer
