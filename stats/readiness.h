// Is there a node for every listener? What a balancer above or an orchestrator asks. Pure.
#pragma once

#include <optional>
#include <string>

#include "stats/snapshot.h"

namespace pgsteer {

struct Readiness {
  enum class Answer { kReady, kNotReady, kNoSuchListener };
  Answer answer = Answer::kNotReady;
  std::string text;  // for a person; one line per listener that has no node
};

// Of every listener, or of the one named.
Readiness readiness(const StatsSnapshot& snapshot, const std::optional<std::string>& listener);

}  // namespace pgsteer
