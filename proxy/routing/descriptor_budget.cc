#include "proxy/routing/descriptor_budget.h"

#include "proxy/net/pipe_pool.h"

namespace pgsteer {

namespace {

// Standard streams, the signals' own descriptors, certificate files being read, the resolver's
// files; rounded up.
constexpr std::size_t kProcess = 24;
// libcurl's own in each checker.
constexpr std::size_t kCluster = 8;
// Of each node: a request to Patroni (libcurl tries two addresses at once), two checks of
// PostgreSQL's port, the lookups of two names with two sockets each, and the cancels of each
// worker.
constexpr std::size_t kNode = 2 + 2 + 4;
constexpr std::size_t kCancelsOfNode = 9;
// epoll, eventfd, what Asio opens; and the pipes.
constexpr std::size_t kWorker = 8 + 2 * PipePool::kMaxPipes;
// Each thread of the HTTP server has an epoll and a pair of its own.
constexpr std::size_t kStatsThread = 4;

}  // namespace

DescriptorBudget descriptor_budget(const Config& config, std::size_t limit, unsigned workers) {
  std::size_t reserved = kProcess + config.clusters.size() * kCluster;
  reserved += config.nodes.size() * (kNode + workers * kCancelsOfNode);
  reserved += workers * kWorker;
  for (const ListenConfig& listen : config.listen) reserved += listen.bind.size();
  const std::size_t stats_address = 1 + kStatsConnections + kStatsThread * config.stats.threads;
  reserved += config.stats.bind.size() * stats_address;
  const std::size_t left = limit > reserved ? limit - reserved : 0;
  return {.limit = limit, .reserved = reserved, .clients = left / 2};
}

}  // namespace pgsteer
