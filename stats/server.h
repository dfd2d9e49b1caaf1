// The HTTP server for page, API and metrics, on threads of its own: it reads what was published and
// cannot slow a session down. Created, started and stopped by main; publish and event from any
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/config.h"
#include "health/views.h"
#include "stats/http_connections.h"
#include "stats/routes.h"
#include "stats/stats_store.h"

namespace pgsteer {

struct HttpListener;  // one listening socket

class StatsServer {
 public:
  StatsServer(const StatsConfig& config, StatsSources sources, const HttpLimits& limits = {});
  ~StatsServer();  // stops
  StatsServer(const StatsServer&) = delete;
  StatsServer& operator=(const StatsServer&) = delete;

  void publish(ClusterViewPtr view);
  void event(EventView event);

  // Throws std::runtime_error with one clear line, such as a port in use; nothing listens then.
  void start();
  // Returns once no HTTP thread runs any more; a request under way is finished (about 200 ms).
  void stop();

  // The ports that are listened on, one per socket.
  const std::vector<std::uint16_t>& ports() const { return ports_; }

 private:
  const StatsConfig config_;
  const HttpLimits limits_;
  StatsStore store_;
  Routes routes_;
  std::vector<std::unique_ptr<HttpListener>> listeners_;
  std::vector<std::uint16_t> ports_;
};

}  // namespace pgsteer
