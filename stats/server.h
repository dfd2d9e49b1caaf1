// The HTTP server for page, API and metrics, on threads of its own: it reads what was published and
// cannot slow a session down. Created, started and stopped by main; publish, remove and event
// from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/config.h"
#include "health/views.h"
#include "proxy/net/fd.h"
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
  void remove(std::size_t cluster);
  void publish(ConfigView view);
  void event(EventView event);

  // Listens; throws std::runtime_error with one clear line, such as a port in use; nothing listens
  // then.
  void start();

  // Listeners that a reload needs beside those that there are. They answer already, and are gone
  // with this unless use() takes them.
  struct Close {
    void operator()(HttpListener* listener) const;
  };
  using Listeners = std::vector<std::unique_ptr<HttpListener, Close>>;
  // Throws like start(). One thread at a time, as for use().
  Listeners prepare(const StatsConfig& next);
  void use(const StatsConfig& next, Listeners opened);
  // Returns once no HTTP thread runs any more; a request under way is finished (about 200 ms).
  void stop();

  // The ports that are listened on, one per socket.
  std::vector<std::uint16_t> ports() const;

 private:
  std::unique_ptr<HttpListener, Close> listen(const BindAddress& bind, unsigned threads,
                                              UniqueFd socket);

  StatsConfig config_;
  const HttpLimits limits_;
  StatsStore store_;
  Routes routes_;
  Listeners listeners_;
};

}  // namespace pgsteer
