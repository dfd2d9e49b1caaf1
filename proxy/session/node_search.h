// The way of one client to a node that takes its TCP connection: chooses one, waits for one in the
// listener's queue, connects, and goes on to the next if that fails. Bounded by the listener's
// `hold`, counted from the first search. Lives in the stage that searches.
#pragma once

#include <chrono>

#include "proxy/net/task.h"
#include "proxy/session/session_context.h"

namespace pgsteer {

class NodeSearch {
 public:
  explicit NodeSearch(SessionContext& context);

  // A connected node. With a reason to end: as far as it got, for the log.
  Task<StageResult<NodeConnectionPtr>> next();

  // The node has failed this client: others come first.
  void give_up(NodeConnectionPtr node);

  // May the client still wait?
  bool time_left() const { return SessionContext::Clock::now() < until_; }

 private:
  Task<EndReason> choose();
  Task<EndReason> connect(NodeConnection& node);
  EndReason open_socket(NodeConnection& node, const Address& address);

  SessionContext& context_;
  SlotRequest request_;
  const SessionContext::Clock::time_point until_;
};

}  // namespace pgsteer
