#include "proxy/session/encryption_stage.h"

#include <algorithm>
#include <memory>

#include "proxy/routing/route.h"
#include "proxy/session/node_question.h"

namespace pgsteer {

namespace {

// Every node that serves this listener takes TLS, as far as is known; while none does and one is
// waited for, every node.
bool may_promise_tls(const SessionContext& context) {
  const Topology* const topology = context.services.topology(context.listener);
  if (topology == nullptr) return false;
  const Pool* const pool = pool_of(*topology, context.listener);
  if (pool == nullptr) return false;
  const bool serving = admits_any(*pool);
  if (!serving && context.listen().hold.count() == 0) return false;
  bool known = false;
  for (std::size_t i = 0; i < topology->nodes.size(); ++i) {
    if (serving && pool->by_node[i].admission != Admission::kAdmit) continue;
    if (topology->nodes[i].tls == TlsAnswer::kNo) return false;
    known = known || topology->nodes[i].tls == TlsAnswer::kYes;
  }
  return known;
}

// A node and its answer. The node stays in `startup`.
Task<EndReason> find_answer(SessionContext& context, Startup& startup, PacketKind request,
                            std::byte& answer) {
  NodeSearch& search = *startup.search;
  for (;;) {
    EndReason e = EndReason::kNone;
    if (!startup.node) {
      StageResult<NodeConnectionPtr> found = co_await search.next();
      startup.node = std::move(found.value);
      e = found.end;
      if (e == EndReason::kNone) {
        context.phase = SessionPhase::kLogin;
        e = co_await confirm_declined(context, *startup.node, startup.declined,
                                      search.attempt_until());
      }
    }
    if (e == EndReason::kNone) {
      context.phase = SessionPhase::kLogin;
      e = co_await ask_node(context, *startup.node, request, search.attempt_until(), answer);
    }
    if (e == EndReason::kNone || !search.try_again(e, startup.node)) co_return e;
  }
}

}  // namespace

Task<StageResult<std::byte>> run_encryption_stage(SessionContext& context, Startup& startup,
                                                  PacketKind request) {
  // A node that is at hand already gives its answer itself.
  if (request == PacketKind::kSslRequest && !startup.node && may_promise_tls(context)) {
    startup.kind = Startup::Kind::kTlsAccepted;
    context.tls = TlsUse::kPassed;
    co_return {EndReason::kNone, kAccepted};
  }
  if (!startup.search) startup.search = std::make_unique<NodeSearch>(context);
  startup.search->bound(NodeSearch::Clock::now() + context.listen().hold +
                        context.listen().first_packet_timeout);
  std::byte answer{};
  const EndReason e = co_await find_answer(context, startup, request, answer);
  startup.search->bound(NodeSearch::Clock::time_point::max());
  if (e != EndReason::kNone) co_return {e, kDeclined};
  if (answer == kDeclined) {
    startup.declined.push_back(request);
  } else {
    startup.kind = Startup::Kind::kTlsRelayed;
    context.tls = TlsUse::kPassed;
    context.waiter.may_search_again(false);
  }
  co_return {EndReason::kNone, answer};
}

}  // namespace pgsteer
