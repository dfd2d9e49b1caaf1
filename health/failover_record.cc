#include "health/failover_record.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace pgsteer {
namespace {

using Kind = FailoverStepKind;

constexpr std::size_t kKept = 20;
// A suspicion that a session raised and judge never confirmed is forgotten after this.
constexpr std::chrono::seconds kSuspicionKept{5};
// A record stays open this long after a primary is admitted, for the workers' reports to come in.
constexpr std::chrono::seconds kSettle{5};
// A session ends this much before the suspicion that it raises, at most.
constexpr std::chrono::seconds kReportDelay{1};
// Reports of ended sessions that are kept apart; more are counted with the last one.
constexpr std::size_t kMaxEnded = 256;

double seconds_between(Instant from, Instant to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string milli(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", seconds);
  return text;
}

std::string count(std::uint64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

// Workers report what has happened a moment ago.
void sort_steps(FailoverView& v) {
  std::stable_sort(v.steps.begin(), v.steps.end(),
                   [](const auto& a, const auto& b) { return a.at_seconds < b.at_seconds; });
}

std::string ended_by_server(const FailoverView& v) {
  const std::uint64_t n = v.sessions_ended_by_server;
  return count(n, "session ended by its server", "sessions ended by their server");
}

std::string summary(const FailoverView& v) {
  std::string first;
  for (const FailoverStep& s : v.steps) {
    if (s.what == Kind::kFirstSession) first = ", first session after " + milli(s.at_seconds);
  }
  return std::string(to_string(v.kind)) + " " + v.from + (v.from == v.to ? "" : " -> " + v.to) +
         " finished: no primary for " + milli(v.no_primary_seconds) + ", " + ended_by_server(v) +
         ", " + std::to_string(v.sessions_cut) + " cut by pgsteer (" +
         std::to_string(v.sessions_cut_told) + " told why), " +
         count(v.clients_held, "client", "clients") + " held (longest " +
         milli(v.held_longest_seconds) + ")" + first;
}

}  // namespace

void FailoverRecord::step(Entry& e, Instant at, FailoverStepKind what, const std::string& text) {
  e.view.steps.push_back({std::max(0.0, seconds_between(e.began, at)), what, text});
}

// One step for all workers: its time is that of the first of them, its text has the sum.
void FailoverRecord::merge_step(Entry& e, Instant at, FailoverStepKind what,
                                const std::string& text) {
  const auto it = std::find_if(e.view.steps.begin(), e.view.steps.end(),
                               [&](const FailoverStep& s) { return s.what == what; });
  if (it == e.view.steps.end()) return step(e, at, what, text);
  it->at_seconds = std::min(it->at_seconds, std::max(0.0, seconds_between(e.began, at)));
  it->text = text;
}

void FailoverRecord::forget_ended(Instant before) {
  std::erase_if(ended_, [before](const ServerEnded& ended) { return ended.first < before; });
}

// For the clients the time without a primary began with the first of these sessions, whenever judge
// noticed.
void FailoverRecord::count_ended(Entry& e, const ServerEnded& ended) {
  FailoverView& v = e.view;
  v.sessions_ended_by_server += ended.count;
  merge_step(e, ended.first, Kind::kServerEnded, ended_by_server(v));
  if (ended.first < e.earliest || ended.first >= e.stopped) return;
  if (e.resumed) v.no_primary_seconds += seconds_between(ended.first, e.stopped);
  e.stopped = ended.first;
}

void FailoverRecord::observe(const ServerEnded& ended) {
  const bool after = current_ && current_->resumed && ended.first >= *current_->resumed;
  if (current_ && !after) {
    if (ended.first >= current_->began - kReportDelay) count_ended(*current_, ended);
  } else if (ended_.size() < kMaxEnded) {
    ended_.push_back(ended);
  } else {
    ended_.back().count += ended.count;
  }
}

void FailoverRecord::open(const Transition& t, Instant now, WallTime wall) {
  if (current_) return;
  Entry e;
  e.began = suspicion_ ? std::min(suspicion_->at, t.at) : t.at;
  forget_ended(e.began - kReportDelay);
  for (const ServerEnded& ended : ended_) e.began = std::min(e.began, ended.first);
  e.earliest = e.began - kReportDelay;
  e.stopped = t.at;
  e.generation = t.generation;
  e.view.id = next_id_++;
  e.view.began_at = wall - std::chrono::duration_cast<WallTime::duration>(now - e.began);
  e.view.kind = FailoverKind::kFailover;
  if (t.node) e.view.from = config_.nodes[*t.node].name;
  if (suspicion_) step(e, suspicion_->at, Kind::kFirstSuspicion, suspicion_->text);
  suspicion_.reset();
  for (const ServerEnded& ended : std::exchange(ended_, {})) count_ended(e, ended);
  current_ = std::move(e);
}

// The primary was admitted again, and is not any more.
void FailoverRecord::reopen(Entry& e, Instant at) {
  if (!e.resumed) return;
  e.earliest = *e.resumed;
  e.stopped = at;
  e.resumed.reset();
  for (const ServerEnded& ended : std::exchange(ended_, {})) count_ended(e, ended);
}

void FailoverRecord::observe(const Transition& t, Instant now, WallTime wall) {
  const bool open_before = current_.has_value();
  switch (t.kind) {
    case TransitionKind::kSuspicion:
      if (current_) return;
      if (!suspicion_ || (!suspicion_->judged && t.at - suspicion_->at > kSuspicionKept)) {
        suspicion_ = FirstSuspicion{t.at, t.text, false};
      }
      suspicion_->judged |= t.by_judge;
      return;
    case TransitionKind::kSuspicionOver:
      suspicion_.reset();
      ended_.clear();
      return;
    case TransitionKind::kHeld:
    case TransitionKind::kLost:
      open(t, now, wall);
      step(*current_, t.at, Kind::kProof, t.text);
      reopen(*current_, t.at);
      return;
    case TransitionKind::kNewPrimary:
    case TransitionKind::kResumed: {
      if (!open_before && !t.interrupts) return;  // the first primary after the start
      open(t, now, wall);
      Entry& e = *current_;
      if (t.node) e.view.to = config_.nodes[*t.node].name;
      e.view.kind =
          e.view.from == e.view.to ? FailoverKind::kInterruption : FailoverKind::kFailover;
      step(e, t.at, Kind::kNewPrimary, t.text);
      if (!e.resumed) e.view.no_primary_seconds += seconds_between(e.stopped, t.at);
      e.resumed = t.at;
      return;
    }
    default:
      return;
  }
}

void FailoverRecord::observe(const WorkerReport& f) {
  if (f.first_server_ended) observe(ServerEnded{*f.first_server_ended, f.server_ended});
  if (!current_ || f.generation < current_->generation) return;
  Entry& e = *current_;
  FailoverView& v = e.view;
  v.sessions_cut += f.cut;
  v.sessions_cut_told += f.cut_told;
  v.clients_held += f.held;
  const double longest = std::chrono::duration<double>(f.held_longest).count();
  v.held_longest_seconds = std::max(v.held_longest_seconds, longest);
  if (f.cut > 0) {
    merge_step(e, f.at, Kind::kCut,
               count(v.sessions_cut, "session", "sessions") + " cut, " +
                   std::to_string(v.sessions_cut_told) + " told why");
  }
  if (f.first_primary_session && e.resumed && !e.first_session) {
    e.first_session = true;
    step(e, f.at, Kind::kFirstSession, "a session reached " + v.to);
  }
  if (f.held > 0) {
    merge_step(e, f.at, Kind::kHeldReleased,
               count(v.clients_held, "client", "clients") + " had waited, the longest " +
                   milli(v.held_longest_seconds));
  }
}

std::optional<Instant> FailoverRecord::due() const {
  if (!current_ || !current_->resumed) return std::nullopt;
  return *current_->resumed + kSettle;
}

std::vector<std::string> FailoverRecord::tick(Instant now) {
  std::vector<std::string> lines;
  if (suspicion_ && !suspicion_->judged && now - suspicion_->at > kSuspicionKept)
    suspicion_.reset();
  forget_ended(suspicion_ ? suspicion_->at - kReportDelay : now - kSuspicionKept);
  if (const auto at = due(); at && now >= *at) {
    FailoverView& v = current_->view;
    sort_steps(v);
    v.finished = true;
    lines.push_back(summary(v));
    v.steps.push_back({seconds_between(current_->began, now), Kind::kDone, lines.back()});
    finished_.push_front(std::move(v));
    if (finished_.size() > kKept) finished_.pop_back();
    current_.reset();
  }
  return lines;
}

std::vector<FailoverView> FailoverRecord::views(Instant now) const {
  std::vector<FailoverView> views;
  if (current_) {
    views.push_back(current_->view);
    sort_steps(views.back());
    if (!current_->resumed)
      views.back().no_primary_seconds += seconds_between(current_->stopped, now);
  }
  for (const FailoverView& v : finished_) {
    if (views.size() < kKept) views.push_back(v);
  }
  return views;
}

}  // namespace pgsteer
