// From a client that has said what it wants to a server that answers it.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "proxy/net/socket_options.h"
#include "proxy/session/session.h"
#include "proxy/wire/client_hello.h"
#include "proxy/wire/error_response.h"
#include "proxy/wire/message_cursor.h"
#include "proxy/worker.h"

namespace pgsteer {

namespace {

// After a node has failed this client: how long until it is asked again, if nothing else changes.
constexpr Duration kRetryPause{100};
// A login that passes out of sight is taken to be over after this long.
constexpr Duration kUnseenLogin{250};
// Many sessions ask one thing and leave.
constexpr Duration kSettled{1'000};

// PostgreSQL is not taking logins at the moment: starting, stopping, recovering, or gone.
bool worth_waiting(std::string_view sqlstate) {
  return sqlstate == "57P03" || sqlstate == "57P01" || sqlstate == "57P02";
}

}  // namespace

Task<EndReason> Session::reach() {
  if (opening_ != Opening::kAsked) {
    if (EndReason e = co_await reach_node(); e != EndReason::kNone) co_return e;
  }
  for (;;) {
    const EndReason e = co_await open();
    if (e == EndReason::kNone) co_return EndReason::kNone;
    // Nothing has reached the client yet, so another node, or the same one later, may serve it.
    const bool untouched = !inbox_.empty() || opening_ == Opening::kPromised;
    const bool again = e == EndReason::kConnectFailed && Clock::now() < patience_ && untouched;
    if (!again || end_ != EndReason::kNone) co_return e;
    give_up_node();
    if (EndReason r = co_await reach_node(); r != EndReason::kNone) co_return r;
  }
}

// Chooses and connects until a node has taken the connection.
Task<EndReason> Session::reach_node() {
  if (patience_ == Clock::time_point{}) patience_ = Clock::now() + config().hold;
  // Who has left, or leaves from here on, is to be noticed, though it is the server that is waited
  // for.
  if (client_.ending()) co_return EndReason::kClientLeft;
  if (!worker_.context().poller.want(client_.watch, kReadable)) co_return EndReason::kNoResources;
  for (;;) {
    if (EndReason e = co_await choose(); e != EndReason::kNone) co_return e;
    phase_ = Phase::kConnecting;
    const EndReason e = co_await connect();
    if (e != EndReason::kConnectFailed) co_return e;
    give_up_node();
    if (Clock::now() >= patience_ && !another_node()) co_return EndReason::kConnectFailed;
  }
}

void Session::give_up_node() {
  server_.tls.reset();
  worker_.context().poller.close(server_.watch);
  tried_ |= std::uint64_t{1} << node_;
  retry_at_ = Clock::now() + kRetryPause;
  let_go();
}

bool Session::another_node() { return worker_.route_for(*this).outcome == RouteOutcome::kNode; }

// Binds the session to a node; waits for one in the listener's queue if need be.
Task<EndReason> Session::choose() {
  if (!worker_.anyone_held(listener_)) {
    const Route route = worker_.route_for(*this);
    if (route.outcome == RouteOutcome::kNode) {
      worker_.bind(*this, route.node);
      co_return EndReason::kNone;
    }
    if (route.outcome == RouteOutcome::kFull) co_return EndReason::kNodeFull;
  }
  if (worker_.stopping()) co_return EndReason::kShutdown;
  const auto now = Clock::now();
  if (now >= patience_) co_return EndReason::kNoNode;
  if (!worker_.hold(*this)) co_return EndReason::kHoldFull;
  phase_ = Phase::kHeld;
  deadline(std::chrono::duration_cast<Duration>(patience_ - now), EndReason::kNoNode);
  worker_.context().poller.want(client_.watch, kReadable);
  co_await woken();
  worker_.unhold(*this);
  no_deadline();
  if (end_ == EndReason::kNone) phase_ = Phase::kConnecting;
  co_return end_;
}

EndReason Session::begin_connect(const Address& address) {
  Poller& poller = worker_.context().poller;
  poller.close(server_.watch);
  server_.watch.fd.reset(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!server_.watch.fd) return EndReason::kNoResources;
  set_no_delay(server_.fd());
  return EndReason::kNone;
}

Task<EndReason> Session::connect() {
  const auto begun = Clock::now();
  const TopologyPtr topology = worker_.topology();  // keeps the addresses while we wait
  Suspicion doubt{node_, SuspicionKind::kConnectRefused};
  for (const Address& address : topology->nodes[node_].addresses) {
    if (EndReason e = begin_connect(address); e != EndReason::kNone) co_return e;
    const auto* raw = reinterpret_cast<const sockaddr*>(&address.storage);
    int failed = ::connect(server_.fd(), raw, address.size) == 0 ? 0 : errno;
    // On the loopback and in many a data centre the answer is there already.
    if (failed == EINPROGRESS) {
      failed = ::connect(server_.fd(), raw, address.size) == 0 || errno == EISCONN ? 0 : errno;
    }
    if (failed == EALREADY || failed == EINPROGRESS) {
      deadline(config().connect_timeout, EndReason::kNone);
      const bool lives = co_await ready(server_.watch, EPOLLOUT);
      const bool late = timed_out_;
      no_deadline();
      if (!lives) co_return end_;
      socklen_t size = sizeof failed;
      ::getsockopt(server_.fd(), SOL_SOCKET, SO_ERROR, &failed, &size);
      if (late) failed = ETIMEDOUT;
    }
    if (failed == 0) {
      worker_.counters(listener_).connect.record(
          std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun));
      co_return EndReason::kNone;
    }
    if (failed == ETIMEDOUT || failed == EHOSTUNREACH) doubt.kind = SuspicionKind::kConnectTimedOut;
  }
  worker_.counters(listener_).by_node[node_].connect_errors.fetch_add(1, std::memory_order_relaxed);
  worker_.links().suspicion(doubt);
  co_return EndReason::kConnectFailed;
}

// The connection stands: TLS if it was promised or configured, the first packet, the first answer.
Task<EndReason> Session::open() {
  phase_ = Phase::kLogin;
  deadline(config().login_timeout, EndReason::kLoginTimeout);
  if (opening_ == Opening::kPromised) {
    std::byte answer{};
    if (EndReason e = co_await ask_for_tls(answer); e != EndReason::kNone) co_return e;
    if (answer != std::byte{'S'}) co_return EndReason::kTlsFailed;
    note_server_name();
  } else if (worker_.tls().node && opening_ == Opening::kStartup) {
    if (EndReason e = co_await node_tls(); e != EndReason::kNone) co_return e;
  }
  const bool visible = opening_ == Opening::kStartup;
  if (!inbox_.empty()) {
    const EndReason e = co_await send_all(server_, inbox_);
    if (e != EndReason::kNone)
      co_return end_ != EndReason::kNone ? end_ : EndReason::kConnectFailed;
  }
  if (visible) co_return co_await first_answer();
  if (!relay_.begin(false, &worker_.bytes(listener_, node_))) co_return EndReason::kNoResources;
  std::vector<std::byte>().swap(inbox_);
  deadline(kUnseenLogin, EndReason::kNone);
  worker_.node_answered(*this);
  co_return EndReason::kNone;
}

// In a connection that passes out of sight the ClientHello is the last thing to be read. It mostly
// has arrived by now; it is looked at and left where it is.
void Session::note_server_name() {
  const std::span<std::byte> into = worker_.context().buffer;
  const ssize_t n = ::recv(client_.fd(), into.data(), kMaxClientHello, MSG_PEEK | MSG_DONTWAIT);
  if (n <= 0) return;
  const ClientHello hello = decode_client_hello(into.first(static_cast<std::size_t>(n)));
  if (hello.server_name.empty()) return;
  identity_ = std::make_unique<Identity>();
  identity_->server_name = hello.server_name;
}

// Reads what the server says first. A refusal that will pass is kept from the client, who waits.
Task<EndReason> Session::first_answer() {
  std::span<std::byte> into = worker_.context().buffer;
  IoResult got = server_.read(into);
  while (got.io == Io::kAgain) {
    if (!co_await ready(server_.watch, kReadable)) co_return end_;
    got = server_.read(into);
  }
  if (got.io != Io::kSome) {
    worker_.links().suspicion({node_, SuspicionKind::kServerEnded});
    co_return EndReason::kConnectFailed;
  }
  if (!server_.tls && got.size < into.size()) server_.drained();
  const std::span<const std::byte> answer = into.first(got.size);
  if (answer.size() > kMessageHead && answer[0] == std::byte{'E'}) {
    const auto fields = decode_error_fields(answer.subspan(kMessageHead));
    if (fields && worth_waiting(fields->sqlstate)) {
      worker_.links().suspicion({node_, SuspicionKind::kShuttingDown});
      if (Clock::now() < patience_) co_return EndReason::kConnectFailed;
    }
  }
  if (!relay_.begin(true, &worker_.bytes(listener_, node_))) co_return EndReason::kNoResources;
  std::vector<std::byte>().swap(inbox_);
  worker_.node_answered(*this);
  const EndReason e = relay_.feed_from_server(answer);
  follow_login();
  co_return e;
}

// Until the first ReadyForQuery: what the login shows, then its slot is free for the next.
void Session::follow_login() {
  if (!relay_.visible()) return;
  ServerStream& server = relay_.server_stream();
  if (!server.login_done() && !server.opaque()) return;
  if (const LoginFacts* facts = server.login()) {
    if (facts->has_key) {
      key_.pid = facts->pid;
      key_.bytes.assign(facts->key().begin(), facts->key().end());
    }
    if (facts->in_hot_standby.value_or(false) && config().to == Target::kPrimary) {
      worker_.links().suspicion({node_, SuspicionKind::kInHotStandby});
    }
  }
  server.release_login();
  end_login_slot();
  deadline(kSettled, EndReason::kNone);
}

// The login is over, seen or not, and a session that is still there is there to stay: what the
// kernel should do about a silent server is worth its system calls now.
void Session::settle() {
  end_login_slot();
  set_keepalive(server_.fd(), worker_.config().server);
}

void Session::end_login_slot() {
  if (!login_open_) return;
  login_open_ = false;
  worker_.login_over(*this);
}

Task<EndReason> Session::ask_for_tls(std::byte& answer) {
  if (EndReason e = co_await send_all(server_, kSslRequestPacket); e != EndReason::kNone) co_return e;
  for (;;) {
    // One byte and no more: what follows it must come encrypted (CVE-2021-23222).
    const IoResult got = server_.read(std::span(&answer, 1));
    if (got.io == Io::kSome) co_return EndReason::kNone;
    if (got.io != Io::kAgain) co_return EndReason::kConnectFailed;
    if (!co_await ready(server_.watch, kReadable)) co_return end_;
  }
}

// pgsteer's own TLS towards the node.
Task<EndReason> Session::node_tls() {
  std::byte answer{};
  if (EndReason e = co_await ask_for_tls(answer); e != EndReason::kNone) co_return e;
  if (answer != std::byte{'S'}) {
    detail_ = std::make_unique<std::string>("the node does not take TLS");
    co_return EndReason::kTlsFailed;
  }
  const Config& all = worker_.config();
  server_.tls =
      connect_on(worker_.tls().node, server_.fd(), all.nodes[node_].host, all.node_tls.mode);
  if (!server_.tls) co_return EndReason::kNoResources;
  co_return co_await handshake(server_);
}

Task<EndReason> Session::handshake(Connection& side) {
  for (;;) {
    const Handshake step = handshake_step(side.tls.get());
    if (step == Handshake::kDone) co_return EndReason::kNone;
    if (step == Handshake::kFailed) {
      detail_ = std::make_unique<std::string>(tls_failure(side.tls.get()));
      co_return EndReason::kTlsFailed;
    }
    const std::uint32_t events = step == Handshake::kWantRead ? kReadable : EPOLLOUT;
    if (!co_await ready(side.watch, events)) co_return end_;
  }
}

Task<EndReason> Session::send_all(Connection& side, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const IoResult put = side.write(bytes);
    if (put.io == Io::kSome) {
      bytes = bytes.subspan(put.size);
    } else if (put.io == Io::kAgain) {
      if (!co_await ready(side.watch, EPOLLOUT)) co_return end_;
    } else {
      co_return &side == &client_ ? EndReason::kClientAborted : EndReason::kConnectFailed;
    }
  }
  co_return EndReason::kNone;
}

}  // namespace pgsteer
