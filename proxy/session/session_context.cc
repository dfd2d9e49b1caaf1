#include "proxy/session/session_context.h"

#include <utility>

namespace pgsteer {

NodeConnection::NodeConnection(SessionContext& of, NodeSlot taken)
    : context(of), slot(std::move(taken)) {
  context.waiter.receive(server.watch);
  context.node = this;
}

NodeConnection::~NodeConnection() {
  close();
  if (context.node == this) context.node = nullptr;
}

void NodeConnection::close() {
  server.end_tls();
  server.tls.reset();
  context.services.loop.poller().close(server.watch);
}

SessionContext::SessionContext(SessionServices& offered, AcceptedClient& accepted,
                               std::uint64_t number)
    : services(offered),
      id(number),
      began(Clock::now()),
      address(accepted.address),
      waiter(offered.loop),
      listener(static_cast<std::uint16_t>(accepted.listener)),
      counted(accepted.counted) {
  client.watch.fd = std::move(accepted.fd);
  place = std::make_unique<StartupList::Place>(offered.startups, waiter, address.table_key());
  waiter.receive(client.watch);
  waiter.notice_close_of(&client);
}

SessionContext::~SessionContext() { services.loop.poller().close(client.watch); }

Task<EndReason> send_all(SessionContext& context, Connection& to, std::span<const std::byte> bytes,
                         EndReason lost) {
  while (!bytes.empty()) {
    const IoResult put = to.write(bytes);
    if (put.io == Io::kSome) {
      bytes = bytes.subspan(put.size);
    } else if (put.io == Io::kAgain) {
      const bool lives = co_await context.waiter.ready(to.watch, EPOLLOUT);
      if (!lives) co_return context.waiter.ended();
    } else {
      co_return lost;
    }
  }
  co_return EndReason::kNone;
}

Task<EndReason> handshake(SessionContext& context, Connection& with) {
  for (;;) {
    const Handshake step = handshake_step(with.tls.get());
    if (step == Handshake::kDone) co_return EndReason::kNone;
    if (step == Handshake::kFailed) {
      context.waiter.explain(tls_failure(with.tls.get()));
      co_return EndReason::kTlsFailed;
    }
    const std::uint32_t events = step == Handshake::kWantRead ? kReadable : EPOLLOUT;
    const bool lives = co_await context.waiter.ready(with.watch, events);
    if (!lives) co_return context.waiter.ended();
  }
}

}  // namespace pgsteer
