#include "proxy/session/session_context.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
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
      accepted_under(offered.running),
      tls_contexts(offered.tls),
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

Task<EndReason> handshake(SessionContext& context, Connection& with,
                          Task<EndReason> (*before_step)(SessionContext&)) {
  for (;;) {
    if (before_step != nullptr) {
      const EndReason e = co_await before_step(context);
      if (e != EndReason::kNone) co_return e;
    }
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

Task<EndReason> peek_client(SessionContext& context, std::span<std::byte> into,
                            const std::function<std::size_t(std::span<const std::byte>)>& wanted) {
  Connection& client = context.client;
  const auto readable_with = [&client](std::size_t bytes) {
    const int least = static_cast<int>(bytes);
    ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
  };
  for (;;) {
    const bool all_there = client.ending();
    const ssize_t n = ::recv(client.fd(), into.data(), into.size(), MSG_PEEK | MSG_DONTWAIT);
    if (n == 0) co_return EndReason::kClientClosed;
    if (n < 0 && errno != EAGAIN) co_return EndReason::kClientAborted;
    const std::size_t have = n > 0 ? static_cast<std::size_t>(n) : 0;
    const std::size_t least = wanted(into.first(have));
    if (least == 0) break;
    if (all_there) co_return EndReason::kClientClosed;
    readable_with(std::max(least, have + 1));
    const bool lives = co_await context.waiter.ready(client.watch, kReadable);
    if (!lives) co_return context.waiter.ended();
  }
  readable_with(1);
  co_return EndReason::kNone;
}

}  // namespace pgsteer
