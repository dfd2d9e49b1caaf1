// What a worker offers to its sessions, and what they ask of others through it. Nothing here knows
// more of the worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "config/running.h"
#include "health/topology.h"
#include "proxy/net/address.h"
#include "proxy/net/client_address.h"
#include "proxy/net/event_loop.h"
#include "proxy/net/tls.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/node_slots.h"
#include "proxy/routing/startup_list.h"
#include "proxy/session/handshake_turns.h"
#include "proxy/session/key_index.h"
#include "proxy/session/outgoing_cancel.h"
#include "proxy/session/relay.h"

namespace pgsteer {

class Session;

// What sessions ask of others. All may be called on any worker's thread and return at once.
struct SessionLinks {
  std::function<void(const Suspicion&)> suspicion;
  // A login on a listener for the primary found in_hot_standby = off, where the checker lacks
  // proof.
  std::function<void(std::size_t node)> found_writable;
  // The client's socket is closed: what it counted towards is free again.
  std::function<void(std::size_t worker, std::size_t listener, const ClientAddress&, bool counted)>
      left;
  // May a client behind a PROXY header come in? Answered by Session::admitted().
  std::function<void(std::size_t worker, std::uint64_t session, std::size_t listener,
                     const ClientAddress&)>
      ask_admission;
  // The client only brings a cancel: it takes no session's place.
  std::function<void(std::size_t listener, const ClientAddress&)> give_back;
  // Does another worker have the session with this key? Answered by Session::key_found().
  std::function<void(std::size_t worker, std::uint64_t session, std::uint32_t pid,
                     std::vector<std::byte> key)>
      ask_key;
};

// Owned by the worker; outlives its sessions.
struct SessionServices {
  const RunningPtr& running;  // replaced by a reload
  EventLoop& loop;
  RelayResources& relay;
  NodeSlots& slots;
  Counters& counters;
  ByteCounters& bytes;
  StartupList& startups;
  HandshakeTurns& handshake_turns;
  OutgoingCancels& cancels;
  KeyIndex& keys;
  const SessionLinks& links;
  const TlsContextsPtr& tls;  // replaced when certificates are read again
  const bool& stopping;
  std::size_t worker = 0;                                // its index
  std::function<void(std::size_t listener)> node_spoke;  // a node has answered a login
  // A client that was cut has been sent the reason.
  std::function<void(std::size_t listener)> told_role_lost;
  std::function<void(std::size_t listener)> server_ended;  // a session, and nobody had asked it to
  std::function<void(Session&)> retired;  // ended; to be destroyed once it has returned

  // Of the listener's cluster; null: none yet.
  const Topology* topology(std::size_t listener) const {
    return slots.topology_for(listener).get();
  }
};

}  // namespace pgsteer
