// What one worker's sessions hold on the nodes: who is bound where, how many logins are in flight,
// and who waits for a node. Pure: no I/O, the clock is passed in. Used on the worker's thread.
//
// The invariant, tested: once adopt() has taken generation N of a cluster, every session that holds
// a slot on a node that N forbids has been told to end, sessions whose connect or login is in
// flight included. One of those whose client has seen nothing of a server may take that back and
// look for another node, once it has given its slot back.
//
// Each cluster has its own topology, sessions and clients that wait; what happens to one touches no
// other.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "config/running.h"
#include "health/topology.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/end_reason.h"
#include "proxy/routing/hold_queue.h"
#include "proxy/routing/route.h"

namespace pgsteer {

class NodeSlots;

// A session, as far as slots are concerned.
class SlotUser {
 public:
  virtual ~SlotUser() = default;
  // Its node is forbidden now, or all nodes are full.
  virtual void end(EndReason why, std::string detail) = 0;
  // It is ending: it wants nothing more.
  virtual bool ending() const = 0;
  // Told that its node is forbidden, it gives the node up and looks for another one.
  virtual bool survives_node() const { return false; }
  // Its waiting request has been granted.
  virtual void resume_soon() = 0;
};

// A session's place on a node. The destructor gives it back.
class NodeSlot {
 public:
  NodeSlot() = default;
  NodeSlot(NodeSlot&& other) noexcept { *this = std::move(other); }
  NodeSlot& operator=(NodeSlot&& other) noexcept;
  ~NodeSlot() { give_back(); }

  explicit operator bool() const { return slots_ != nullptr; }
  std::size_t node() const { return node_; }
  // The primary's timeline when the slot was taken.
  std::uint32_t timeline() const { return timeline_; }
  bool login_open() const { return login_ != Login::kOver; }
  // The server works on the login, which counts among the node's logins in flight.
  bool login_in_flight() const { return login_ == Login::kInFlight; }
  // The server waits for the client: until login_goes_on() the login is not in flight.
  void login_awaits_client();
  // The client has answered: the login counts again, beyond the limit if need be. An answer that is
  // there does not wait behind strangers.
  void login_goes_on();
  // The login is over: the next one may begin.
  void login_over();

 private:
  friend class NodeSlots;
  enum class Login : std::uint8_t { kOver, kInFlight, kAwaitsClient };
  void enter(Login login);
  void give_back();

  NodeSlots* slots_ = nullptr;
  SlotUser* user_ = nullptr;
  NodeSlot* previous_ = nullptr;
  NodeSlot* next_ = nullptr;
  std::uint64_t client_ = 0;
  std::chrono::steady_clock::time_point unanswered_since_{};  // kAwaitsClient
  std::uint32_t timeline_ = 0;
  std::uint16_t listener_ = 0;
  std::uint8_t node_ = 0;
  Login login_ = Login::kOver;
};

// A session's wish for a node. At a fixed address while it is held.
struct SlotRequest {
  using Clock = std::chrono::steady_clock;

  SlotUser* user = nullptr;
  std::size_t listener = 0;
  std::uint64_t session = 0;
  std::uint64_t client_hash = 0;   // for the balance; see ClientAddress::hash()
  std::uint64_t client = 0;        // whose share of the logins it takes; ClientAddress::table_key()
  std::uint64_t tried = 0;         // nodes that have failed it, a bit each
  Clock::time_point retry_at{};    // from when on those may be tried again
  Clock::time_point arrived{};     // its place in the queue, however often it joins that
  Clock::time_point held_since{};  // zero: has not been held
  NodeSlot granted;
};

class NodeSlots {
 public:
  using Clock = std::chrono::steady_clock;

  // For this long a login that its client does not answer keeps its place while others wait for it.
  static constexpr std::chrono::seconds kPatience{2};

  // What has been released to nodes of a cluster since the last call of take_held().
  struct Held {
    std::uint64_t sessions = 0;
    std::chrono::milliseconds longest{0};
  };

  // `counters` outlives the slots; `worker` is the index of the worker that owns them.
  NodeSlots(RunningPtr running, Counters& counters, std::size_t worker);
  NodeSlots(const NodeSlots&) = delete;
  NodeSlots& operator=(const NodeSlots&) = delete;

  // Forgets the clusters that it has not.
  void adopt(RunningPtr running);
  const RunningPtr& running() const { return running_; }
  // Ends the sessions of its cluster that `topology` forbids; gives the number of those that are
  // lost.
  std::uint64_t adopt(TopologyPtr topology);
  // The generation that was adopted last, with newer sentences: there is nothing to end or release.
  void renew(TopologyPtr topology) {
    const std::size_t cluster = topology->cluster;
    clusters_[cluster].topology = std::move(topology);
  }
  // Of a cluster, and of the cluster of a listener; null: none yet.
  const TopologyPtr& topology_of(std::size_t cluster) const { return clusters_[cluster].topology; }
  const TopologyPtr& topology_for(std::size_t listener) const {
    return of_listener(listener).topology;
  }

  // Where the request would go now. A node on trial gets one login at a time of this worker.
  Route route_for(const SlotRequest& request) const;
  // Takes a slot at once if there is one (kNode: request.granted is set).
  RouteOutcome take(SlotRequest& request);
  // Only the limits of logins keep the request from a node.
  bool too_many_logins(const SlotRequest& request) const;

  // Queues the request in the order of arrival; false if the listener holds as many as it may.
  bool hold(SlotRequest& request, Clock::time_point now);
  // Takes it out of the queue. `served`: it goes to a node.
  void unhold(SlotRequest& request, Clock::time_point now, bool served);
  bool anyone_held(std::size_t listener) const { return !queues_[listener].empty(); }
  bool anyone_held() const;
  // Grants what can be granted, in the order in which requests came; but clients whose address has
  // its share of the logins already, or has left one unanswered on trial, let the others pass.
  // Where logins that their clients do not answer stand in the way, those are ended that have had
  // kPatience.
  void release(Clock::time_point now);
  // The same for the clusters where a slot has become free, or the topology has changed, since the
  // last time.
  void release_where_due(Clock::time_point now);
  bool release_due() const { return release_due_ != 0; }
  bool any_released() const { return released_ != 0; }
  Held take_held(std::size_t cluster);

 private:
  friend class NodeSlot;

  // Logins, of this worker.
  struct Logins {
    std::uint32_t in_flight = 0;
    std::uint32_t unanswered = 0;  // the server waits for the client
    std::uint32_t open() const { return in_flight + unanswered; }
    std::uint32_t& of(NodeSlot::Login login) {
      return login == NodeSlot::Login::kInFlight ? in_flight : unanswered;
    }
  };

  struct Cluster {
    TopologyPtr topology;
    NodeSlot* first = nullptr;                            // all slots that are taken
    std::unordered_map<std::uint64_t, Logins> logins_of;  // by client
    // Clients that were ended on trial, without an answer, under this topology.
    std::unordered_set<std::uint64_t> silent_on_trial;
    Held held;
    Logins of_client(std::uint64_t client) const;
  };
  using Bits = std::uint32_t;  // a bit for each cluster
  static_assert(kMaxClusters <= 32);

  const ListenConfig& listen(std::size_t listener) const { return *running_->listener(listener); }
  const Cluster& of_listener(std::size_t listener) const {
    return clusters_[running_->cluster_of_listener(listener)];
  }
  Cluster& of_listener(std::size_t listener) {
    return clusters_[running_->cluster_of_listener(listener)];
  }
  void let_release(std::size_t listener) {
    release_due_ |= Bits{1} << running_->cluster_of_listener(listener);
  }
  std::uint32_t login_limit(std::size_t listener) const;
  bool busy(std::size_t node, const SlotRequest& request) const;
  bool has_its_share(const SlotRequest& request) const;
  HoldQueue::Next grant(SlotRequest& request, Clock::time_point now);
  void release_listener(std::size_t listener, Clock::time_point now);
  void end_unanswered(std::size_t listener, Clock::time_point now);
  bool reserve(std::size_t node);
  void bind(SlotRequest& request, std::size_t node);
  void link(NodeSlot& slot);
  void unlink(NodeSlot& slot);
  void count(const NodeSlot& slot, NodeSlot::Login from, NodeSlot::Login to);

  RunningPtr running_;
  Counters& counters_;
  const std::size_t worker_;
  std::array<Cluster, kMaxClusters> clusters_;  // by slot
  std::vector<Logins> logins_;                  // by node
  std::vector<HoldQueue> queues_;               // by listener
  std::vector<Clock::time_point> next_purge_;   // by listener
  Bits release_due_ = 0;
  Bits released_ = 0;  // clusters whose `held` is to be taken
};

}  // namespace pgsteer
