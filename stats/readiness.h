// Is there a node for every listener? For load balancers and orchestrators. Pure.
#pragma once

#include <optional>
#include <string>

#include "stats/snapshot.h"

namespace pgsteer {

struct Readiness {
  enum class Answer { kReady, kNotReady, kNoSuchListener };
  Answer answer = Answer::kNotReady;
  std::string text;  // for people; one line per listener without a node
};

// Of every listener of every cluster, or of the one named. Listeners that leave do not count.
Readiness readiness(const StatsSnapshot& snapshot, const std::optional<std::string>& listener);

}  // namespace pgsteer
