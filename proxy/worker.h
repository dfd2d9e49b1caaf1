// One thread with everything that its sessions need: the descriptors it watches, the topology it
// has adopted, its waiting clients, its deadlines. Nothing of it is shared; other threads reach it
// by post(), and it reaches them through WorkerLinks.
//
// The invariant, tested: after a worker has adopted generation N, it has no session bound to a node
// that N forbids, sessions whose connect or login is in flight included. (They have been told to
// end, and none of them moves another byte.)
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/topology.h"
#include "proxy/net/tls.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/route.h"
#include "proxy/session/hold_queue.h"
#include "proxy/session/outgoing_cancel.h"
#include "proxy/session/relay.h"
#include "proxy/session/session.h"
#include "proxy/session/session_view.h"

namespace pgsteer {

// TLS contexts, replaced as a whole when certificate files are read again.
struct TlsContexts {
  std::vector<SslContext> listeners;  // null where the listener passes TLS through
  SslContext node;                    // null: off
};
using TlsContextsPtr = std::shared_ptr<const TlsContexts>;
// Throws std::runtime_error with one clear line.
TlsContextsPtr make_tls_contexts(const Config& config);

// Where a worker's words go. All may be called on any worker's thread and return at once.
struct WorkerLinks {
  std::function<void(const Suspicion&)> suspicion;
  std::function<void(const WorkerReport&)> report;
  // A client's socket has been closed: its places at the door, if it holds any, are free again.
  std::function<void(std::size_t worker, std::size_t listener, const ClientAddress& peer,
                     bool counted)>
      left;
  // A client behind a PROXY header asks to be let in; answered through Worker::answer_admission.
  std::function<void(std::size_t worker, std::uint64_t session, std::size_t listener,
                     const ClientAddress&)>
      ask_admission;
  // Does another worker have the session with this key? Answered through Worker::answer_key.
  std::function<void(std::size_t worker, std::uint64_t session, std::uint32_t pid,
                     std::vector<std::byte> key)>
      ask_key;
};

class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  // All references outlive the worker.
  Worker(const Config& config, std::size_t index, Counters& counters, WorkerLinks links,
         TlsContextsPtr tls);
  ~Worker();

  // Any thread: runs `task` on the worker's thread, soon.
  template <class F>
  void post(F task) {
    asio::post(mailbox_, std::move(task));
    ring();
  }

  // The thread's body; returns when stop() was called and no session is left.
  void run();

  // From here on: on the worker's thread.
  void take(AcceptedClient arrival);
  void adopt(TopologyPtr topology);
  void use(TlsContextsPtr tls) { tls_ = std::move(tls); }
  // No more arrivals. Waiting clients are turned away, idle sessions end, busy ones may finish
  // until `limit`, then they end too. run() returns when the last is gone.
  void stop(Clock::time_point limit);
  // False: the session is gone.
  bool answer_admission(std::uint64_t session, EndReason refuse);
  void answer_key(std::uint64_t session, const std::optional<Address>& address);
  std::optional<Address> find_key(std::uint32_t pid, std::span<const std::byte> key) const;
  std::vector<SessionView> sessions() const;
  std::size_t session_count() const { return count_; }
  // Any thread.
  const ByteCounters& bytes() const { return bytes_; }

  // For the door, on worker 0.
  Poller& poller() { return context_.poller; }
  // Called every few milliseconds while `wanted` has been set to true.
  void on_tick(std::function<void(Clock::time_point)> task) { on_tick_ = std::move(task); }
  void want_ticks(bool wanted) { ticks_wanted_ = wanted; }

 private:
  friend class Session;

  struct Running {  // a cancel of pgsteer's own: the statement of a session that was cut
    std::unique_ptr<OutgoingCancel> cancel;
    Clock::time_point until;
  };

  // For sessions.
  const Config& config() const { return config_; }
  RelayContext& context() { return context_; }
  const TopologyPtr& topology() const { return topology_; }
  Counters& counters() { return counters_; }
  ListenerCounters& counters(std::size_t listener) { return *counters_.by_listener[listener]; }
  ByteCounters::Pair& bytes(std::size_t listener, std::size_t node) {
    return bytes_.at(listener, node);
  }
  const WorkerLinks& links() const { return links_; }
  const TlsContexts& tls() const { return *tls_; }
  std::size_t index() const { return index_; }
  bool stopping() const { return stopping_; }
  Route route_for(const Session& session);
  std::uint32_t login_share(std::uint32_t bound) const;
  void bind(Session& session, std::size_t node);
  void unbind(Session& session);
  void login_over(Session& session);
  void node_answered(const Session& session);
  bool hold(Session& session);
  void unhold(Session& session);
  bool anyone_held(std::size_t listener) const { return !held_[listener].empty(); }
  void set_deadline(Session& session, Clock::time_point at);
  void clear_deadline(Session& session);
  void greeting_begun() {
    if (++greeting_ > most_greeting_) crowd_out();
  }
  void greeting_over() { --greeting_; }
  void enqueue(Session& session);
  void wake_soon(Session& session) { enqueue(session); }
  void bury(Session& session);
  void count_told() { ++feedback_.cut_told; }
  void send_cancel(const Address& to, std::vector<std::byte> packet);
  Session* find(std::uint64_t id);

  void ring();
  void turn();
  void run_queue();
  void release_held(Clock::time_point now);
  void check_deadlines(Clock::time_point now);
  void check_stop(Clock::time_point now);
  void crowd_out();
  void report();
  int wait_limit() const;

  const Config& config_;
  const std::size_t index_;
  Counters& counters_;
  WorkerLinks links_;
  TlsContextsPtr tls_;
  TopologyPtr topology_;
  RelayContext context_;
  ByteCounters bytes_;

  asio::io_context mailbox_{1};
  asio::executor_work_guard<asio::io_context::executor_type> mailbox_open_{mailbox_.get_executor()};
  Watch bell_;  // an eventfd: there is something in the mailbox
  std::atomic<bool> rung_{false};

  Session* first_ = nullptr;  // all sessions, newest first
  std::size_t count_ = 0;
  std::size_t greeting_ = 0;  // connections that have not said yet what they want
  std::size_t most_greeting_;
  std::vector<Session*> queue_;  // ended from outside, to be woken
  std::size_t queue_next_ = 0;
  std::vector<std::unique_ptr<Session>> graves_;
  std::vector<Session*> deadlines_;    // unordered; scanned while there are any
  std::vector<HoldQueue> held_;        // by listener
  std::vector<std::uint32_t> logins_;  // in flight, by node
  std::vector<Running> cancels_;
  std::function<void(Clock::time_point)> on_tick_;
  bool ticks_wanted_ = false;
  WorkerReport feedback_;
  bool feedback_due_ = false;
  bool release_due_ = false;
  bool primary_reached_ = false;
  bool stopping_ = false;
  Clock::time_point stop_limit_{};
  Clock::time_point next_tick_{};
};

}  // namespace pgsteer
