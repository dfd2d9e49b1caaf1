// The life of one client: one coroutine, read from top to bottom in live(), ending with exactly one
// EndReason.
//
//   startup stage    client -> Startup          PROXY header, TLS, first packet
//   connect stage    Startup -> ConnectedNode   choose or wait, connect, TLS, first answer
//   relay stage      bytes both ways -> EndReason
//
// From outside there is one way to stop it: end(why). Owned by its worker, used on the worker's
// thread alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "proxy/net/task.h"
#include "proxy/session/relay_stage.h"
#include "proxy/session/session_context.h"
#include "proxy/session/session_view.h"
#include "proxy/session/startup_stage.h"

namespace pgsteer {

class Session {
 public:
  using Clock = SessionContext::Clock;

  // `services` outlives the session.
  Session(SessionServices& services, AcceptedClient accepted, std::uint64_t id);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() { life_.start(); }
  // The first reason wins.
  void end(EndReason why) { context_.waiter.end(why); }
  // pgsteer stops, and the session is idle(): ends it, or lets its client say first what it wants,
  // so that it can be told. May be called again and again.
  void stop();
  // Ends it because pgsteer stops, whatever it does.
  void stop_now() { end(relay_ ? EndReason::kShutdown : EndReason::kRefusedAtShutdown); }

  // Answers to SessionLinks::ask_admission and ask_key.
  void admitted(EndReason refuse);
  void key_found(const std::optional<KeyOwner>& owner);

  std::uint64_t id() const { return context_.id; }
  std::size_t listener() const { return context_.listener; }
  const ClientAddress& client_address() const { return context_.address; }
  bool counted() const { return context_.counted; }
  // Has no statement that could be lost: it waits for a request or for a node's first answer, or
  // has not begun. A cancel request is not idle.
  bool idle() const;
  // What a session that pgsteer cannot read shows of being idle: Relay::silent_since_answer().
  bool silent(Clock::time_point now, Clock::duration silence);
  // Its messages can be read, or it has not got that far.
  bool readable() const { return !relay_ || relay_->relay().visible(); }
  // Ends it if a peer is gone: Relay::look_at_peers(). False: there was no need to look.
  bool look_at_peers(Clock::time_point now, Clock::time_point counts_from, Clock::duration limit);
  SessionView view(Clock::time_point now) const;

  // The worker's list of sessions.
  Session* next = nullptr;
  Session* previous = nullptr;

 private:
  Task<bool> live(EndReason refuse, bool behind_balancer);
  Task<EndReason> open(EndReason refuse, bool behind_balancer);
  Task<bool> finish();
  Task<bool> linger();

  void send_error();
  std::string error_detail() const;
  bool ended_by_server() const;
  void log_end() const;
  std::string node_name() const;

  SessionContext context_;
  ClientIdentityPtr identity_;
  NodeConnectionPtr node_;  // until the relay stage owns it
  std::optional<RelayStage> relay_;
  Task<bool> life_;
};

}  // namespace pgsteer
