// The proxy as judge knows it: clients arrive, are held, connect, stay and are cut, and obey each
// topology as the workers do. It also records for each session the true state of the cluster while
// the session lived. One owner, one thread.
#pragma once

#include <limits>

#include "tests/simulation/model_config.h"

namespace pgsteer {

// The name has not been looked up yet.
inline constexpr unsigned kNoAddress = std::numeric_limits<unsigned>::max();

enum class SessionStep : std::uint8_t { kHeld, kConnecting, kLive };

struct ModelSession {
  std::uint64_t id = 0;
  std::size_t listener = 0;
  SessionStep step = SessionStep::kHeld;
  bool visible = true;  // pgsteer can read its messages
  std::size_t node = 0;
  std::uint32_t timeline = 0;  // of the topology that bound it
  Instant came{}, bound{}, patience{}, leaves{};
  bool rightful = true;     // its node was the rightful primary ever since it was bound
  bool of_primary = false;  // it was bound to what was taken for the primary then
  bool replica = true;      // its node was a running, reachable replica of ours ever since
};

struct SessionCounts {
  std::uint64_t clients = 0, served = 0, refused = 0, cut = 0, server_ended = 0;
};

class ModelSessions {
 public:
  ModelSessions(std::size_t proxy, const ModelConfig& config, ModelCluster& cluster, Agenda& agenda,
                Dice& dice);
  ModelSessions(const ModelSessions&) = delete;
  ModelSessions& operator=(const ModelSessions&) = delete;

  std::function<void(Suspicion)> suspect;                           // to the checker
  std::function<void(std::size_t node)> writable;                   // to the checker
  std::function<void(const ModelSession&, const Verdict&)> on_cut;  // before it ends
  std::function<void(const ModelSession&)> on_bound;

  // A generation, or the same one again with a later deadline.
  void adopt(const Topology& topology);
  // The workers act on it from its valid_until on, unless it is published again.
  void check_expiry();
  void server_ends(std::size_t node, bool host_died);
  void observe();          // after every step: keeps `rightful` and `replica`
  void restart();          // the process ended: so did every session
  void freeze(bool);       // the process stands still: nobody comes, nothing is cut
  UsedSlots used() const;  // nodes and listeners that a session refers to, by number

  std::vector<ModelSession> all;
  std::vector<unsigned> known_address;  // of each node, as the resolver found it
  SessionCounts counts;
  std::uint64_t expired_topologies = 0;

 private:
  void arrive();
  void seek(ModelSession& s);
  void connected(std::uint64_t id);
  void logged_in(ModelSession& s);
  void enforce();
  bool is_trial(std::size_t listener, std::size_t node) const;
  ModelCluster::Connect reach(std::size_t node) const;
  ModelSession* find(std::uint64_t id);
  void leave(std::uint64_t id);
  bool writes(std::size_t listener) const {
    return config_.by_number.listen[listener].to == Target::kPrimary;
  }

  std::size_t proxy_;
  const ModelConfig& config_;
  ModelCluster& cluster_;
  Agenda& agenda_;
  Dice& dice_;
  Topology topology_;
  bool frozen_ = false;
  std::uint64_t next_id_ = 1;
};

}  // namespace pgsteer
