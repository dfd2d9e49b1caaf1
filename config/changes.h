// What a reload changes, in words. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace pgsteer {

struct ConfigChange {
  std::string text;  // one line, for the operator; never a secret
  Reload reload = Reload::kNow;
};

// From the configuration that runs to the one that was read. Nodes are the same by cluster, name
// and address, listeners by cluster and name; their order in the file means nothing. What
// certificate files hold is not compared.
std::vector<ConfigChange> changes(const Config& running, const Config& read);

}  // namespace pgsteer
