#include "proxy/session/session.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <utility>

#include "proxy/wire/cancel_request.h"
#include "proxy/wire/error_response.h"
#include "proxy/worker.h"

namespace pgsteer {

namespace {

// How long a client may take to read its last bytes before the socket is closed under it.
constexpr Duration kLinger{1'000};

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

Session::Session(Worker& worker, AcceptedClient arrival, std::uint64_t id)
    : worker_(worker),
      id_(id),
      peer_(arrival.peer),
      relay_(worker.context(), client_, server_),
      listener_(static_cast<std::uint16_t>(arrival.listener)),
      refuse_(arrival.refuse),
      counted_(arrival.counted),
      behind_balancer_(arrival.behind_balancer),
      began_(Clock::now()) {
  client_.watch.fd = std::move(arrival.fd);
  for (Watch* watch : {&client_.watch, &server_.watch}) {
    watch->ready = ready_callback;
    watch->owner = this;
  }
  life_ = live();
}

const ListenConfig& Session::config() const { return worker_.config().listen[listener_]; }

Task<bool> Session::live() {
  const EndReason why = co_await run();
  if (end_ == EndReason::kNone) end_ = why;
  co_await finish();
  worker_.bury(*this);
  co_return true;
}

Task<EndReason> Session::run() {
  worker_.greeting_begun();
  const EndReason greeted = co_await greet();
  worker_.greeting_over();
  if (greeted != EndReason::kNone) co_return greeted;
  if (EndReason e = co_await reach(); e != EndReason::kNone) co_return e;
  co_return co_await relay();
}

Task<EndReason> Session::relay() {
  phase_ = Phase::kRelay;
  co_await woken();  // by on_ready or end(): both set end_ first
  co_return end_;
}

// The accounts, the last words, and a moment for the client to read what it was sent.
Task<bool> Session::finish() {
  const Phase from = std::exchange(phase_, Phase::kEnding);
  const bool client_gone = end_ == EndReason::kClientClosed || end_ == EndReason::kClientAborted ||
                           end_ == EndReason::kClientLeft || end_ == EndReason::kCancelDone;
  if (from == Phase::kRelay && left_by_server()) {
    worker_.links().suspicion({node_, SuspicionKind::kServerEnded});
  }
  worker_.counters(listener_).ends[static_cast<std::size_t>(end_)].fetch_add(
      1, std::memory_order_relaxed);
  struct Pause {  // ready() and woken() would not wait: the session has ended
    Session& session;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { session.waiting_ = waiting; }
    void await_resume() const {}
  };
  // Closing a socket with unread bytes in it resets the connection, and the reset overtakes what
  // was sent last. So: say that nothing follows, and further down read until the client has seen
  // it.
  const bool lingers = !client_gone && from != Phase::kGreeting;
  if (!client_gone) tell();
  if (lingers) client_.finish_writing();
  if (end_ == EndReason::kRoleLost) {
    // Of thousands that are cut together everyone is told before the first of them is tidied up.
    worker_.enqueue(*this);
    co_await Pause{*this};
  }
  if (end_ == EndReason::kRoleLost && from == Phase::kRelay) stop_statement();
  worker_.context().poller.close(server_.watch);
  cancel_.reset();
  log_end();
  let_go();
  worker_.counters(listener_).sessions.leave();
  if (lingers) {
    worker_.set_deadline(*this, Clock::now() + kLinger);
    timed_out_ = false;
    for (;;) {
      const ssize_t n = ::recv(client_.fd(), worker_.context().buffer.data(),
                               worker_.context().buffer.size(), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN)) break;
      // Who goes on sending is read once a turn, like everybody.
      const std::uint32_t more = n > 0 ? static_cast<std::uint32_t>(EPOLLIN) : kReadable;
      if (!worker_.context().poller.want(client_.watch, more)) break;
      co_await Pause{*this};
      if (timed_out_) break;
    }
  }
  worker_.clear_deadline(*this);
  worker_.context().poller.close(client_.watch);
  co_return true;
}

// The server ended it and nobody had asked it to: it may be going down. (Out of sight, any end that
// the client did not begin.)
bool Session::left_by_server() const {
  if (end_ == EndReason::kServerAborted) return true;
  if (end_ != EndReason::kServerClosed) return false;
  const std::string_view sqlstate = relay_.server_stream().sqlstate();
  return !relay_.visible() || sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03";
}

// Says why to a client that waits for a message, if the end has words for it.
void Session::tell() {
  const EndReasonRow& text = row(end_);
  if (text.sqlstate.empty()) return;
  const bool relaying = relay_.visible();
  if (relaying ? !relay_.can_tell() : !can_speak_) return;
  const std::string detail = why();
  const std::vector<std::byte> packet =
      encode_error_response({"FATAL", text.sqlstate, text.message, detail, {}});
  const bool told = client_.write_last(packet).size == packet.size();
  if (told && end_ == EndReason::kRoleLost) worker_.count_told();
}

std::string Session::why() const {
  if (detail_) return *detail_;
  const Topology* topology = worker_.topology().get();
  if ((end_ == EndReason::kNoNode || end_ == EndReason::kHoldFull ||
       end_ == EndReason::kConnectFailed) &&
      topology) {
    if (!topology->no_primary_why.empty()) return "pgsteer: " + topology->no_primary_why;
    return "pgsteer: no node of \"" + config().name + "\" takes connections now";
  }
  if (end_ == EndReason::kShutdown) return "pgsteer is shutting down";
  if (end_ == EndReason::kBadPacket) return {};
  return row(end_).sqlstate == "53300" ? "pgsteer: " + std::string(to_string(end_)) : std::string();
}

// Closing a connection does not stop its statement, and a write on a node that lost its role could
// still be committed there.
void Session::stop_statement() {
  if (key_.bytes.empty() || relay_.idle()) return;
  if (const auto address = server_address()) {
    worker_.send_cancel(*address, encode_cancel_request(key_.pid, key_.bytes));
  }
}

void Session::end(EndReason why, std::string detail) {
  if (end_ != EndReason::kNone) return;
  end_ = why;
  if (!detail.empty()) detail_ = std::make_unique<std::string>(std::move(detail));
  worker_.enqueue(*this);
}

void Session::wake() {
  if (waiting_) std::exchange(waiting_, nullptr).resume();
}

void Session::Awaiter::await_suspend(std::coroutine_handle<> waiting) {
  session.waiting_ = waiting;
  session.awaited_ = watch;
  if (watch != nullptr && !session.worker_.context().poller.want(*watch, events)) {
    session.end(EndReason::kNoResources);
  }
}

bool Session::Awaiter::await_resume() {
  session.awaited_ = nullptr;
  return session.end_ == EndReason::kNone;
}

void Session::on_ready(Watch& watch, std::uint32_t events) {
  if (phase_ == Phase::kRelay) {
    if (end_ != EndReason::kNone) return;  // told to end: not another byte
    const EndReason e = relay_.on_ready(&watch == &client_.watch, events);
    if (login_open_) follow_login();
    if (e != EndReason::kNone && end_ == EndReason::kNone) {
      end_ = e;
      wake();
    }
    return;
  }
  watch.missed |= events;
  if (awaited_ == &watch) return wake();
  if (phase_ == Phase::kEnding) {
    if (!queued) wake();
    return;
  }
  // The server stirring while nobody waits for it will be seen by whoever reads next.
  if (&watch == &client_.watch) return client_stirred(events);
}

// The client did something while it was not its turn: it left, or it sends ahead.
void Session::client_stirred(std::uint32_t events) {
  if (passing_cancel_) return;  // PostgreSQL obeys a cancel whose sender has not waited
  std::byte one{};
  const ssize_t n = ::recv(client_.fd(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool gone = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (gone || n == 0 || (n < 0 && errno != EAGAIN)) end(EndReason::kClientLeft);
}

void Session::on_deadline() {
  worker_.clear_deadline(*this);
  if (phase_ == Phase::kRelay && deadline_end_ == EndReason::kNone) return settle();
  if (deadline_end_ == EndReason::kNone || phase_ == Phase::kEnding) {
    timed_out_ = true;
    return wake();
  }
  end(deadline_end_);
}

void Session::deadline(Duration in, EndReason why) {
  timed_out_ = false;
  deadline_end_ = why;
  worker_.set_deadline(*this, Clock::now() + in);
}

void Session::no_deadline() {
  timed_out_ = false;
  worker_.clear_deadline(*this);
}

void Session::bind(std::size_t node, std::uint32_t timeline) {
  node_ = static_cast<std::uint32_t>(node);
  timeline_ = timeline;
  bound_ = true;
  login_open_ = true;
}

void Session::let_go() {
  if (!bound_) return;
  worker_.unbind(*this);
  bound_ = false;
  login_open_ = false;
}

bool Session::has_key(std::uint32_t pid, std::span<const std::byte> key) const {
  return key_.pid == pid && !key_.bytes.empty() && key_.bytes.size() == key.size() &&
         std::equal(key.begin(), key.end(), key_.bytes.begin());
}

std::optional<Address> Session::server_address() const {
  if (server_.fd() < 0) return std::nullopt;
  Address address;
  address.size = sizeof address.storage;
  if (::getpeername(server_.fd(), reinterpret_cast<sockaddr*>(&address.storage), &address.size)) {
    return std::nullopt;
  }
  return address;
}

void Session::log_end() const {
  if (!worker_.config().log.sessions || end_ == EndReason::kCancelDone) return;
  if (!spdlog::should_log(spdlog::level::info)) return;
  const std::string node = bound_ ? worker_.topology()->nodes[node_].name : "-";
  const Identity none;
  const Identity& who = identity_ ? *identity_ : none;
  spdlog::info(
      "session {} on {} from {} to {} ended: {}{}{} user=\"{}\" database=\"{}\" "
      "application=\"{}\" seconds={:.3f} bytes_in={} bytes_out={}{}{}",
      id_, config().name, peer_.text(), node, to_string(end_), detail_ ? " (" : "",
      detail_ ? *detail_ + ")" : "", who.user, who.database, who.application,
      seconds(Clock::now() - began_), relay_.bytes_in(), relay_.bytes_out(),
      relay_.server_stream().sqlstate().empty()
          ? std::string()
          : " sqlstate=" + std::string(relay_.server_stream().sqlstate()),
      who.server_name.empty() ? std::string() : " sni=" + who.server_name);
}

SessionView Session::view(Clock::time_point now) const {
  static constexpr const char* kPhases[] = {"greeting", "held",  "connecting",
                                            "login",    "relay", "ending"};
  SessionView v;
  v.id = id_;
  v.listener = config().name;
  v.client = peer_.text();
  if (bound_) v.node = worker_.topology()->nodes[node_].name;
  Address local;
  local.size = sizeof local.storage;
  if (server_.fd() >= 0 &&
      ::getsockname(server_.fd(), reinterpret_cast<sockaddr*>(&local.storage), &local.size) == 0) {
    v.local = local.text();
  }
  v.phase = kPhases[static_cast<std::size_t>(phase_)];
  if (identity_) {
    v.user = identity_->user;
    v.database = identity_->database;
    v.application = identity_->application;
  }
  v.tls = tls_done_ ? "terminate" : passes_tls_ ? "pass" : "off";
  v.busy = phase_ == Phase::kRelay && relay_.visible() && !relay_.idle();
  v.age_seconds = seconds(now - began_);
  v.bytes_in = relay_.bytes_in();
  v.bytes_out = relay_.bytes_out();
  return v;
}

}  // namespace pgsteer
