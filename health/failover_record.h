// The record of failovers: each time without a primary, with its steps and their times, from what
// judge decided and what the workers reported. Pure; owned by the checker.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "health/judge.h"
#include "health/views.h"

namespace pgsteer {

class FailoverRecord {
 public:
  explicit FailoverRecord(const Config& config) : config_(config) {}

  // In the order they happened. `wall` is the wall clock at `now`.
  void observe(const Transition& transition, Instant now, WallTime wall);
  void observe(const WorkerReport& report);

  // Closes the record that is due. Returns a line for the log for each record that it closes.
  std::vector<std::string> tick(Instant now);
  // When tick() will have something to do; empty: no record is open.
  std::optional<Instant> due() const;

  std::vector<FailoverView> views(Instant now) const;  // newest first, at most 20

 private:
  struct Entry {
    FailoverView view;
    Instant began;
    Instant stopped;                 // since when there has been no primary
    Instant earliest;                // `stopped` cannot be before this
    std::uint64_t generation = 0;    // reports from here on belong to it
    std::optional<Instant> resumed;  // a primary is admitted
    bool first_session = false;
  };
  // Sessions that their server ended, as one worker reported at once.
  struct ServerEnded {
    Instant first;
    std::uint64_t count = 0;
  };
  struct FirstSuspicion {
    Instant at;
    std::string text;
    bool judged = false;  // judge confirmed it: it lasts until judge withdraws it
  };

  void open(const Transition& t, Instant now, WallTime wall);
  void reopen(Entry& e, Instant at);
  void step(Entry& e, Instant at, FailoverStepKind what, const std::string& text);
  void merge_step(Entry& e, Instant at, FailoverStepKind what, const std::string& text);
  void observe(const ServerEnded& ended);
  void count_ended(Entry& e, const ServerEnded& ended);
  void forget_ended(Instant before);

  const Config& config_;
  std::optional<FirstSuspicion> suspicion_;
  std::vector<ServerEnded> ended_;  // that may belong to a record yet to come
  std::optional<Entry> current_;
  std::deque<FailoverView> finished_;  // newest first
  std::uint64_t next_id_ = 1;
};

}  // namespace pgsteer
