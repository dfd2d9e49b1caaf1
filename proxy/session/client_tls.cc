#include "proxy/session/client_tls.h"

#include <sys/socket.h>

#include <cerrno>

#include "proxy/net/tls.h"
#include "proxy/session/deadline.h"
#include "proxy/session/handshake_turns.h"

namespace pgsteer {

namespace {

// Until a client with too many TLS handshakes asks for its turn again.
constexpr Duration kHandshakePause{100};

// A client address that has begun too many handshakes in this second waits for a later one, within
// the time for its first packet.
Task<EndReason> await_allowance(SessionContext& context) {
  const ClientAddress& address = context.address;
  HandshakeRate& rate = context.services.counters.handshakes;
  const std::uint32_t limit = context.listen().tls_handshakes_per_client;
  const std::uint64_t key = address.table_key() ^ (context.listener * 0x9e3779b97f4a7c15U);
  Deadline pause(context.services.loop, context.waiter, EndReason::kNone);
  while (!address.unix_socket && !rate.begin(key, limit, SessionContext::Clock::now())) {
    context.services.loop.poller().want(context.client.watch, kReadable);  // it may leave
    pause.set_after(kHandshakePause);
    while (!pause.expired() && !context.waiter.ending()) co_await context.waiter.woken();
    if (context.waiter.ending()) co_return context.waiter.ended();
  }
  co_return EndReason::kNone;
}

Task<EndReason> await_turn(SessionContext& context) {
  context.place->is_served();
  HandshakeTurns::Turn turn(context.services.handshake_turns, context.waiter,
                            context.address.table_key());
  while (!turn.granted() && !context.waiter.ending()) {
    context.services.loop.poller().want(context.client.watch, kReadable);  // it may leave
    co_await context.waiter.woken();
  }
  context.place->awaits_client();
  co_return context.waiter.ended();
}

}  // namespace

Task<EndReason> await_hello(SessionContext& context) {
  for (;;) {
    std::byte first{};
    const ssize_t n = ::recv(context.client.fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) co_return EndReason::kNone;
    if (n == 0) co_return EndReason::kClientClosed;
    if (errno != EAGAIN) co_return EndReason::kClientAborted;
    const bool lives = co_await context.waiter.ready(context.client.watch, kReadable);
    if (!lives) co_return context.waiter.ended();
  }
}

Task<EndReason> terminate_tls(SessionContext& context, bool direct) {
  for (const auto wait : {&await_hello, &await_allowance, &await_turn}) {
    const EndReason waited = co_await wait(context);
    if (waited != EndReason::kNone) co_return waited;
  }
  Connection& client = context.client;
  client.tls = accept_on(context.services.tls->listeners[context.listener], client.fd());
  if (!client.tls) co_return EndReason::kNoResources;
  const EndReason e = co_await handshake(context, client);
  if (e != EndReason::kNone) co_return e;
  if (direct && !agreed_on_postgresql(client.tls.get())) {
    context.waiter.explain("direct TLS without ALPN \"postgresql\"");
    co_return EndReason::kTlsFailed;
  }
  context.tls = TlsUse::kTerminated;
  co_return EndReason::kNone;
}

}  // namespace pgsteer
