// The life of one client: one coroutine, read from top to bottom in run(), ending with exactly one
// End. Owned by its worker and used on the worker's thread alone.
//
//   greet   PROXY header, TLS, the first packet: who is it and what does it want   session_greet.cc
//   reach   choose a node or wait for one, connect, first answer; again if it fails
//   session_reach.cc relay   bytes both ways until someone is done relay.cc
//
// From outside there is one way to stop it: end(why). The first reason wins, the coroutine wakes
// where it stands and unwinds.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/topology.h"
#include "proxy/net/client_address.h"
#include "proxy/net/connection.h"
#include "proxy/net/task.h"
#include "proxy/routing/end_reason.h"
#include "proxy/session/outgoing_cancel.h"
#include "proxy/session/relay.h"
#include "proxy/session/session_view.h"
#include "proxy/wire/first_packet.h"

namespace pgsteer {

class Worker;

// A client as the door hands it over.
struct AcceptedClient {
  UniqueFd fd;
  ClientAddress peer;
  std::size_t listener = 0;
  EndReason refuse =
      EndReason::kNone;  // over a limit: to be told so, once it has said that it is no cancel
  bool counted = false;  // holds places at the door, to be given back
  bool behind_balancer = false;  // begins with a PROXY header that says who it is
};

class Session {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t { kGreeting, kHeld, kConnecting, kLogin, kRelay, kEnding };

  Session(Worker& worker, AcceptedClient arrival, std::uint64_t id);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() { life_.start(); }

  // Ends it from outside: at the next turn of the worker's loop the coroutine wakes and unwinds.
  void end(EndReason why, std::string detail = {});
  // Resumes the coroutine if it waits. For the worker's run queue.
  void wake();
  // The moment set with deadline() has come.
  void on_deadline();
  // The worker found a node for a waiting session and has bound it.
  void released() { wake(); }
  // The door's answer about a client that came behind a PROXY header.
  void admitted(EndReason refuse);
  // The workers' answer to a cancel's search: where the session with its key is, if any has it.
  void key_found(const std::optional<Address>& address) {
    if (address) found_key_ = std::make_unique<Address>(*address);
    wake();
  }

  std::uint64_t id() const { return id_; }
  std::size_t listener() const { return listener_; }
  Phase phase() const { return phase_; }
  EndReason ended() const { return end_; }
  bool bound() const { return bound_; }
  std::size_t node() const { return node_; }
  std::uint32_t timeline() const { return timeline_; }
  const ClientAddress& peer() const { return peer_; }
  bool counted() const { return counted_; }  // holds places at the door
  bool login_open() const { return login_open_; }
  std::uint64_t tried() const { return tried_; }
  Clock::time_point held_since() const { return held_since_; }
  // Nodes that failed it are tried again after a moment.
  bool may_retry(Clock::time_point now) const { return now >= retry_at_; }
  void forget_tried() { tried_ = 0; }
  // Waiting for a request, as far as one can see: it may be ended without a statement being lost.
  bool idle() const { return phase_ == Phase::kRelay && !login_open_ && relay_.idle(); }
  // The backend's key, if it was seen and is this one.
  bool has_key(std::uint32_t pid, std::span<const std::byte> key) const;
  std::optional<Address> server_address() const;
  SessionView view(Clock::time_point now) const;

  // Written by the worker: intrusive lists, binding.
  Session* next = nullptr;
  Session* previous = nullptr;
  bool queued = false;
  Clock::time_point deadline_at{};  // zero: none
  std::size_t deadline_slot = 0;    // in the worker's list; valid while deadline_at is set
  void bind(std::size_t node, std::uint32_t timeline);

 private:
  friend class Worker;

  // What the first packet was, as far as reaching a node is concerned.
  enum class Opening : std::uint8_t {
    kStartup,   // inbox_ holds the startup packet, in clear
    kPromised,  // the client was told S: the node must say S too; then everything is out of sight
    kHello,     // inbox_ begins a TLS handshake that the node answers
    kAsked,     // server_ is open and has said S or G to the client: out of sight
  };
  struct Identity {
    std::string user, database, application, server_name;
    Replication replication = Replication::kNone;
  };
  struct Key {
    std::uint32_t pid = 0;
    std::vector<std::byte> bytes;
  };

  // Suspends until `watch` is ready for `events`; with no watch until somebody wakes the session.
  // Gives false if the session has ended meanwhile.
  struct Awaiter {
    Session& session;
    Watch* watch;
    std::uint32_t events;
    bool await_ready() const { return session.end_ != EndReason::kNone; }
    void await_suspend(std::coroutine_handle<> waiting);
    bool await_resume();
  };
  Awaiter ready(Watch& watch, std::uint32_t events) { return {*this, &watch, events}; }
  Awaiter woken() { return {*this, nullptr, 0}; }

  Task<bool> live();
  Task<EndReason> run();
  Task<EndReason> greet();
  Task<EndReason> reach();
  Task<EndReason> relay();
  Task<bool> finish();

  // greet
  Task<EndReason> read_proxy_header();
  Task<FirstPacket> read_packet();
  Task<EndReason> answer_encryption(PacketKind kind);
  Task<EndReason> ask_node();
  Task<EndReason> terminate_tls(bool direct);
  Task<EndReason> pass_cancel(FirstPacket packet);
  EndReason take_startup(const FirstPacket& packet);
  bool terminates() const;
  std::optional<bool> nodes_take_tls() const;
  bool somewhere_to_go() const;

  // reach
  Task<EndReason> reach_node();
  Task<EndReason> choose();
  Task<EndReason> connect();
  Task<EndReason> open();
  Task<EndReason> node_tls();
  Task<EndReason> first_answer();
  void note_server_name();
  Task<EndReason> send_all(Connection& side, std::span<const std::byte> bytes);
  Task<EndReason> handshake(Connection& side);
  Task<EndReason> ask_for_tls(std::byte& answer);
  EndReason begin_connect(const Address& address);
  void give_up_node();
  bool another_node();
  void let_go();

  void on_ready(Watch& watch, std::uint32_t events);
  static void ready_callback(void* owner, Watch& watch, std::uint32_t events) {
    static_cast<Session*>(owner)->on_ready(watch, events);
  }
  void client_stirred(std::uint32_t events);
  void follow_login();
  void end_login_slot();
  void settle();
  void tell();
  bool left_by_server() const;
  void stop_statement();
  void deadline(Duration in, EndReason why);  // EndReason::kNone: wakes with timed_out_ instead
  void no_deadline();
  std::string why() const;
  void log_end() const;
  const ListenConfig& config() const;

  Worker& worker_;
  const std::uint64_t id_;
  ClientAddress peer_;
  Connection client_;
  Connection server_;
  Relay relay_;

  std::coroutine_handle<> waiting_ = nullptr;
  Watch* awaited_ = nullptr;
  std::uint32_t node_ = 0;
  std::uint32_t timeline_ = 0;
  std::uint16_t listener_;
  Phase phase_ = Phase::kGreeting;
  EndReason end_ = EndReason::kNone;
  EndReason deadline_end_ = EndReason::kNone;
  EndReason refuse_ = EndReason::kNone;
  Opening opening_ = Opening::kStartup;
  bool bound_ = false;
  bool login_open_ = false;  // holds one of the node's login slots
  bool can_speak_ = false;   // the client waits for a message that pgsteer may write
  bool counted_;
  bool behind_balancer_;
  bool timed_out_ = false;
  bool tls_done_ = false;  // terminated here
  bool passes_tls_ = false;
  bool passing_cancel_ = false;

  Clock::time_point began_;
  Clock::time_point held_since_{};
  Clock::time_point retry_at_{};
  Clock::time_point patience_{};  // until when it may wait for a node
  std::uint64_t tried_ = 0;       // nodes that failed it, a bit each
  std::vector<std::byte> inbox_;  // the first packet, until it is forwarded
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<std::string> detail_;
  std::unique_ptr<OutgoingCancel> cancel_;
  std::unique_ptr<Address> found_key_;  // a cancel's
  Key key_;
  Task<bool> life_;
};

}  // namespace pgsteer
