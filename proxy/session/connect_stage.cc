#include "proxy/session/connect_stage.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "proxy/session/deadline.h"
#include "proxy/session/node_question.h"
#include "proxy/wire/bytes.h"
#include "proxy/wire/client_hello.h"
#include "proxy/wire/error_response.h"
#include "proxy/wire/message_cursor.h"
#include "proxy/wire/sasl_offer.h"

namespace pgsteer {

namespace {

// PostgreSQL takes no logins at the moment: it is starting, stopping, recovering, or gone.
bool worth_waiting(std::string_view sqlstate) {
  return sqlstate == "57P03" || sqlstate == "57P01" || sqlstate == "57P02";
}

class ConnectStage {
 public:
  ConnectStage(SessionContext& context, Startup& startup)
      : context_(context),
        startup_(startup),
        search_(startup.search ? *startup.search : own_search_.emplace(context)),
        login_timeout_(context.services.loop, context.waiter, EndReason::kLoginTimeout) {}

  Task<EndReason> run();
  ConnectedNode take() { return std::move(connected_); }

 private:
  Task<EndReason> find_node();
  Task<EndReason> open();
  Task<EndReason> node_tls();
  Task<EndReason> first_answer();
  Task<IoResult> read_server(std::span<std::byte> into);
  Task<EndReason> take_channel_binding_out();
  void note_server_name();

  Connection& server() { return connected_.node->server; }

  SessionContext& context_;
  Startup& startup_;
  std::optional<NodeSearch> own_search_;
  NodeSearch& search_;
  ConnectedNode connected_;
  Deadline login_timeout_;
};

Task<EndReason> ConnectStage::run() {
  context_.place->is_served();
  connected_.node = std::move(startup_.node);
  if (connected_.node) connected_.node->slot.login_goes_on();
  for (;;) {
    EndReason e = EndReason::kNone;
    if (!connected_.node) e = co_await find_node();
    if (e == EndReason::kNone) e = co_await open();
    if (e == EndReason::kNone) break;
    // With kTlsRelayed the client has a node's own answer, and no other node can go on from there.
    const bool untouched = startup_.kind != Startup::Kind::kTlsRelayed;
    if (!untouched || !search_.try_again(e, connected_.node)) co_return e;
    login_timeout_.cancel();
  }
  context_.waiter.may_search_again(false);
  co_return EndReason::kNone;
}

// Connected, and with the same answer to what the client has asked already.
Task<EndReason> ConnectStage::find_node() {
  StageResult<NodeConnectionPtr> found = co_await search_.next();
  connected_.node = std::move(found.value);
  if (found.end != EndReason::kNone) co_return found.end;
  context_.phase = SessionPhase::kLogin;
  co_return co_await confirm_declined(context_, *connected_.node, startup_.declined,
                                      search_.attempt_until());
}

// The connection stands: TLS if it was promised or configured, the first bytes, the first answer.
Task<EndReason> ConnectStage::open() {
  context_.phase = SessionPhase::kLogin;
  connected_.login_until = SessionContext::Clock::now() + context_.listen().login_timeout;
  login_timeout_.set(connected_.login_until);
  if (startup_.kind == Startup::Kind::kTlsAccepted) {
    std::byte answer{};
    const EndReason e = co_await ask_node(context_, *connected_.node, PacketKind::kSslRequest,
                                          connected_.login_until, answer);
    if (e != EndReason::kNone) co_return e;
    if (answer != kAccepted) co_return EndReason::kTlsFailed;
    note_server_name();
  } else if (context_.tls_contexts->node && startup_.kind == Startup::Kind::kClear) {
    const EndReason e = co_await node_tls();
    if (e != EndReason::kNone) co_return e;
  }
  connected_.visible = startup_.kind == Startup::Kind::kClear;
  if (!startup_.bytes.empty()) {
    const EndReason e =
        co_await send_all(context_, server(), startup_.bytes, EndReason::kConnectFailed);
    if (e != EndReason::kNone) co_return e;
  }
  connected_.server_has_hello = startup_.kind == Startup::Kind::kTlsDirect;
  if (!connected_.visible) co_return EndReason::kNone;
  // The startup packet says how long it is. A client that does not wait has sent more behind it.
  const std::size_t packet = load_u32(startup_.bytes.data());
  if (startup_.bytes.size() > packet) {
    connected_.sent_ahead.assign(startup_.bytes.begin() + static_cast<std::ptrdiff_t>(packet),
                                 startup_.bytes.end());
  }
  const EndReason e = co_await first_answer();
  co_return e;
}

// pgsteer's own TLS towards the node.
Task<EndReason> ConnectStage::node_tls() {
  std::byte answer{};
  // What it has answered the client holds for pgsteer, too, and may be asked only once.
  const auto& declined = startup_.declined;
  if (std::ranges::find(declined, PacketKind::kSslRequest) == declined.end()) {
    const EndReason asked = co_await ask_node(context_, *connected_.node, PacketKind::kSslRequest,
                                              connected_.login_until, answer);
    if (asked != EndReason::kNone) co_return asked;
  }
  if (answer != kAccepted) {
    context_.waiter.explain("the node does not take TLS");
    co_return EndReason::kTlsFailed;
  }
  server().tls = connect_on(context_.tls_contexts->node, server().fd(),
                            context_.services.running->node(connected_.node->slot.node())->host,
                            context_.accepted_under->config.node_tls.mode);
  if (!server().tls) co_return EndReason::kNoResources;
  const EndReason e = co_await handshake(context_, server());
  co_return e;
}

// In a connection whose TLS is passed through, the ClientHello is the last thing that can be read.
// Mostly it has arrived by now; it is looked at and left where it is.
void ConnectStage::note_server_name() {
  const std::span<std::byte> into = context_.services.relay.buffer;
  const ssize_t n =
      ::recv(context_.client.fd(), into.data(), kMaxClientHello, MSG_PEEK | MSG_DONTWAIT);
  if (n <= 0) return;
  const ClientHello hello = decode_client_hello(into.first(static_cast<std::size_t>(n)));
  if (hello.server_name.empty()) return;
  startup_.identity = std::make_unique<ClientIdentity>();
  startup_.identity->server_name = hello.server_name;
}

// Reads what the server says first. A refusal that will pass is kept from the client, who waits.
Task<EndReason> ConnectStage::first_answer() {
  const std::span<std::byte> into = context_.services.relay.buffer;
  const IoResult got = co_await read_server(into);
  if (context_.waiter.ending()) co_return context_.waiter.ended();
  const std::size_t node = connected_.node->slot.node();
  if (got.io != Io::kSome) {
    context_.suspect(SuspicionKind::kServerEnded, node);
    co_return EndReason::kConnectFailed;
  }
  if (!server().tls && got.size < into.size()) server().drained();
  const std::span<const std::byte> answer = into.first(got.size);
  if (answer.size() > kMessageHead && answer[0] == std::byte{'E'}) {
    const auto fields = decode_error_fields(answer.subspan(kMessageHead));
    if (fields && worth_waiting(fields->sqlstate)) {
      context_.suspect(SuspicionKind::kShuttingDown, node);
      if (search_.time_left()) co_return EndReason::kConnectFailed;
    }
  }
  connected_.first_answer.assign(answer.begin(), answer.end());
  if (server().tls && !context_.client.tls) co_return co_await take_channel_binding_out();
  co_return EndReason::kNone;
}

// kAgain: the session is ending.
Task<IoResult> ConnectStage::read_server(std::span<std::byte> into) {
  IoResult got = server().read(into);
  while (got.io == Io::kAgain) {
    const bool lives = co_await context_.waiter.ready(server().watch, kReadable);
    if (!lives) break;
    got = server().read(into);
  }
  co_return got;
}

// pgsteer has TLS with the node, its client has none. libpq ends a login in which
// SCRAM-SHA-256-PLUS is offered on a connection without TLS, and could not bind to a certificate
// that it has not seen.
Task<EndReason> ConnectStage::take_channel_binding_out() {
  std::vector<std::byte>& answer = connected_.first_answer;
  while (remove_channel_binding(answer) == SaslOffer::kNeedMore) {
    const std::span<std::byte> into = context_.services.relay.buffer;
    const IoResult got = co_await read_server(into);
    if (context_.waiter.ending()) co_return context_.waiter.ended();
    if (got.io != Io::kSome) co_return EndReason::kConnectFailed;
    answer.insert(answer.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(got.size));
  }
  co_return EndReason::kNone;
}

}  // namespace

Task<StageResult<ConnectedNode>> run_connect_stage(SessionContext& context, Startup& startup) {
  ConnectStage stage(context, startup);
  const EndReason end = co_await stage.run();
  co_return {end, stage.take()};
}

}  // namespace pgsteer
