#include "proxy/session/client_tls.h"

#include "proxy/net/tls.h"
#include "proxy/session/deadline.h"
#include "proxy/session/handshake_turns.h"
#include "proxy/wire/client_hello.h"

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

// Before each step of the handshake, not once for all: a client that splits its messages, or has to
// send a second hello, could otherwise have all its work done at a moment of its choice.
Task<EndReason> await_turn(SessionContext& context) {
  HandshakeTurns::Turn turn(context.services.handshake_turns, context.waiter,
                            context.address.table_key());
  if (turn.granted()) co_return EndReason::kNone;
  context.place->is_served();
  while (!turn.granted() && !context.waiter.ending()) {
    context.services.loop.poller().want(context.client.watch, kReadable);  // it may leave
    co_await context.waiter.woken();
  }
  context.place->awaits_client();
  co_return context.waiter.ended();
}

}  // namespace

Task<EndReason> await_hello(SessionContext& context) {
  const auto wanted = [](std::span<const std::byte> bytes) -> std::size_t {
    const bool more = decode_client_hello(bytes).kind == ClientHelloKind::kNeedMore;
    return more ? bytes.size() + 1 : 0;
  };
  const std::span<std::byte> into(context.services.relay.buffer);
  co_return co_await peek_client(context, into.first(kMaxClientHello + 1), wanted);
}

Task<EndReason> terminate_tls(SessionContext& context, bool direct) {
  for (const auto wait : {&await_hello, &await_allowance}) {
    const EndReason waited = co_await wait(context);
    if (waited != EndReason::kNone) co_return waited;
  }
  context.place->awaits_client();
  Connection& client = context.client;
  client.tls = accept_on(context.tls_contexts->listeners[context.listener], client.fd());
  if (!client.tls) co_return EndReason::kNoResources;
  const EndReason e = co_await handshake(context, client, &await_turn);
  if (e != EndReason::kNone) co_return e;
  if (direct && !agreed_on_postgresql(client.tls.get())) {
    context.waiter.explain("direct TLS without ALPN \"postgresql\"");
    co_return EndReason::kTlsFailed;
  }
  context.tls = TlsUse::kTerminated;
  co_return EndReason::kNone;
}

}  // namespace pgsteer
