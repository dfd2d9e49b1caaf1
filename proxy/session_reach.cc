// From a client that has said what it wants to a server that answers it.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "proxy/client_hello.h"
#include "proxy/error_response.h"
#include "proxy/message_cursor.h"
#include "proxy/session.h"
#include "proxy/socket_options.h"
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

Task<End> Session::reach() {
  if (opening_ != Opening::kAsked) {
    if (End e = co_await reach_node(); e != End::kNone) co_return e;
  }
  for (;;) {
    const End e = co_await open();
    if (e == End::kNone) co_return End::kNone;
    // Nothing has reached the client yet, so another node, or the same one later, may serve it.
    const bool untouched = !inbox_.empty() || opening_ == Opening::kPromised;
    const bool again = e == End::kConnectFailed && Clock::now() < patience_ && untouched;
    if (!again || end_ != End::kNone) co_return e;
    give_up_node();
    if (End r = co_await reach_node(); r != End::kNone) co_return r;
  }
}

// Chooses and connects until a node has taken the connection.
Task<End> Session::reach_node() {
  if (patience_ == Clock::time_point{}) patience_ = Clock::now() + config().hold;
  // Who has left, or leaves from here on, is to be noticed, though it is the server that is waited
  // for.
  if (client_.ending()) co_return End::kClientLeft;
  if (!worker_.context().poller.want(client_.watch, kReadable)) co_return End::kNoResources;
  for (;;) {
    if (End e = co_await choose(); e != End::kNone) co_return e;
    phase_ = Phase::kConnecting;
    const End e = co_await connect();
    if (e != End::kConnectFailed) co_return e;
    give_up_node();
    if (Clock::now() >= patience_ && !another_node()) co_return End::kConnectFailed;
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
Task<End> Session::choose() {
  if (!worker_.anyone_held(listener_)) {
    const Route route = worker_.route_for(*this);
    if (route.outcome == RouteOutcome::kNode) {
      worker_.bind(*this, route.node);
      co_return End::kNone;
    }
    if (route.outcome == RouteOutcome::kFull) co_return End::kNodeFull;
  }
  if (worker_.stopping()) co_return End::kShutdown;
  const auto now = Clock::now();
  if (now >= patience_) co_return End::kNoNode;
  if (!worker_.hold(*this)) co_return End::kHoldFull;
  phase_ = Phase::kHeld;
  deadline(std::chrono::duration_cast<Duration>(patience_ - now), End::kNoNode);
  worker_.context().poller.want(client_.watch, kReadable);
  co_await woken();
  worker_.unhold(*this);
  no_deadline();
  if (end_ == End::kNone) phase_ = Phase::kConnecting;
  co_return end_;
}

End Session::begin_connect(const Address& address) {
  Poller& poller = worker_.context().poller;
  poller.close(server_.watch);
  server_.watch.fd.reset(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!server_.watch.fd) return End::kNoResources;
  set_no_delay(server_.fd());
  return End::kNone;
}

Task<End> Session::connect() {
  const auto begun = Clock::now();
  const TopologyPtr topology = worker_.topology();  // keeps the addresses while we wait
  Doubt doubt{node_, DoubtKind::kConnectRefused};
  for (const Address& address : topology->nodes[node_].addresses) {
    if (End e = begin_connect(address); e != End::kNone) co_return e;
    const auto* raw = reinterpret_cast<const sockaddr*>(&address.storage);
    int failed = ::connect(server_.fd(), raw, address.size) == 0 ? 0 : errno;
    // On the loopback and in many a data centre the answer is there already.
    if (failed == EINPROGRESS) {
      failed = ::connect(server_.fd(), raw, address.size) == 0 || errno == EISCONN ? 0 : errno;
    }
    if (failed == EALREADY || failed == EINPROGRESS) {
      deadline(config().connect_timeout, End::kNone);
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
      co_return End::kNone;
    }
    if (failed == ETIMEDOUT || failed == EHOSTUNREACH) doubt.kind = DoubtKind::kConnectTimedOut;
  }
  worker_.counters(listener_).by_node[node_].connect_errors.fetch_add(1, std::memory_order_relaxed);
  worker_.links().doubt(doubt);
  co_return End::kConnectFailed;
}

// The connection stands: TLS if it was promised or configured, the first packet, the first answer.
Task<End> Session::open() {
  phase_ = Phase::kLogin;
  deadline(config().login_timeout, End::kLoginTimeout);
  if (opening_ == Opening::kPromised) {
    std::byte answer{};
    if (End e = co_await ask_for_tls(answer); e != End::kNone) co_return e;
    if (answer != std::byte{'S'}) co_return End::kTlsFailed;
    note_server_name();
  } else if (worker_.tls().node && opening_ == Opening::kStartup) {
    if (End e = co_await node_tls(); e != End::kNone) co_return e;
  }
  const bool visible = opening_ == Opening::kStartup;
  if (!inbox_.empty()) {
    const End e = co_await send_all(server_, inbox_);
    if (e != End::kNone) co_return end_ != End::kNone ? end_ : End::kConnectFailed;
  }
  if (visible) co_return co_await first_answer();
  if (!relay_.begin(false, &worker_.bytes(listener_, node_))) co_return End::kNoResources;
  std::vector<std::byte>().swap(inbox_);
  deadline(kUnseenLogin, End::kNone);
  worker_.node_answered(*this);
  co_return End::kNone;
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
Task<End> Session::first_answer() {
  std::span<std::byte> into = worker_.context().buffer;
  IoResult got = server_.read(into);
  while (got.io == Io::kAgain) {
    if (!co_await ready(server_.watch, kReadable)) co_return end_;
    got = server_.read(into);
  }
  if (got.io != Io::kSome) {
    worker_.links().doubt({node_, DoubtKind::kServerEnded});
    co_return End::kConnectFailed;
  }
  if (!server_.tls && got.size < into.size()) server_.drained();
  const std::span<const std::byte> answer = into.first(got.size);
  if (answer.size() > kMessageHead && answer[0] == std::byte{'E'}) {
    const auto fields = decode_error_fields(answer.subspan(kMessageHead));
    if (fields && worth_waiting(fields->sqlstate)) {
      worker_.links().doubt({node_, DoubtKind::kShuttingDown});
      if (Clock::now() < patience_) co_return End::kConnectFailed;
    }
  }
  if (!relay_.begin(true, &worker_.bytes(listener_, node_))) co_return End::kNoResources;
  std::vector<std::byte>().swap(inbox_);
  worker_.node_answered(*this);
  const End e = relay_.feed_from_server(answer);
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
      worker_.links().doubt({node_, DoubtKind::kInHotStandby});
    }
  }
  server.release_login();
  end_login_slot();
  deadline(kSettled, End::kNone);
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

Task<End> Session::ask_for_tls(std::byte& answer) {
  static constexpr std::array<std::byte, 8> kSslRequest{
      std::byte{0},    std::byte{0},    std::byte{0},    std::byte{8},
      std::byte{0x04}, std::byte{0xd2}, std::byte{0x16}, std::byte{0x2f}};
  if (End e = co_await send_all(server_, kSslRequest); e != End::kNone) co_return e;
  for (;;) {
    // One byte and no more: what follows it must come encrypted (CVE-2021-23222).
    const IoResult got = server_.read(std::span(&answer, 1));
    if (got.io == Io::kSome) co_return End::kNone;
    if (got.io != Io::kAgain) co_return End::kConnectFailed;
    if (!co_await ready(server_.watch, kReadable)) co_return end_;
  }
}

// pgsteer's own TLS towards the node.
Task<End> Session::node_tls() {
  std::byte answer{};
  if (End e = co_await ask_for_tls(answer); e != End::kNone) co_return e;
  if (answer != std::byte{'S'}) {
    detail_ = std::make_unique<std::string>("the node does not take TLS");
    co_return End::kTlsFailed;
  }
  const Config& all = worker_.config();
  server_.tls =
      connect_on(worker_.tls().node, server_.fd(), all.nodes[node_].host, all.node_tls.mode);
  if (!server_.tls) co_return End::kNoResources;
  co_return co_await handshake(server_);
}

Task<End> Session::handshake(Side& side) {
  for (;;) {
    const Handshake step = handshake_step(side.tls.get());
    if (step == Handshake::kDone) co_return End::kNone;
    if (step == Handshake::kFailed) {
      detail_ = std::make_unique<std::string>(tls_failure(side.tls.get()));
      co_return End::kTlsFailed;
    }
    const std::uint32_t events = step == Handshake::kWantRead ? kReadable : EPOLLOUT;
    if (!co_await ready(side.watch, events)) co_return end_;
  }
}

Task<End> Session::send_all(Side& side, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const IoResult put = side.write(bytes);
    if (put.io == Io::kSome) {
      bytes = bytes.subspan(put.size);
    } else if (put.io == Io::kAgain) {
      if (!co_await ready(side.watch, EPOLLOUT)) co_return end_;
    } else {
      co_return &side == &client_ ? End::kClientAborted : End::kConnectFailed;
    }
  }
  co_return End::kNone;
}

}  // namespace pgsteer
