#include "proxy/session/node_question.h"

#include <array>

#include "proxy/session/deadline.h"

namespace pgsteer {

namespace {

// The complete GSSENCRequest: length and code.
constexpr std::array<std::byte, 8> kGssRequestPacket{
    std::byte{0},    std::byte{0},    std::byte{0},    std::byte{8},
    std::byte{0x04}, std::byte{0xd2}, std::byte{0x16}, std::byte{0x30}};

bool in_order(PacketKind request, std::byte answer) {
  const char yes = request == PacketKind::kSslRequest ? 'S' : 'G';
  return answer == kDeclined || answer == std::byte(yes);
}

}  // namespace

Task<EndReason> ask_node(SessionContext& context, NodeConnection& node, PacketKind request,
                         SessionContext::Clock::time_point until, std::byte& answer) {
  Deadline limit(context.services.loop, context.waiter, EndReason::kNone);
  limit.set(until);
  Connection& server = node.server;
  const auto& packet = request == PacketKind::kSslRequest ? kSslRequestPacket : kGssRequestPacket;
  EndReason failed = co_await send_all(context, server, packet, EndReason::kConnectFailed);
  SuspicionKind problem = SuspicionKind::kServerEnded;
  while (failed == EndReason::kNone) {
    // One byte and no more: what follows it must come encrypted (CVE-2021-23222).
    const IoResult got = server.read(std::span(&answer, 1));
    if (got.io == Io::kSome && in_order(request, answer)) co_return EndReason::kNone;
    if (got.io != Io::kAgain) {
      failed = EndReason::kConnectFailed;
    } else if (limit.expired()) {
      problem = SuspicionKind::kConnectTimedOut;
      failed = EndReason::kConnectFailed;
    } else {
      const bool lives = co_await context.waiter.ready(server.watch, kReadable);
      if (!lives) co_return context.waiter.ended();
    }
  }
  if (failed == EndReason::kConnectFailed) context.suspect(problem, node.slot.node());
  co_return failed;
}

Task<EndReason> confirm_declined(SessionContext& context, NodeConnection& node,
                                 std::span<const PacketKind> declined,
                                 SessionContext::Clock::time_point until) {
  for (const PacketKind request : declined) {
    std::byte answer{};
    const EndReason e = co_await ask_node(context, node, request, until, answer);
    if (e != EndReason::kNone) co_return e;
    if (answer == kDeclined) continue;
    context.waiter.explain("pgsteer: " + context.services.running->node(node.slot.node())->name +
                           " takes encryption, which another node has just declined");
    co_return EndReason::kNoNode;
  }
  co_return EndReason::kNone;
}

}  // namespace pgsteer
