#include "proxy/reloader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "config/parse.h"
#include "proxy/logging.h"

namespace pgsteer {

namespace {

// Requests that come together are answered together.
constexpr std::chrono::milliseconds kGather{100};
// Every thread takes a configuration over within milliseconds.
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::seconds kLeavingPause{1};

std::string plural(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

Reloader::Reloader(asio::io_context& io, std::string path, RunningPtr running, Parts parts)
    : path_(std::move(path)),
      running_(std::move(running)),
      parts_(parts),
      timer_(io),
      file_(running_->config) {
  view_.file = path_;
  view_.in_force_since = view_.reload_at = std::chrono::system_clock::now();
  parts_.stats.publish(view_);
}

void Reloader::nominate(const std::string& cluster, std::vector<NodeConfig> nodes) {
  nominees_[cluster] = std::move(nodes);
  nominated_ = true;
  if (!asked_) tick();
}

void Reloader::ask() {
  if (asked_) return;
  asked_ = true;
  asked_at_ = Clock::now();
  tick();
}

// Slots are given anew only when every thread has the configuration in which they were vacant, so
// the next one waits for that.
bool Reloader::settled() const {
  return parts_.server.in_force() == running_->number &&
         parts_.checkers.in_force() == running_->number;
}

void Reloader::tick() {
  const auto waited = Clock::now() - asked_at_;
  if (asked_ && waited >= kGather && settled()) {
    asked_ = false;
    read_file();
  } else if (asked_ && waited >= kPatience) {
    asked_ = false;
    failed("the configuration before it has not reached every thread within 10 s");
  } else if (!asked_ && settled()) {
    if (nominated_) use_nominees();
    // What leaves may be what there was no place for.
    if (settled()) let_leave();
  }
  if (!asked_ && !nominated_ && !any_leaving(running_->config)) return;
  timer_.expires_after(asked_ ? Clock::duration(kGather) : kLeavingPause);
  timer_.async_wait([this](const std::error_code& error) {
    if (!error) tick();
  });
}

void Reloader::read_file() {
  Parsed parsed = parse_file(path_);
  std::vector<std::string> errors;
  for (const Diagnostic& each : parsed.diagnostics) {
    spdlog::log(each.warning ? spdlog::level::warn : spdlog::level::err, "{}", each.text());
    if (!each.warning) errors.push_back(each.text());
  }
  if (!errors.empty()) {
    const std::size_t more = errors.size() - 1;
    return failed(errors.front() + (more == 0 ? "" : " (and " + plural(more, "more error") + ")"));
  }
  try {
    const Nominees nominees = renamed(nominees_, running_->config, parsed.config);
    const std::vector<ConfigChange> found = use_file(parsed.config, nominees);
    file_ = std::move(parsed.config);
    nominees_ = nominees;
    done(found);
  } catch (const std::exception& problem) {
    failed(problem.what());
  }
}

// The nodes that were found must not stand in the way of what is written: where there is no room
// for all of them, those in force stay; or else none.
std::vector<ConfigChange> Reloader::use_file(const Config& read, const Nominees& nominees) {
  const Config& now = running_->config;
  try {
    return use_with(read, nominees);
  } catch (const std::exception& problem) {
    if (nominees_.empty()) throw;
    for (const Nominees& fewer : {renamed(in_force(nominees_, now), now, read), Nominees{}}) {
      try {
        std::vector<ConfigChange> found = use_with(read, fewer);
        spdlog::warn("not all nodes that were found are used: {}", problem.what());
        nominated_ = true;
        return found;
      } catch (const std::exception&) {
        // It is not those nodes, then.
      }
    }
    throw;
  }
}

std::vector<ConfigChange> Reloader::use_with(const Config& read, const Nominees& nominees) {
  Config next = with_nominees(read, nominees, running_->config);
  std::vector<ConfigChange> found = changes(running_->config, next);
  // Named in the changes of every reload, until the restart that it takes.
  next.server.workers = running_->config.server.workers;
  put_in_force(with_leaving(*running_, std::move(next)), Certificates::kRead);
  return found;
}

void Reloader::use_nominees() {
  nominated_ = false;
  try {
    Config next = with_nominees(file_, nominees_, running_->config);
    next.server.workers = running_->config.server.workers;
    const std::vector<ConfigChange> found = changes(running_->config, next);
    if (!found.empty()) put_in_force(with_leaving(*running_, std::move(next)), Certificates::kKeep);
    for (const ConfigChange& change : found) spdlog::info("discovery: {}", change.text);
    nominees_failed_.clear();
    parts_.stats.publish(view_);
  } catch (const std::exception& problem) {
    nominated_ = true;  // descriptors or slots may become free
    if (nominees_failed_ == problem.what()) return;
    nominees_failed_ = problem.what();
    spdlog::warn("nodes that were found are not used yet: {}", nominees_failed_);
  }
}

// Everything that can fail comes before everything that changes something. Only the file tells
// about the log and the page.
void Reloader::put_in_force(Config config, Certificates certificates) {
  const auto slots = slots_after(*running_, config, parts_.server.used());
  if (!slots) {
    throw std::runtime_error(
        "there are too many nodes, listeners or clusters, with those that leave");
  }
  const auto next =
      std::make_shared<const Running>(std::move(config), *slots, running_->number + 1);
  Server::Prepared server = parts_.server.prepare(next, certificates);
  Checkers::BySlot added = parts_.checkers.prepare(next);
  if (certificates == Certificates::kRead) {
    StatsServer::Listeners stats = parts_.stats.prepare(next->config.stats);
    use_logging(next->config.log);
    parts_.stats.use(next->config.stats, std::move(stats));
  }
  parts_.server.use(std::move(server));
  parts_.checkers.use(next, std::move(added));
  running_ = next;
  view_.number = next->number;
  view_.in_force_since = std::chrono::system_clock::now();
}

// What was taken out of the file goes for good when its last session has gone.
void Reloader::let_leave() {
  std::optional<Config> left = without_unused(*running_, parts_.server.used());
  if (!left) return;
  try {
    put_in_force(std::move(*left), Certificates::kKeep);
    parts_.stats.publish(view_);
  } catch (const std::exception& problem) {
    spdlog::warn("what leaves the configuration stays for now: {}", problem.what());
  }
}

void Reloader::done(const std::vector<ConfigChange>& changes) {
  view_.changes.clear();
  for (const ConfigChange& change : changes) {
    spdlog::info("reload: {}", change.text);
    view_.changes.push_back(change.text);
  }
  const std::string text = "configuration " + std::to_string(view_.number) +
                           " is in force: " + plural(changes.size(), "change") +
                           "; certificates were read again";
  spdlog::info("{}", text);
  ++view_.reloads_done;
  view_.reload_at = view_.in_force_since;
  view_.reload_error.clear();
  parts_.stats.publish(view_);
  parts_.stats.event({view_.reload_at, Severity::kInfo, text});
}

void Reloader::failed(const std::string& why) {
  const std::string text = "nothing is reloaded: " + why;
  spdlog::error("{}", text);
  ++view_.reloads_failed;
  view_.reload_at = std::chrono::system_clock::now();
  view_.reload_error = why;
  view_.changes.clear();
  parts_.stats.publish(view_);
  parts_.stats.event({view_.reload_at, Severity::kError, text});
}

}  // namespace pgsteer
