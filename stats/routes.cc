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

Routes::Routes(const StatsStore& store, StatsSources sources, ShowSessions show_sessions,
               const std::vector<std::string>& hosts)
    : store_(store), sources_(std::move(sources)) {
  use(show_sessions, hosts);
}

void Routes::use(ShowSessions show_sessions, const std::vector<std::string>& hosts) {
  auto rules = std::make_shared<const Rules>(Rules{show_sessions, AllowedHosts(hosts)});
  const std::lock_guard lock(rules_mutex_);
  rules_ = std::move(rules);
}

std::shared_ptr<const Routes::Rules> Routes::rules() const {
  const std::lock_guard lock(rules_mutex_);
  return rules_;
}

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

HttpAnswer Routes::sessions(bool on_loopback) {
  const ShowSessions show = rules()->show_sessions;
  if (show == ShowSessions::kNever) {
    return {403, HttpAnswer{}.type, "the session table is switched off (stats.show_sessions)\n"};
  }
  if (show == ShowSessions::kLoopback && !on_loopback) {
    return {403, HttpAnswer{}.type,
            "the session table is shown on loopback addresses only; "
            "stats.show_sessions = true shows it here as well\n"};
  }
  const std::lock_guard lock(sessions_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (sessions_body_.empty() || now - sessions_at_ > kSessionsAge) {
    sessions_body_ = dump(sessions_json(sources_.sessions(), std::chrono::system_clock::now()));
    sessions_at_ = std::chrono::steady_clock::now();
  }
  return {200, kJsonType, sessions_body_};
}

HttpAnswer Routes::resource(const HttpRequest& request) {
  const std::string_view path = request.path;
  if (path == "/live") return {200, HttpAnswer{}.type, "alive\n"};
  if (path == "/ready") return ready(request.listener);
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(snapshot())};
  }
  if (path == "/api/v1/status") return {200, kJsonType, dump(status_json(snapshot()))};
  if (path == "/api/v1/sessions") return sessions(request.on_loopback);
  if (auto page = page_answer(path)) return *std::move(page);
  return {404, HttpAnswer{}.type, "no such page\n"};
}

HttpAnswer Routes::answer(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    return {405, HttpAnswer{}.type, "only GET and HEAD are served here\n"};
  }
  if (!request.host || rules()->hosts.allow(*request.host)) return resource(request);
  // Balancers may probe by any name: they get the status, and no words.
  if (request.path == "/live" || request.path == "/ready") {
    return {resource(request).status, HttpAnswer{}.type, "\n"};
  }
  return {421, HttpAnswer{}.type,
          "this address is not known by the name that you used; use its address, or add the name "
          "to stats.hosts\n"};
}

}  // namespace pgsteer
