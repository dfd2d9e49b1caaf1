#include "proxy/session/relay_stage.h"

#include <algorithm>
#include <utility>

#include "proxy/net/socket_options.h"
#include "proxy/wire/cancel_request.h"

namespace pgsteer {

namespace {

// A login that cannot be read is taken to be over this long after the client's first bytes.
constexpr std::chrono::milliseconds kUnseenLogin{250};
// Authentication requests (protocol.sgml 55.7) to which the server wants no answer.
constexpr std::uint32_t kAuthenticationOk = 0;
constexpr std::uint32_t kAuthenticationSaslFinal = 12;

// The server has asked for a password or the like, and waits.
bool awaits_answer(const ServerStream& server) {
  const LoginFacts* const facts = server.login();
  return facts != nullptr && server.at_boundary() && !facts->authenticated &&
         facts->authentication != kAuthenticationOk &&
         facts->authentication != kAuthenticationSaslFinal;
}

// Many sessions ask one thing and leave. Only those that last are worth further system calls.
constexpr std::chrono::seconds kSettled{1};

}  // namespace

RelayStage::RelayStage(SessionContext& context, NodeConnectionPtr node)
    : context_(context),
      node_(std::move(node)),
      relay_(context.services.relay, context.client, node_->server) {}

EndReason RelayStage::begin(const ConnectedNode& connected) {
  SessionServices& services = context_.services;
  context_.phase = SessionPhase::kRelay;
  for (Watch* const watch : {&context_.client.watch, &node_->server.watch}) {
    watch->owner = this;
    watch->ready = &on_ready;
  }
  auto& bytes = services.bytes.at(context_.listener, node_->slot.node());
  if (!relay_.begin(connected.visible, &bytes)) return EndReason::kNoResources;
  services.node_spoke(context_.listener);
  if (!connected.visible) {
    if (!connected.server_has_hello) server_waits();
    settle_after(kUnseenLogin);
    return EndReason::kNone;
  }
  timer_.emplace<LoginTimeout>(services.loop, context_.waiter, EndReason::kLoginTimeout)
      .set(connected.login_until);
  relay_.note_sent(connected.sent_ahead);
  const EndReason e = relay_.feed_from_server(connected.first_answer);
  follow_turns(false);
  return e;
}

void RelayStage::on_ready(void* stage, Watch& watch, std::uint32_t events) {
  auto& self = *static_cast<RelayStage*>(stage);
  Waiter& waiter = self.context_.waiter;
  if (waiter.ending()) return;  // told to end: not another byte
  const bool client_side = &watch == &self.context_.client.watch;
  const EndReason e = self.relay_.on_ready(client_side, events);
  if (self.node_->slot.login_open()) self.follow_turns(client_side);
  if (e == EndReason::kNone) return;
  waiter.conclude(e);
  waiter.resume();
}

// A login is in flight while the server works on it: from a whole message of the client's to the
// next question. Of TLS that is passed through only the turns can be seen. After an SSLRequest the
// server waits for the ClientHello; who never sends one holds no login.
void RelayStage::follow_turns(bool client_side) {
  if (relay_.visible()) {
    if (client_side && relay_.client_stream().at_boundary()) server_works();
    if (!client_side && awaits_answer(relay_.server_stream())) server_waits();
    return follow_login();
  }
  if (!client_side) return server_waits();
  server_works();
  if (!std::exchange(client_spoke_, true)) settle_after(kUnseenLogin);
}

void RelayStage::server_waits() {
  node_->slot.login_awaits_client();
  if (context_.place) context_.place->awaits_client_in_login();
}

void RelayStage::server_works() {
  node_->slot.login_goes_on();
  if (context_.place) context_.place->is_served();
}

// Until the first ReadyForQuery: what the login shows; then its slot is free for the next.
void RelayStage::follow_login() {
  ServerStream& server = relay_.server_stream();
  if (!server.login_done() && !server.opaque()) return;
  if (const LoginFacts* const facts = server.login()) {
    if (facts->has_key) note_key(*facts);
    if (facts->in_hot_standby && context_.listen().to == Target::kPrimary) {
      note_hot_standby(*facts->in_hot_standby);
    }
  }
  server.release_login();
  context_.place.reset();
  node_->slot.login_over();
  settle_after(kSettled);
}

// What Patroni says is not in doubt while it proves the primary: then a writable one is no news.
void RelayStage::note_hot_standby(bool on) const {
  const std::size_t node = node_->slot.node();
  if (on) return context_.suspect(SuspicionKind::kInHotStandby, node);
  const Topology& topology = *context_.services.topology(context_.listener);
  const Verdict& verdict = topology.pools[context_.listener].by_node[node];
  if (verdict.reason != Reason::kPrimary) context_.services.links.found_writable(node);
}

void RelayStage::settle_after(Timer::Clock::duration in) {
  timer_.emplace<SettleTimer>(context_.services.loop, this, &on_settled).set_after(in);
}

// The login is over, seen or not, and the session is there to stay: what the kernel should do about
// a silent server is worth its system calls now.
void RelayStage::on_settled(void* stage) {
  auto& self = *static_cast<RelayStage*>(stage);
  NodeSlot& slot = self.node_->slot;
  // A client that has not begun its TLS yet is not in flight: its login is still to come.
  const bool to_come = !self.relay_.visible() && !self.client_spoke_ && !slot.login_in_flight();
  if (!to_come) {
    self.context_.place.reset();
    slot.login_over();
  }
  set_keepalive(self.node_->server.fd(), self.context_.services.running->config.server);
  self.timer_.emplace<std::monostate>();
}

void RelayStage::release_node() {
  timer_.emplace<std::monostate>();
  node_->close();
  node_->slot = {};
}

void RelayStage::note_key(const LoginFacts& facts) {
  forget_key();
  key_.pid = facts.pid;
  key_.bytes.assign(facts.key().begin(), facts.key().end());
  key_.hash = KeyIndex::hash(key_.pid, key_.bytes);
  context_.services.keys.add(key_.hash, *this);
}

void RelayStage::forget_key() {
  if (!key_.bytes.empty()) context_.services.keys.remove(key_.hash, *this);
  key_ = {};
}

std::optional<KeyOwner> RelayStage::key_owner() const {
  const auto address = peer_address(node_->server.fd());
  if (!address) return std::nullopt;
  return KeyOwner{node_->slot.node(), *address};
}

bool RelayStage::has_key(std::uint32_t pid, std::span<const std::byte> key) const {
  return key_.pid == pid && !key_.bytes.empty() && std::ranges::equal(key, key_.bytes);
}

// Closing a connection does not stop its statement, and a write on a node that lost its role could
// still be committed there.
void RelayStage::stop_statement() {
  if (key_.bytes.empty() || relay_.idle()) return;
  if (const auto owner = key_owner()) {
    context_.services.cancels.send(*owner, encode_cancel_request(key_.pid, key_.bytes));
  }
}

}  // namespace pgsteer
