// What the stages of a session share: what its worker offers to all of its sessions
// (SessionServices), and what one session is (SessionContext). Used on the worker's thread alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/topology.h"
#include "proxy/net/connection.h"
#include "proxy/net/event_loop.h"
#include "proxy/net/task.h"
#include "proxy/net/tls.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/node_slots.h"
#include "proxy/session/accepted_client.h"
#include "proxy/session/outgoing_cancel.h"
#include "proxy/session/relay.h"
#include "proxy/session/session_view.h"
#include "proxy/session/startup_list.h"
#include "proxy/session/waiter.h"

namespace pgsteer {

class Session;

// What sessions ask of others. All may be called on any worker's thread and return at once.
struct SessionLinks {
  std::function<void(const Suspicion&)> suspicion;
  // The client's socket is closed: what it counted towards is free again.
  std::function<void(std::size_t worker, std::size_t listener, const ClientAddress&, bool counted)>
      left;
  // May a client behind a PROXY header come in? Answered by Session::admitted().
  std::function<void(std::size_t worker, std::uint64_t session, std::size_t listener,
                     const ClientAddress&)>
      ask_admission;
  // Does another worker have the session with this key? Answered by Session::key_found().
  std::function<void(std::size_t worker, std::uint64_t session, std::uint32_t pid,
                     std::vector<std::byte> key)>
      ask_key;
};

// Owned by the worker; outlives its sessions.
struct SessionServices {
  const Config& config;
  EventLoop& loop;
  RelayResources& relay;
  NodeSlots& slots;
  Counters& counters;
  ByteCounters& bytes;
  StartupList& startups;
  StatementCancels& cancels;
  const SessionLinks& links;
  const TlsContextsPtr& tls;  // replaced when certificates are read again
  const bool& stopping;
  std::size_t worker = 0;                                // its index
  std::function<void(std::size_t listener)> node_spoke;  // a node has answered a login
  std::function<void()> told_role_lost;  // a client that was cut has been sent the reason
  std::function<std::optional<Address>(std::uint32_t pid, std::span<const std::byte> key)> find_key;
  std::function<void(Session&)> retired;  // ended; to be destroyed once it has returned

  const Topology* topology() const { return slots.topology().get(); }
};

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
  std::optional<Address> key_owner;
};

// What a stage gives to the next one. With a reason to end the value is set as far as it got.
template <class T>
struct StageResult {
  EndReason end = EndReason::kNone;
  T value{};
};

struct SessionContext {
  using Clock = std::chrono::steady_clock;

  // Takes the descriptor out of `accepted`.
  SessionContext(SessionServices& offered, AcceptedClient& accepted, std::uint64_t number);
  ~SessionContext();
  SessionContext(const SessionContext&) = delete;
  SessionContext& operator=(const SessionContext&) = delete;

  const ListenConfig& listen() const { return services.config.listen[listener]; }
  ListenerCounters& counters() const { return *services.counters.by_listener[listener]; }
  void suspect(SuspicionKind kind, std::size_t node_index) const {
    services.links.suspicion({node_index, kind});
  }

  SessionServices& services;
  const std::uint64_t id;
  const Clock::time_point began;
  ClientAddress address;
  Connection client;
  Waiter waiter;
  const NodeConnection* node = nullptr;  // the one in use, whoever owns it now
  Answers* answers = nullptr;            // of the stage that has asked
  const std::uint16_t listener;
  SessionPhase phase = SessionPhase::kStartup;
  TlsUse tls = TlsUse::kOff;
  bool counted;                // see AcceptedClient
  bool error_allowed = false;  // the client waits for a message that pgsteer may write
};

// Writes all of `bytes`; `lost` is the reason if the connection breaks.
Task<EndReason> send_all(SessionContext& context, Connection& to, std::span<const std::byte> bytes,
                         EndReason lost);
// TLS on `with.tls`, which has been set up, up to the end of its handshake.
Task<EndReason> handshake(SessionContext& context, Connection& with);

}  // namespace pgsteer
