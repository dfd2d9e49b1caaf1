// How the process's limit of file descriptors is shared out: a reserve for what must always work
// (checks of the nodes, page and metrics, log, cancels), and two descriptors for each client, one
// of them for its node. Clients can then never take the descriptor that a check needs. Pure.
#pragma once

#include <cstddef>

#include "config/config.h"

namespace pgsteer {

struct DescriptorBudget {
  // With fewer clients than this the program does not start.
  static constexpr std::size_t kLeastClients = 16;

  std::size_t limit = 0;     // RLIMIT_NOFILE
  std::size_t reserved = 0;  // for all but clients and their connections to nodes
  std::size_t clients = 0;   // that may be connected at the same time

  bool enough() const { return clients >= kLeastClients; }
  std::size_t least_limit() const { return reserved + 2 * kLeastClients; }
};

DescriptorBudget descriptor_budget(const Config& config, std::size_t limit, unsigned workers);

}  // namespace pgsteer
