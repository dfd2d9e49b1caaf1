// What the stages of one session share: its client, its waiter, and what its worker offers. Owned
// by the session, used on its worker's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "config/config.h"
#include "proxy/net/client_address.h"
#include "proxy/net/connection.h"
#include "proxy/net/task.h"
#include "proxy/routing/node_slots.h"
#include "proxy/session/accepted_client.h"
#include "proxy/session/session_services.h"
#include "proxy/session/session_view.h"
#include "proxy/session/waiter.h"

namespace pgsteer {

struct SessionContext;

// A connection to a node and the session's slot there. At a fixed address: the poller refers to it.
struct NodeConnection {
  NodeConnection(SessionContext& of, NodeSlot taken);
  NodeConnection(const NodeConnection&) = delete;
  NodeConnection& operator=(const NodeConnection&) = delete;
  ~NodeConnection();

  void close();

  SessionContext& context;
  Connection server;
  NodeSlot slot;
};
using NodeConnectionPtr = std::unique_ptr<NodeConnection>;

// What others answer to a stage that has asked. Lives in the stage.
struct Answers {
  std::optional<EndReason> admission;
  std::optional<KeyOwner> key_owner;
};

// What a stage gives to the next one. With a reason to end the value is set as far as it got.
template <class T>
struct StageResult {
  EndReason end = EndReason::kNone;
  T value{};
};

// A stage whose client can be told that it will be refused once it has said what it wants.
class RefusalLater {
 public:
  virtual void refuse(EndReason why) = 0;

 protected:
  ~RefusalLater() = default;
};

struct SessionContext {
  using Clock = std::chrono::steady_clock;

  // Takes the descriptor out of `accepted`.
  SessionContext(SessionServices& offered, AcceptedClient& accepted, std::uint64_t number);
  ~SessionContext();
  SessionContext(const SessionContext&) = delete;
  SessionContext& operator=(const SessionContext&) = delete;

  const ListenConfig& listen() const { return *accepted_under->listener(listener); }
  ListenerCounters& counters() const { return *services.counters.by_listener[listener]; }
  void suspect(SuspicionKind kind, std::size_t node_index) const {
    services.links.suspicion({node_index, kind});
  }

  SessionServices& services;
  // The configuration and the certificates of the moment at which the client came.
  const RunningPtr accepted_under;
  const TlsContextsPtr tls_contexts;
  const std::uint64_t id;
  const Clock::time_point began;
  ClientAddress address;
  Connection client;
  Waiter waiter;
  const NodeConnection* node = nullptr;  // the one in use, whoever owns it now
  Answers* answers = nullptr;            // of the stage that has asked
  RefusalLater* refusal = nullptr;       // of the startup stage, while it runs
  // Among those that have not logged in; null once it has.
  std::unique_ptr<StartupList::Place> place;
  const std::uint16_t listener;
  SessionPhase phase = SessionPhase::kStartup;
  TlsUse tls = TlsUse::kOff;
  bool counted;                // see AcceptedClient
  bool error_allowed = false;  // the client waits for a message that pgsteer may write
};

// Writes all of `bytes`; `lost` is the reason if the connection breaks.
Task<EndReason> send_all(SessionContext& context, Connection& to, std::span<const std::byte> bytes,
                         EndReason lost);
// TLS on `with.tls`, which has been set up, up to the end of its handshake. `before_step`, if any,
// is awaited before each of its steps; a reason to end from there is the result.
Task<EndReason> handshake(SessionContext& context, Connection& with,
                          Task<EndReason> (*before_step)(SessionContext&) = nullptr);
// Looks at the client's bytes and leaves them there, since what follows them is somebody else's.
// `wanted` is asked about all that have come, at first none, and gives 0 once they are enough, else
// how many there have to be. `into` bounds both, and may be shared: what it holds is gone with the
// next wait.
Task<EndReason> peek_client(SessionContext& context, std::span<std::byte> into,
                            const std::function<std::size_t(std::span<const std::byte>)>& wanted);

}  // namespace pgsteer
