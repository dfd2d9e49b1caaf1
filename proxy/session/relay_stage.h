// The third stage of a session: bytes both ways until someone is done. The bytes are the Relay's
// business; this follows the login on the way, keeps the backend's key, and frees the login slot
// while the server waits for the client and when the login is over.
// Owned by the session, used on its worker's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "proxy/session/connect_stage.h"
#include "proxy/session/deadline.h"
#include "proxy/session/relay.h"
#include "proxy/session/session_context.h"

namespace pgsteer {

class RelayStage final : public KeyHolder {
 public:
  RelayStage(SessionContext& context, NodeConnectionPtr node);
  RelayStage(const RelayStage&) = delete;
  RelayStage& operator=(const RelayStage&) = delete;
  ~RelayStage() override { forget_key(); }

  // Begins. From then on the poller drives it: it ends the session by its context's waiter.
  // kNone: goes on.
  EndReason begin(const ConnectedNode& connected);

  Relay& relay() { return relay_; }
  const Relay& relay() const { return relay_; }
  NodeConnection& node() { return *node_; }
  // Waits for a request, as far as can be seen: it may be ended without losing a statement.
  bool idle() const { return !node_->slot.login_open() && relay_.idle(); }
  // Closes the connection to the node and gives the slot back.
  void release_node();

  // The backend's key was seen and is this one.
  bool has_key(std::uint32_t pid, std::span<const std::byte> key) const override;
  std::optional<KeyOwner> key_owner() const override;
  // Cancels the statement that is still running, if the key is known.
  void stop_statement();

 private:
  struct Key {
    std::uint32_t pid = 0;
    std::vector<std::byte> bytes;
    std::uint64_t hash = 0;
  };
  // What bounds the session at the moment: first its login, then, once, how soon it is settled.
  using LoginTimeout = Deadline;
  using SettleTimer = Timer;

  static void on_ready(void* stage, Watch& watch, std::uint32_t events);
  static void on_settled(void* stage);
  void follow_turns(bool client_side);
  void server_waits();
  void server_works();
  void follow_login();
  void note_hot_standby(bool on) const;
  void note_key(const LoginFacts& facts);
  void forget_key();
  void settle_after(Timer::Clock::duration in);

  SessionContext& context_;
  NodeConnectionPtr node_;
  Relay relay_;
  std::variant<std::monostate, LoginTimeout, SettleTimer> timer_;
  Key key_;
  bool client_spoke_ = false;  // not visible: it has sent something since the relay began
};

}  // namespace pgsteer
