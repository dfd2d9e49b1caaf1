// The proxy as judge knows it: clients arrive, are held, connect, stay and are cut, and obey each
// topology as the workers do. It also records for each session the true state of the cluster while
// the session lived. One owner, one thread.
#pragma once

#include "config/config.h"
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

enum class SessionStep : std::uint8_t { kHeld, kConnecting, kLive };

struct ModelSession {
  std::uint64_t id = 0;
  std::size_t listener = 0;
  SessionStep step = SessionStep::kHeld;
  std::size_t node = 0;
  std::uint32_t timeline = 0;  // of the topology that bound it
  Instant came{}, bound{}, patience{}, leaves{};
  bool rightful = true;     // its node was the rightful primary ever since it was bound
  bool of_primary = false;  // it was bound to what was taken for the primary then
  bool replica = true;      // its node was a running, reachable replica of ours ever since
};

struct SessionCounts {
  std::uint64_t clients = 0, served = 0, refused = 0, cut = 0, server_ended = 0;
  Span held_longest{};
};

class ModelSessions {
 public:
  ModelSessions(const Config& config, ModelCluster& cluster, Agenda& agenda, Dice& dice);
  ModelSessions(const ModelSessions&) = delete;
  ModelSessions& operator=(const ModelSessions&) = delete;

  std::function<void(Suspicion)> suspect;                           // to the checker
  std::function<void(const ModelSession&, const Verdict&)> on_cut;  // before it ends
  std::function<void(const ModelSession&)> on_bound;

  void adopt(const Topology& topology);
  void server_ends(std::size_t node, bool host_died);
  void observe();  // after every step: keeps `rightful` and `replica`

  std::vector<ModelSession> all;
  SessionCounts counts;

 private:
  void arrive();
  void seek(ModelSession& s);
  void connected(std::uint64_t id);
  void release();
  ModelSession* find(std::uint64_t id);
  void leave(std::uint64_t id);

  const Config& config_;
  ModelCluster& cluster_;
  Agenda& agenda_;
  Dice& dice_;
  Topology topology_;
  std::uint64_t next_id_ = 1;
};

}  // namespace pgsteer
