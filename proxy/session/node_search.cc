#include "proxy/session/node_search.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/net/socket_options.h"
#include "proxy/session/deadline.h"

namespace pgsteer {

namespace {

// After a node has failed this client: how long until it is tried again, if nothing else changes.
constexpr std::chrono::milliseconds kRetryPause{100};

using Clock = SessionContext::Clock;

}  // namespace

NodeSearch::NodeSearch(SessionContext& context)
    : context_(context), until_(Clock::now() + context.listen().hold) {
  request_.user = &context.waiter;
  request_.listener = context.listener;
  request_.session = context.id;
  request_.client_hash = context.address.hash();
  request_.arrived = Clock::now();
  request_.client = context.address.table_key();
}

Task<StageResult<NodeConnectionPtr>> NodeSearch::next() {
  // From here on we wait for the server, but must still notice when the client hangs up.
  if (context_.client.ending()) co_return {EndReason::kClientLeft, nullptr};
  if (!context_.services.loop.poller().want(context_.client.watch, kReadable)) {
    co_return {EndReason::kNoResources, nullptr};
  }
  context_.waiter.may_search_again(true);
  for (;;) {
    const EndReason chosen = co_await choose();
    if (chosen != EndReason::kNone) {
      explain(chosen);
      co_return {chosen, nullptr};
    }
    context_.phase = SessionPhase::kConnecting;
    auto node = std::make_unique<NodeConnection>(context_, std::move(request_.granted));
    const EndReason connected = co_await connect(*node);
    if (connected == EndReason::kNone) co_return {EndReason::kNone, std::move(node)};
    if (connected != EndReason::kConnectFailed) co_return {connected, std::move(node)};
    if (!try_again(connected, node)) co_return {EndReason::kConnectFailed, nullptr};
  }
}

bool NodeSearch::try_again(EndReason failed, NodeConnectionPtr& node) {
  if (context_.waiter.take_back_role_lost()) {
    node.reset();
    return true;
  }
  if (failed != EndReason::kConnectFailed || !node || context_.waiter.ending()) return false;
  give_up(*node);
  node.reset();
  return Clock::now() < limit_ && (time_left() || another_node());
}

Clock::time_point NodeSearch::attempt_until() const {
  return std::min(limit_, Clock::now() + context_.listen().connect_timeout);
}

bool NodeSearch::another_node() const {
  return context_.services.slots.route_for(request_).outcome == RouteOutcome::kNode;
}

// There is a node, but no turn: "no node takes connections" would mislead.
void NodeSearch::explain(EndReason refused) {
  if (refused != EndReason::kNoNode && refused != EndReason::kHoldFull) return;
  if (!context_.services.slots.too_many_logins(request_)) return;
  context_.waiter.explain("pgsteer: too many logins in flight (logins_in_flight of \"" +
                          context_.listen().name + "\")");
}

// Others come first.
void NodeSearch::give_up(const NodeConnection& node) {
  request_.tried |= std::uint64_t{1} << node.slot.node();
  request_.retry_at = Clock::now() + kRetryPause;
}

// Takes a slot; waits for one in the listener's queue if need be.
Task<EndReason> NodeSearch::choose() {
  NodeSlots& slots = context_.services.slots;
  request_.granted = {};  // of a grant that was lost before it was used
  if (!slots.anyone_held(context_.listener)) {
    const RouteOutcome outcome = slots.take(request_);
    if (outcome == RouteOutcome::kNode) co_return EndReason::kNone;
    if (outcome == RouteOutcome::kFull) co_return EndReason::kNodeFull;
  }
  const bool& stopping = context_.services.stopping;
  if (stopping) co_return EndReason::kRefusedAtShutdown;
  const auto now = Clock::now();
  if (now >= until_) co_return EndReason::kNoNode;
  if (!slots.hold(request_, now)) co_return EndReason::kHoldFull;
  context_.phase = SessionPhase::kHeld;
  // It does not end the session: a client that waits for an answer to its SSLRequest is told more.
  Deadline hold(context_.services.loop, context_.waiter, EndReason::kNone);
  hold.set(until_);
  context_.services.loop.poller().want(context_.client.watch, kReadable);
  Waiter& waiter = context_.waiter;
  while (!waiter.ending() && !request_.granted && !hold.expired() && !stopping) {
    co_await waiter.woken();
  }
  // Granted and out of time in the same turn: the wakeup for the grant is still to come.
  if (request_.granted && waiter.wakeup_pending()) co_await waiter.woken();
  slots.unhold(request_, Clock::now(), request_.granted && !waiter.ending());
  if (waiter.ending()) co_return waiter.ended();
  if (request_.granted) co_return EndReason::kNone;
  co_return stopping ? EndReason::kRefusedAtShutdown : EndReason::kNoNode;
}

EndReason NodeSearch::open_socket(NodeConnection& node, const Address& address) {
  node.close();
  node.server.watch.fd.reset(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!node.server.watch.fd) return EndReason::kNoResources;
  set_no_delay(node.server.fd());
  return EndReason::kNone;
}

Task<EndReason> NodeSearch::connect(NodeConnection& node) {
  const auto begun = Clock::now();
  const std::size_t index = node.slot.node();
  const TopologyPtr topology =
      context_.services.slots.topology_for(context_.listener);  // keeps the addresses
  SuspicionKind problem = SuspicionKind::kConnectRefused;
  for (const Address& address : topology->nodes[index].addresses) {
    const EndReason opened = open_socket(node, address);
    if (opened != EndReason::kNone) co_return opened;
    const int fd = node.server.fd();
    int failed = ::connect(fd, address.raw(), address.size) == 0 ? 0 : errno;
    // On the loopback and in many a data centre the answer is there already.
    if (failed == EINPROGRESS) {
      failed = ::connect(fd, address.raw(), address.size) == 0 || errno == EISCONN ? 0 : errno;
    }
    if (failed == EALREADY || failed == EINPROGRESS) {
      Deadline connect_timeout(context_.services.loop, context_.waiter, EndReason::kNone);
      connect_timeout.set(attempt_until());
      const bool lives = co_await context_.waiter.ready(node.server.watch, EPOLLOUT);
      if (!lives) co_return context_.waiter.ended();
      socklen_t size = sizeof failed;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
      if (connect_timeout.expired()) failed = ETIMEDOUT;
    }
    if (failed == 0) {
      context_.counters().connect.record(
          std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun));
      co_return EndReason::kNone;
    }
    if (failed == ETIMEDOUT || failed == EHOSTUNREACH) problem = SuspicionKind::kConnectTimedOut;
  }
  context_.counters().by_node[index].connect_errors.fetch_add(1, std::memory_order_relaxed);
  context_.suspect(problem, index);
  co_return EndReason::kConnectFailed;
}

}  // namespace pgsteer
