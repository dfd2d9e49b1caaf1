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
  using Clock = SessionContext::Clock;

  explicit NodeSearch(SessionContext& context);

  // A connected node. With a reason to end: as far as it got, for the log.
  Task<StageResult<NodeConnectionPtr>> next();

  // After `failed` with `node`, before anything of a server's has reached the client: gives the
  // node up, and tells whether next() may be asked for another. A node that lost its role is always
  // replaced; one that failed, while the client may wait or another node is there.
  bool try_again(EndReason failed, NodeConnectionPtr& node);

  // May the client still wait?
  bool time_left() const { return Clock::now() < until_; }
  // Nothing takes longer than this, whatever nodes are left to be tried.
  void bound(Clock::time_point limit) { limit_ = limit; }
  // How long one node may take to connect, or to answer the first byte.
  Clock::time_point attempt_until() const;

 private:
  bool another_node() const;
  void give_up(const NodeConnection& node);
  Task<EndReason> choose();
  void explain(EndReason refused);
  Task<EndReason> connect(NodeConnection& node);
  EndReason open_socket(NodeConnection& node, const Address& address);

  SessionContext& context_;
  SlotRequest request_;
  const Clock::time_point until_;
  Clock::time_point limit_ = Clock::time_point::max();
};

}  // namespace pgsteer
