// One thread with its sessions: takes clients from the acceptor, adopts topologies, ends what they
// forbid, reports what it did. Nothing of it is shared; other threads reach it by post(), and it
// reaches them through SessionLinks and the report.
//
// The invariant, tested: after a worker has adopted generation N, it has no session bound to a node
// that N forbids, sessions whose connect or login is in flight included. (They have been told to
// end, and none of them moves another byte; see NodeSlots.)
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/config.h"
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
  Worker(const Config& config, std::size_t index, Counters& counters, SessionLinks links,
         WorkerOutput output, TlsContextsPtr tls);
  ~Worker();

  // Any thread: runs `task` on the worker's thread, soon.
  template <class Task>
  void post(Task task) {
    loop_.post(std::move(task));
  }
  // Any thread.
  const ByteCounters& bytes() const { return bytes_; }

  // The thread's body; returns when stop() was called and no session is left.
  void run();

  // From here on: on the worker's thread.
  EventLoop& loop() { return loop_; }
  void take(AcceptedClient client);
  // Acts on `topology` until its valid_until, and then as if there were no primary. A generation
  // that is in force already is only renewed; an older one is ignored.
  void adopt(TopologyPtr topology);
  // Descriptors run short: ends some of the clients that have not logged in.
  void make_room(std::size_t count, std::size_t spared, StartupList::Need need) {
    startups_.make_room(count, spared, need, Clock::now());
  }
  void use(TlsContextsPtr tls) { tls_ = std::move(tls); }
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
  void act_on_published();
  void enter_into_force(const TopologyPtr& topology);
  void node_spoke(std::size_t listener);
  void server_ended(std::size_t listener);
  void retire(Session& session);
  void describe_some();
  Session* find(std::uint64_t id) const;
  static void keep_house(void* worker);
  void end_for_stop(Clock::time_point now);
  void watch_peers();
  void look_at_peers(Clock::time_point now);
  void report();

  const Config& config_;
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

  TopologyPtr published_;  // the last one that came; in force unless it has expired
  Clock::time_point published_at_{};
  bool expired_ = false;
  Session* first_ = nullptr;  // all sessions, newest first
  SlicedCopy<Session, SessionView> table_;
  std::size_t count_ = 0;
  std::vector<std::unique_ptr<Session>> retired_;  // destroyed at the end of the turn
  Timer housekeeping_;  // what has to be looked at again and again: held clients, a stop
  WorkerReport report_;
  bool report_due_ = false;
  bool primary_reached_ = false;
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
