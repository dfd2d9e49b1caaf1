#include "proxy/session/cancel_stage.h"

#include <optional>
#include <utility>

#include "proxy/session/deadline.h"

namespace pgsteer {

namespace {

// The node of the session with this key, on whichever worker; nothing if no session shows it.
Task<std::optional<Address>> find_key_owner(SessionContext& context, FirstPacket packet) {
  const SessionServices& services = context.services;
  const auto own = services.find_key(packet.cancel_pid, packet.cancel_key);
  if (own) co_return own;
  Answers answers;
  context.answers = &answers;
  services.links.ask_key(services.worker, context.id, packet.cancel_pid,
                         {packet.cancel_key.begin(), packet.cancel_key.end()});
  co_await context.waiter.woken();
  context.answers = nullptr;
  co_return answers.key_owner;
}

}  // namespace

// To the node whose session has the key; where no session shows it (TLS passed through, or another
// pgsteer's session) to every node of the cluster, since PostgreSQL ignores a wrong key. The
// client's connection is closed only after the server's, so that the cancel cannot hit the client's
// next statement.
Task<EndReason> run_cancel_stage(SessionContext& context, FirstPacket packet,
                                 std::vector<std::byte> bytes) {
  context.phase = SessionPhase::kConnecting;
  context.waiter.notice_close_of(nullptr);  // PostgreSQL obeys a cancel whose sender has left, too
  Deadline cancel_timeout(context.services.loop, context.waiter, EndReason::kCancelDone);
  cancel_timeout.set_after(kCancelTimeout);
  std::vector<Address> to;
  const std::optional<Address> owner = co_await find_key_owner(context, packet);
  if (context.waiter.ending()) co_return context.waiter.ended();
  if (owner) {
    to.push_back(*owner);
  } else if (const Topology* const topology = context.services.topology()) {
    for (const NodeRoute& node : topology->nodes) {
      if (!node.addresses.empty()) to.push_back(node.addresses.front());
    }
  }
  context.counters().cancels.fetch_add(1, std::memory_order_relaxed);
  bytes.resize(packet.size);
  Waiter& waiter = context.waiter;
  OutgoingCancel cancel(context.services.loop.poller(), to, std::move(bytes),
                        [&waiter] { waiter.resume_soon(); });
  if (!cancel.finished()) co_await waiter.woken();
  co_return EndReason::kCancelDone;
}

}  // namespace pgsteer
