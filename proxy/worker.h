// One thread with its sessions: takes clients from the acceptor, adopts the topologies of all
// clusters, ends what they forbid, reports what it did. Nothing of it is shared; other threads
// reach it by post(), and it reaches them through SessionLinks and the report.
//
// The invariant, tested: after a worker has adopted generation N of a cluster, it has no session of
// that cluster bound to a node that N forbids, sessions whose connect or login is in flight
// included. (They have been told to end, and none of them moves another byte; see NodeSlots.)
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/running.h"
#include "health/topology.h"
#include "proxy/net/event_loop.h"
#include "proxy/net/tls.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/node_slots.h"
#include "proxy/session/session.h"
#include "proxy/sliced_copy.h"

namespace pgsteer {

// What a worker says about itself. Called on its thread; must return at once.
struct WorkerOutput {
  std::function<void(const WorkerReport&)> report;
  // The worker acts on this from now on. `expired`: the checker has published nothing newer before
  // valid_until. Not called for mere renewals.
  std::function<void(const TopologyPtr&, bool expired)> adopted;
};

class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  // All references outlive the worker.
  Worker(RunningPtr running, std::size_t index, Counters& counters, SessionLinks links,
         WorkerOutput output, TlsContextsPtr tls);
  ~Worker();

  // Any thread: runs `task` on the worker's thread, soon.
  template <class Task>
  void post(Task task) {
    loop_.post(std::move(task));
  }
  // Any thread: the number of the configuration that it has.
  std::uint64_t in_force() const { return in_force_.load(std::memory_order_acquire); }
  // Any thread.
  const ByteCounters& bytes() const { return bytes_; }

  // The thread's body; returns when stop() was called and no session is left.
  void run();

  // From here on: on the worker's thread.
  EventLoop& loop() { return loop_; }
  void take(AcceptedClient client);
  // Acts on `topology` until its valid_until, and then as if its cluster had no primary. A
  // generation that is in force already is only renewed; an older one is ignored, and so is one of
  // a cluster that has gone.
  void adopt(TopologyPtr topology);
  // Descriptors run short: ends some of the clients that have not logged in.
  void make_room(std::size_t count, std::size_t spared, StartupList::Need need) {
    startups_.make_room(count, spared, need, Clock::now());
  }
  // Clients that come from now on are served with these.
  void use(RunningPtr running, TlsContextsPtr tls);
  // No more clients. Waiting ones are turned away, idle sessions end, busy ones may finish until
  // `limit`, then they end too. Sessions that cannot be read end once they are silent
  // (`shutdown_silence_unreadable`), or at `unreadable_limit`. run() returns when the last is gone.
  void stop(Clock::time_point limit, Clock::time_point unreadable_limit);
  // False: the session is gone.
  bool answer_admission(std::uint64_t session, EndReason refuse);
  void answer_key(std::uint64_t session, const std::optional<KeyOwner>& owner);
  const KeyIndex& keys() const { return keys_; }
  // Hands over the session table as soon as it has been described, in parts over several turns.
  void describe_sessions(std::function<void(std::vector<SessionView>)> done);

 private:
  SessionServices services();
  // What it knows of one cluster.
  struct Cluster {
    TopologyPtr published;  // the last one that came; in force unless it has expired
    Clock::time_point published_at{};
    bool expired = false;
    std::optional<Clock::time_point> look_again;  // has it expired? How long ago?
    WorkerReport report;
    bool report_due = false;
    bool primary_reached = false;
  };

  Cluster& of_listener(std::size_t listener) {
    return clusters_[running_->cluster_of_listener(listener)];
  }
  void act_on_published(Cluster& cluster);
  void look_at_deadlines();
  void set_watchdog();
  void enter_into_force(Cluster& cluster, const TopologyPtr& topology);
  void node_spoke(std::size_t listener);
  void server_ended(std::size_t listener);
  void retire(Session& session);
  void describe_some();
  Session* find(std::uint64_t id) const;
  static void keep_house(void* worker);
  void end_for_stop(Clock::time_point now);
  void watch_peers();
  void look_at_peers(Clock::time_point now);
  void report_soon(Cluster& cluster) { cluster.report_due = any_report_due_ = true; }
  void take_reports();
  void report(Cluster& cluster);

  RunningPtr running_;
  std::atomic<std::uint64_t> in_force_{0};
  const std::size_t index_;
  Counters& counters_;
  const SessionLinks links_;
  const WorkerOutput output_;
  TlsContextsPtr tls_;
  EventLoop loop_;
  RelayResources relay_{loop_.poller()};
  ByteCounters bytes_;
  NodeSlots slots_;
  StartupList startups_;
  HandshakeTurns handshake_turns_;
  OutgoingCancels cancels_;
  KeyIndex keys_;
  SessionServices services_;

  std::array<Cluster, kMaxClusters> clusters_;  // by slot
  bool any_report_due_ = false;
  Session* first_ = nullptr;  // all sessions, newest first
  SlicedCopy<Session, SessionView> table_;
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<Session>> retired_;  // destroyed at the end of the turn
  Timer housekeeping_;  // what has to be looked at again and again: held clients, a stop
  bool stopping_ = false;
  Clock::time_point stop_limit_{};
  Clock::time_point stop_limit_unreadable_{};

  // The look for peers that are gone goes round all sessions, some of them at a time.
  struct Round {
    std::chrono::milliseconds interval{0};  // between two slices
    Clock::duration length{};               // a round takes about as long, at least
    Session* next = nullptr;                // null: the round is over
    Clock::time_point began{};
    Clock::time_point last{};         // slice
    Clock::time_point counts_from{};  // nobody looked before
  };
  Round round_;
};

}  // namespace pgsteer
