#include "proxy/session/cancel_stage.h"

#include <optional>
#include <utility>

#include "proxy/session/deadline.h"

namespace pgsteer {

namespace {

// The node of the session with this key, on whichever worker; nothing if no session shows it.
Task<std::optional<KeyOwner>> find_key_owner(SessionContext& context, FirstPacket packet) {
  const SessionServices& services = context.services;
  const auto own = services.keys.find(packet.cancel_pid, packet.cancel_key);
  if (own) co_return own;
  Answers answers;
  context.answers = &answers;
  services.links.ask_key(services.worker, context.id, packet.cancel_pid,
                         {packet.cancel_key.begin(), packet.cancel_key.end()});
  co_await context.waiter.woken();
  context.answers = nullptr;
  co_return answers.key_owner;
}

// The node's addresses are tried in turn.
std::vector<std::vector<Address>> all_nodes(const Topology* topology) {
  std::vector<std::vector<Address>> to;
  if (topology == nullptr) return to;
  for (const NodeRoute& node : topology->nodes) to.push_back(node.addresses);
  return to;
}

// Until it is sent and answered. The ticket knows whether it was sent.
Task<EndReason> pass_on(SessionContext& context, FirstPacket packet, std::vector<std::byte> bytes,
                        OutgoingCancels::Ticket& ticket) {
  Waiter& waiter = context.waiter;
  OutgoingCancels& cancels = context.services.cancels;
  if (!cancels.admit(ticket, context.address.table_key())) co_return EndReason::kCancelDone;
  Deadline timeout(context.services.loop, waiter, EndReason::kCancelDone);
  timeout.set_after(OutgoingCancels::kTimeout);
  const std::optional<KeyOwner> owner = co_await find_key_owner(context, packet);
  if (waiter.ending()) co_return waiter.ended();
  bytes.resize(packet.size);
  if (owner) {
    cancels.send(ticket, *owner, std::move(bytes));
  } else {
    cancels.send_to_all(ticket, all_nodes(context.services.topology(context.listener)),
                        std::move(bytes));
  }
  while (!ticket.finished() && !waiter.ending()) co_await waiter.woken();
  co_return EndReason::kCancelDone;
}

}  // namespace

// To the node whose session has the key; where no session shows it (TLS passed through, or another
// pgsteer's session) to every node of the cluster, since PostgreSQL ignores a wrong key. The
// client's connection is closed only after the server's, so that the cancel cannot hit the client's
// next statement.
Task<EndReason> run_cancel_stage(SessionContext& context, FirstPacket packet,
                                 std::vector<std::byte> bytes) {
  context.phase = SessionPhase::kConnecting;
  context.place->is_served();
  context.waiter.notice_close_of(nullptr);  // PostgreSQL obeys a cancel whose sender has left, too
  if (std::exchange(context.counted, false)) {
    context.services.links.give_back(context.listener, context.address);
  }
  Waiter& waiter = context.waiter;
  OutgoingCancels::Ticket ticket([&waiter] { waiter.resume_soon(); });
  const EndReason e = co_await pass_on(context, packet, std::move(bytes), ticket);
  ListenerCounters& counters = context.counters();
  auto& counter = ticket.sent() ? counters.cancels : counters.cancels_dropped;
  counter.fetch_add(1, std::memory_order_relaxed);
  co_return e;
}

}  // namespace pgsteer
