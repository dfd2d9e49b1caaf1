#include "proxy/session/session.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "proxy/session/connect_stage.h"
#include "proxy/session/deadline.h"
#include "proxy/wire/error_response.h"

namespace pgsteer {

namespace {

// How long a client may take to read its last bytes before the socket is closed under it.
constexpr std::chrono::seconds kLinger{1};
// A cancel request takes three round trips inside TLS that is passed through. Sessions that a
// server ends because it goes down have mostly lasted longer than this.
constexpr std::chrono::seconds kQuickEnd{2};

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

Session::Session(SessionServices& services, AcceptedClient accepted, std::uint64_t id)
    : context_(services, accepted, id), life_(live(accepted.refuse, accepted.behind_balancer)) {}

Task<bool> Session::live(EndReason refuse, bool behind_balancer) {
  const EndReason opened = co_await open(refuse, behind_balancer);
  context_.waiter.conclude(opened);
  co_await context_.waiter.woken();  // the poller drives the relay until the session ends
  co_await finish();
  context_.services.retired(*this);
  co_return true;
}

// Up to a relay that runs. The values that the stages hand on are freed with this frame: a session
// that relays holds no more than it needs.
Task<EndReason> Session::open(EndReason refuse, bool behind_balancer) {
  StageResult<Startup> startup = co_await run_startup_stage(context_, refuse, behind_balancer);
  identity_ = std::move(startup.value.identity);
  if (startup.end != EndReason::kNone) {
    node_ = std::move(startup.value.node);
    co_return startup.end;
  }
  StageResult<ConnectedNode> connected = co_await run_connect_stage(context_, startup.value);
  if (startup.value.identity) identity_ = std::move(startup.value.identity);
  if (connected.end != EndReason::kNone) {
    node_ = std::move(connected.value.node);
    co_return connected.end;
  }
  relay_.emplace(context_, std::move(connected.value.node));
  co_return relay_->begin(connected.value);
}

// The counters, the last words, and a moment for the client to read what it was sent.
Task<bool> Session::finish() {
  const EndReason why = context_.waiter.ended();
  const SessionPhase from = std::exchange(context_.phase, SessionPhase::kEnding);
  const bool client_gone = why == EndReason::kClientClosed || why == EndReason::kClientAborted ||
                           why == EndReason::kClientLeft || why == EndReason::kCancelDone;
  context_.waiter.begin_ending();
  context_.place.reset();
  context_.waiter.receive(context_.client.watch);
  if (relay_ && ended_by_server()) {
    context_.suspect(SuspicionKind::kServerEnded, relay_->node().slot.node());
    context_.services.server_ended(context_.listener);
  }
  context_.counters().ends[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  // Closing a socket with unread bytes in it resets the connection, and the reset overtakes what
  // was sent last. So: say that nothing follows, then read until the client has seen it.
  const bool lingers =
      !client_gone && from != SessionPhase::kStartup && why != EndReason::kCrowdedOut;
  if (!client_gone) send_error();
  if (lingers) {
    context_.client.finish_writing();
  } else if (why != EndReason::kClientAborted) {
    context_.client.end_tls();  // a cancel's sender, too, reads until it is told that this is all
  }
  if (why == EndReason::kRoleLost) {
    // When thousands are cut together, everyone is told before the first of them is tidied up.
    context_.waiter.resume_soon();
    co_await context_.waiter.woken();
    if (relay_) relay_->stop_statement();
  }
  log_end();
  if (relay_) relay_->release_node();
  node_.reset();
  context_.counters().sessions.leave();
  if (lingers) co_await linger();
  context_.services.loop.poller().close(context_.client.watch);
  co_return true;
}

Task<bool> Session::linger() {
  Deadline limit(context_.services.loop, context_.waiter, EndReason::kNone);
  limit.set_after(kLinger);
  auto& buffer = context_.services.relay.buffer;
  for (;;) {
    const ssize_t n = ::recv(context_.client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    // A client that goes on sending is read once a turn, like everybody.
    const std::uint32_t events = n > 0 ? static_cast<std::uint32_t>(EPOLLIN) : kReadable;
    if (!context_.services.loop.poller().want(context_.client.watch, events)) break;
    co_await context_.waiter.woken();
    if (limit.expired()) break;
  }
  co_return true;
}

// The server ended it and nobody had asked it to: it may be going down. Where messages cannot be
// read, any end that the client did not begin, except a quick one: a server closes at once after a
// cancel request, and after a login that it refuses.
bool Session::ended_by_server() const {
  const EndReason why = context_.waiter.ended();
  const bool closed = why == EndReason::kServerClosed;
  if (!relay_->relay().visible()) {
    const bool quick = Clock::now() - context_.began < kQuickEnd;
    return (closed && !quick) || why == EndReason::kServerAborted;
  }
  const std::string_view sqlstate = relay_->relay().server_stream().sqlstate();
  return why == EndReason::kServerAborted ||
         (closed && (sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03"));
}

// Says why to a client that waits for a message, if the end has words for it.
void Session::send_error() {
  const EndReason why = context_.waiter.ended();
  const EndReasonRow& text = row(why);
  if (text.sqlstate.empty()) return;
  const bool relaying = relay_ && relay_->relay().visible();
  if (relaying ? !relay_->relay().can_send_error() : !context_.error_allowed) return;
  const std::string detail = error_detail();
  const std::vector<std::byte> packet =
      encode_error_response({"FATAL", text.sqlstate, text.message, detail, {}});
  const bool told = context_.client.write_last(packet).size == packet.size();
  if (told && why == EndReason::kRoleLost) context_.services.told_role_lost(context_.listener);
}

std::string Session::error_detail() const {
  const EndReason why = context_.waiter.ended();
  const bool nowhere =
      why == EndReason::kNoNode || why == EndReason::kHoldFull || why == EndReason::kConnectFailed;
  // Sentences about nodes come from the checker, and those of an end from whoever ended it.
  const bool brief = context_.listen().error_detail == ErrorDetail::kShort;
  if (brief && nowhere) return "pgsteer: no node takes connections now";
  const std::string* const detail = context_.waiter.detail();
  if (detail != nullptr) return brief ? std::string() : *detail;
  const Topology* const topology = context_.services.topology(context_.listener);
  if (nowhere && topology != nullptr) {
    if (!topology->no_primary_why.empty()) return "pgsteer: " + topology->no_primary_why;
    return "pgsteer: no node of \"" + context_.listen().name + "\" takes connections now";
  }
  if (why == EndReason::kShutdown || why == EndReason::kRefusedAtShutdown) {
    return "pgsteer is shutting down";
  }
  return row(why).sqlstate == "53300" ? "pgsteer: " + std::string(to_string(why)) : std::string();
}

void Session::admitted(EndReason refuse) {
  if (refuse == EndReason::kDenied || refuse == EndReason::kTooFast) return end(refuse);
  context_.counted = refuse == EndReason::kNone;
  if (context_.answers == nullptr) return;
  context_.answers->admission = refuse;
  context_.waiter.resume();
}

void Session::key_found(const std::optional<KeyOwner>& owner) {
  if (context_.answers == nullptr) return;
  context_.answers->key_owner = owner;
  context_.waiter.resume();
}

bool Session::idle() const {
  switch (context_.phase) {
    case SessionPhase::kStartup:
    case SessionPhase::kHeld:
      return true;
    case SessionPhase::kConnecting:
    case SessionPhase::kLogin:
      return context_.error_allowed || context_.tls == TlsUse::kPassed;
    case SessionPhase::kRelay:
      return relay_->idle();
    case SessionPhase::kEnding:
      return false;
  }
  return false;
}

void Session::stop() {
  if (context_.refusal != nullptr) return context_.refusal->refuse(EndReason::kRefusedAtShutdown);
  stop_now();
}

bool Session::silent(Clock::time_point now, Clock::duration silence) {
  if (context_.phase != SessionPhase::kRelay || readable() || silence.count() == 0) return false;
  return relay_->relay().silent_since_answer(now, silence);
}

bool Session::look_at_peers(Clock::time_point now, Clock::time_point counts_from,
                            Clock::duration limit) {
  if (context_.phase != SessionPhase::kRelay || context_.waiter.ending()) return false;
  if (!relay_->relay().worth_a_look()) return false;
  const EndReason gone = relay_->relay().look_at_peers(now, counts_from, limit);
  if (gone != EndReason::kNone) end(gone);
  return true;
}

std::string Session::node_name() const {
  const bool bound = context_.node != nullptr && context_.node->slot;
  return bound ? context_.services.running->node(context_.node->slot.node())->name : std::string();
}

void Session::log_end() const {
  const EndReason why = context_.waiter.ended();
  if (!context_.services.running->config.log.sessions || why == EndReason::kCancelDone) return;
  // A crowd that never gets as far as a node would fill the log: it is counted, and the acceptor
  // warns.
  if (why == EndReason::kCrowdedOut && context_.node == nullptr) return;
  if (!spdlog::should_log(spdlog::level::info)) return;
  const std::string node = node_name();
  const std::string* const detail = context_.waiter.detail();
  const ClientIdentity nobody;
  const ClientIdentity& who = identity_ ? *identity_ : nobody;
  const std::string_view sqlstate =
      relay_ ? relay_->relay().server_stream().sqlstate() : std::string_view();
  spdlog::info(
      "session {} on {} from {} to {} ended: {}{}{} user=\"{}\" database=\"{}\" "
      "application=\"{}\" seconds={:.3f} bytes_in={} bytes_out={}{}{}{}{}",
      context_.id, context_.listen().name, context_.address.text(), node.empty() ? "-" : node,
      to_string(why), detail != nullptr ? " (" : "", detail != nullptr ? *detail + ")" : "",
      who.user, who.database, who.application, seconds(Clock::now() - context_.began),
      relay_ ? relay_->relay().bytes_in() : 0, relay_ ? relay_->relay().bytes_out() : 0,
      sqlstate.empty() ? "" : " sqlstate=", sqlstate,
      who.server_name.empty() ? "" : " sni=", who.server_name);
}

SessionView Session::view(Clock::time_point now) const {
  SessionView view;
  view.id = context_.id;
  view.listener = context_.listen().name;
  view.cluster = context_.services.running->listener(context_.listener)->cluster;
  view.client = context_.address.text();
  view.node = node_name();
  if (context_.node != nullptr) {
    const auto local = local_address(context_.node->server.fd());
    if (local) view.local = local->text();
  }
  view.phase = context_.phase;
  if (identity_) {
    view.user = identity_->user;
    view.database = identity_->database;
    view.application = identity_->application;
  }
  view.tls = context_.tls;
  view.age_seconds = seconds(now - context_.began);
  if (relay_) {
    view.busy =
        view.phase == SessionPhase::kRelay && relay_->relay().visible() && !relay_->relay().idle();
    view.bytes_in = relay_->relay().bytes_in();
    view.bytes_out = relay_->relay().bytes_out();
  }
  return view;
}

}  // namespace pgsteer
