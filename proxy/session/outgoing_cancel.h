// The CancelRequests of one worker on their way to the nodes: those that clients bring, and
// pgsteer's own for the statements of sessions that were cut. For each: connect, send, wait until
// the server closes. PostgreSQL answers nothing and ignores a wrong key.
//
// A cancel costs a connection and a fork at the server, and needs no password. So all of it is
// bounded. A cancel whose session is known goes to its node alone, kKnownAtOnce at a time. Any
// other one goes to every node, one at a time: who floods pgsteer with cancels does not flood the
// nodes, and delays no cancel that has its session here. Equal ones that wait become one. A node
// that has let a cancel time out gets none for a while.
//
// Owned by a worker, used on its thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "proxy/net/address.h"
#include "proxy/net/event_loop.h"
#include "proxy/session/key_index.h"

namespace pgsteer {

class OutgoingCancels : private Wakeable {
 public:
  using Clock = std::chrono::steady_clock;

  // How long a cancel may take from its arrival, and at one node.
  static constexpr std::chrono::seconds kTimeout{5};
  static constexpr std::chrono::seconds kNodeTimeout{1};
  // After a timeout a node is not tried for this long.
  static constexpr std::chrono::seconds kSilence{5};
  static constexpr std::size_t kKnownAtOnce = 8;
  // Clients that wait for their cancel: in all, and of one address.
  static constexpr std::size_t kMostClients = 512;
  static constexpr std::uint32_t kMostOfAddress = 128;

 private:
  struct Job;

 public:
  // A client that waits for its cancel. A local of its stage: leaving that forgets the client, not
  // the cancel.
  class Ticket {
   public:
    // `done` is called when every server has closed or failed.
    explicit Ticket(std::function<void()> done) : done_(std::move(done)) {}
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket();

    bool finished() const;
    // It has been written to a server at least.
    bool sent() const;

   private:
    friend class OutgoingCancels;
    std::function<void()> done_;
    OutgoingCancels* cancels_ = nullptr;
    std::uint64_t client_ = 0;
    std::shared_ptr<Job> job_;
  };

  OutgoingCancels(EventLoop& loop, std::size_t nodes);
  ~OutgoingCancels() override;
  OutgoingCancels(const OutgoingCancels&) = delete;
  OutgoingCancels& operator=(const OutgoingCancels&) = delete;

  // May this client (ClientAddress::table_key()) wait here? False: too many do.
  bool admit(Ticket& ticket, std::uint64_t client);
  // To the session's node.
  void send(Ticket& ticket, const KeyOwner& to, std::vector<std::byte> packet);
  // pgsteer's own.
  void send(const KeyOwner& to, std::vector<std::byte> packet);
  // To all nodes: `to[i]` are the addresses of node i, which are tried in turn.
  void send_to_all(Ticket& ticket, std::vector<std::vector<Address>> to,
                   std::vector<std::byte> packet);

 private:
  struct Leg;
  struct Waiting {
    std::shared_ptr<Job> job;
    std::vector<Address> addresses;
  };
  // What goes to one node.
  struct Lane {
    std::size_t at_once = 1;
    std::deque<Waiting> waiting;
    std::vector<std::unique_ptr<Leg>> legs;
    Clock::time_point silent_until{};
  };

  void enqueue(Lane& lane, const std::shared_ptr<Job>& job, std::vector<Address> addresses);
  void advance(Lane& lane);
  void connect(Leg& leg);
  void step(Leg& leg, std::uint32_t events);
  void end(Leg& leg);
  void part_done(Job& job);
  void on_wakeup() override { tidy(); }
  void tidy();
  void check_deadlines();
  std::shared_ptr<Job> new_job(std::vector<std::byte> packet);

  EventLoop& loop_;
  std::vector<Lane> known_;                                          // by node
  std::vector<Lane> unknown_;                                        // by node
  std::unordered_map<std::uint64_t, std::weak_ptr<Job>> mergeable_;  // not begun, by packet
  std::unordered_map<std::uint64_t, std::uint32_t> of_address_;
  std::size_t clients_ = 0;
  Timer deadlines_;
};

}  // namespace pgsteer
