#include "proxy/session/startup_stage.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "proxy/session/cancel_stage.h"
#include "proxy/session/client_tls.h"
#include "proxy/session/deadline.h"
#include "proxy/session/encryption_stage.h"
#include "proxy/session/node_question.h"
#include "proxy/wire/bytes.h"
#include "proxy/wire/client_hello.h"
#include "proxy/wire/proxy_header.h"

namespace pgsteer {

namespace {

constexpr std::byte kTlsRecord{0x16};
// A GSSENCRequest, an SSLRequest, each at most once, and the packet itself.
constexpr int kMaxPackets = 3;
// A client that will be refused may say enough to be told so, and holds a descriptor no longer.
constexpr Duration kRefusalTime{2'000};

bool has_pending_bytes(int fd) {
  int pending = 0;
  return ::ioctl(fd, FIONREAD, &pending) == 0 && pending > 0;
}

class StartupStage final : public RefusalLater {
 public:
  StartupStage(SessionContext& context, EndReason refuse)
      : context_(context),
        client_(context.client),
        refuse_(refuse),
        deadline_(context.services.loop, context.waiter, EndReason::kFirstPacketTimeout) {
    context.refusal = this;
  }
  StartupStage(const StartupStage&) = delete;
  StartupStage& operator=(const StartupStage&) = delete;
  ~StartupStage() { context_.refusal = nullptr; }

  // Or its client has one more request under way: whatever it asks for, it will be refused.
  void refuse(EndReason why) override;

  Task<EndReason> run(bool behind_balancer);
  Startup take() { return std::move(startup_); }

 private:
  Task<EndReason> read_proxy_header();
  Task<EndReason> ask_admission();
  Task<EndReason> take_packet(FirstPacket packet, bool& done);
  Task<FirstPacket> read_packet();
  Task<EndReason> answer_encryption(PacketKind kind);
  Task<EndReason> pass_encryption(PacketKind kind);
  Task<EndReason> send_answer(std::byte answer);
  Task<EndReason> decline(EndReason refuse);
  void await_refusal();
  void awaits_client();
  bool lost_kept_node();
  EndReason take_startup(const FirstPacket& packet);
  EndReason take_hello();
  void name_client_to_server(const FirstPacket& packet);

  const ListenConfig& listen() const { return context_.listen(); }
  bool terminates() const { return listen().tls == ClientTls::kTerminate; }
  bool terminated() const { return context_.tls == TlsUse::kTerminated; }
  // libpq never encrypts on a Unix socket.
  bool needs_tls() const {
    return listen().tls_client_certificate == ClientCertificate::kRequired ||
           (listen().tls_required && !context_.address.unix_socket);
  }

  SessionContext& context_;
  Connection& client_;
  EndReason refuse_;
  bool declined_ = false;  // by pgsteer itself, which refuses the client
  Startup startup_;
  Deadline deadline_;                // from accept to a complete startup packet
  std::optional<Deadline> refusal_;  // instead of it, for a client that will be refused
};

Task<EndReason> StartupStage::run(bool behind_balancer) {
  deadline_.set_after(listen().first_packet_timeout);
  if (behind_balancer) {
    const EndReason e = co_await read_proxy_header();
    if (e != EndReason::kNone) co_return e;
  }
  if (refuse_ != EndReason::kNone) await_refusal();
  for (int packets = 0; packets < kMaxPackets; ++packets) {
    const FirstPacket packet = co_await read_packet();
    if (context_.waiter.ending()) co_return context_.waiter.ended();
    bool done = false;
    const EndReason e = co_await take_packet(packet, done);
    if (done || e != EndReason::kNone) co_return e;
  }
  context_.error_allowed = true;
  context_.waiter.explain("too many encryption requests");
  co_return EndReason::kBadPacket;
}

void StartupStage::refuse(EndReason why) {
  if (refuse_ == EndReason::kNone) refuse_ = why;
  if (context_.phase == SessionPhase::kStartup) return await_refusal();
  context_.waiter.resume_soon();  // it is held, and asks again whether pgsteer stops
}

// The client will be turned away, and may say enough first to be told so.
void StartupStage::await_refusal() {
  if (refusal_) return;
  deadline_.cancel();
  refusal_.emplace(context_.services.loop, context_.waiter, refuse_);
  refusal_->set_after(std::min(listen().first_packet_timeout, kRefusalTime));
}

// `done`: it is known what the client wants.
Task<EndReason> StartupStage::take_packet(FirstPacket packet, bool& done) {
  done = true;
  switch (packet.kind) {
    case PacketKind::kStartup:
      co_return take_startup(packet);
    case PacketKind::kCancelRequest: {
      deadline_.cancel();
      refusal_.reset();
      context_.refusal = nullptr;
      startup_.node.reset();
      const EndReason e = co_await run_cancel_stage(context_, packet, std::move(startup_.bytes));
      co_return e;
    }
    case PacketKind::kTlsHello: {
      if (!terminates()) co_return take_hello();
      done = false;
      const EndReason e = co_await terminate_tls(context_, true);
      co_return e;
    }
    case PacketKind::kSslRequest:
    case PacketKind::kGssRequest: {
      awaits_client();
      const EndReason e = co_await answer_encryption(packet.kind);
      done = startup_.kind != Startup::Kind::kClear;
      co_return e == EndReason::kNone&& done ? refuse_ : e;
    }
    case PacketKind::kNeedMore:
    case PacketKind::kMalformed:
      break;
  }
  if (packet.problem != nullptr) context_.waiter.explain(packet.problem);
  // PostgreSQL closes without a word, too, where a length shows that this is not its protocol.
  context_.error_allowed = packet.answerable;
  co_return EndReason::kBadPacket;
}

// Reads until one packet is there. Where TLS may be terminated here, never past its end: what
// follows an SSLRequest belongs to the handshake.
Task<FirstPacket> StartupStage::read_packet() {
  const bool exact = terminates() || terminated();
  std::vector<std::byte>& bytes = startup_.bytes;
  for (;;) {
    FirstPacket packet = decode_first_packet(bytes);
    // A node would wait for the rest of a hello as for a login that it has begun.
    const bool hello_begun = packet.kind == PacketKind::kTlsHello && !exact &&
                             decode_client_hello(bytes).kind == ClientHelloKind::kNeedMore;
    if (packet.kind != PacketKind::kNeedMore && !hello_begun) co_return packet;
    if (bytes.size() >= kMinStartupPacket) awaits_client();
    std::span<std::byte> into = context_.services.relay.buffer;
    into = into.first(exact ? packet.size - bytes.size() : kMaxStartupPacket + 1);
    bool nothing_yet = false;
    if (exact && bytes.empty() && !client_.tls) {
      std::byte first{};
      const ssize_t n = ::recv(client_.fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
      if (n == 1 && first == kTlsRecord) {
        packet.kind = PacketKind::kTlsHello;
        co_return packet;
      }
      nothing_yet = n < 0 && errno == EAGAIN;  // what comes in a moment has to be seen first, too
    }
    const IoResult got = nothing_yet ? IoResult{Io::kAgain, 0} : client_.read(into);
    if (got.io == Io::kSome) {
      if (!exact && got.size < into.size()) client_.drained();
      bytes.insert(bytes.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(got.size));
    } else if (got.io == Io::kAgain) {
      const bool lives = co_await context_.waiter.ready(client_.watch, kReadable);
      if (!lives && !lost_kept_node()) co_return packet;
    } else {
      const bool closed = got.io == Io::kEof;
      // A client that insists on TLS leaves after an N: what turned it away is the reason.
      context_.waiter.conclude(declined_ ? refuse_
                               : closed  ? EndReason::kClientClosed
                                         : EndReason::kClientAborted);
      co_return packet;
    }
  }
}

Task<EndReason> StartupStage::read_proxy_header() {
  ProxyHeader header;
  const auto wanted = [&header](std::span<const std::byte> bytes) -> std::size_t {
    header = decode_proxy_header(bytes);
    return header.kind == ProxyHeaderKind::kNeedMore ? header.size : 0;
  };
  const std::span<std::byte> into = std::span(context_.services.relay.buffer).first(kMaxProxyV2);
  const EndReason seen = co_await peek_client(context_, into, wanted);
  if (seen != EndReason::kNone) co_return seen;
  if (header.kind == ProxyHeaderKind::kMalformed) {
    context_.waiter.explain(header.problem);
    co_return EndReason::kProxyHeader;
  }
  if (::recv(client_.fd(), into.data(), header.size, MSG_DONTWAIT) < 0) {
    co_return EndReason::kClientAborted;
  }
  if (header.kind == ProxyHeaderKind::kAddress) {
    context_.address.address = header.source.address;
    context_.address.port = header.source.port;
    context_.place->belongs_to(context_.address.table_key());
  }
  const EndReason e = co_await ask_admission();
  co_return e;
}

// So far only the balancer has been looked at; now the limits apply to the client behind it.
Task<EndReason> StartupStage::ask_admission() {
  Answers answers;
  context_.answers = &answers;
  const SessionServices& services = context_.services;
  services.links.ask_admission(services.worker, context_.id, context_.listener, context_.address);
  co_await context_.waiter.woken();
  context_.answers = nullptr;
  if (context_.waiter.ending()) co_return context_.waiter.ended();
  if (refuse_ == EndReason::kNone) refuse_ = answers.admission.value_or(EndReason::kNone);
  co_return EndReason::kNone;
}

// SSLRequest or GSSENCRequest: one byte answers it.
Task<EndReason> StartupStage::answer_encryption(PacketKind kind) {
  // Bytes behind the request would be taken as if they had come encrypted: CVE-2021-3935 and
  // CVE-2021-23222.
  if (startup_.bytes.size() > kMinStartupPacket ||
      (!client_.tls && has_pending_bytes(client_.fd()))) {
    context_.waiter.explain("bytes behind an encryption request");
    co_return EndReason::kBadPacket;
  }
  if (terminated()) {  // TLS inside TLS: no
    const EndReason e = co_await send_answer(kDeclined);
    co_return e;
  }
  if (!terminates()) {
    if (refuse_ != EndReason::kNone) co_return co_await decline(refuse_);
    co_return co_await pass_encryption(kind);
  }
  const bool ssl = kind == PacketKind::kSslRequest;
  const EndReason sent = co_await send_answer(ssl ? kAccepted : kDeclined);
  if (sent != EndReason::kNone || !ssl) co_return sent;
  const EndReason e = co_await terminate_tls(context_, false);
  co_return e;
}

Task<EndReason> StartupStage::send_answer(std::byte answer) {
  startup_.bytes.clear();
  const EndReason e =
      co_await send_all(context_, client_, std::span(&answer, 1), EndReason::kClientAborted);
  co_return e;
}

// A node answers, or what is known of all of them. A node that has said N is kept for the packet
// that follows, a startup packet or a cancel.
Task<EndReason> StartupStage::pass_encryption(PacketKind kind) {
  if (std::ranges::find(startup_.declined, kind) != startup_.declined.end()) {
    // PostgreSQL takes each request once; a second one would make the node look broken.
    context_.error_allowed = true;
    context_.waiter.explain("a repeated encryption request");
    co_return EndReason::kBadPacket;
  }
  context_.place->is_served();
  deadline_.cancel();
  const StageResult<std::byte> answer = co_await run_encryption_stage(context_, startup_, kind);
  if (context_.waiter.ending()) co_return context_.waiter.ended();
  if (answer.end == EndReason::kClientLeft) co_return answer.end;
  context_.phase = SessionPhase::kStartup;
  awaits_client();
  // A node that waits for the client's next packet has nothing to work on until then.
  if (startup_.node) startup_.node->slot.login_awaits_client();
  if (answer.end != EndReason::kNone) {
    const EndReason e = co_await decline(answer.end);
    co_return e;
  }
  deadline_.set_after(listen().first_packet_timeout);
  const EndReason e = co_await send_answer(answer.value);
  if (e != EndReason::kNone || startup_.kind != Startup::Kind::kTlsAccepted) co_return e;
  // Only with its ClientHello does a client cost a node anything.
  co_return co_await await_hello(context_);
}

// No node has answered the request and none will. An ErrorResponse in its place would be thrown
// away by libpq (CVE-2024-10977): say N, and tell the reason to the startup packet that follows.
Task<EndReason> StartupStage::decline(EndReason refuse) {
  startup_.node.reset();
  startup_.search.reset();
  refuse_ = refuse;
  declined_ = true;
  if (!listen().refuse_in_clear) co_return refuse;
  await_refusal();
  const EndReason e = co_await send_answer(kDeclined);
  co_return e;
}

// A node that has said N has begun the login, and is kept.
void StartupStage::awaits_client() {
  if (startup_.node) {
    context_.place->awaits_client_in_login();
  } else {
    context_.place->awaits_client();
  }
}

// The node that has said N was kept for the client's next packet, and may not serve any more:
// another one has to be found when that packet has come.
bool StartupStage::lost_kept_node() {
  if (!startup_.node || !context_.waiter.take_back_role_lost()) return false;
  startup_.node.reset();
  return true;
}

EndReason StartupStage::take_hello() {
  startup_.kind = Startup::Kind::kTlsDirect;
  context_.tls = TlsUse::kPassed;
  startup_.identity = std::make_unique<ClientIdentity>();
  startup_.identity->server_name = decode_client_hello(startup_.bytes).server_name;
  return refuse_;
}

EndReason StartupStage::take_startup(const FirstPacket& packet) {
  context_.error_allowed = true;
  const StartupFields fields = startup_fields(std::span(startup_.bytes).first(packet.size));
  startup_.identity = std::make_unique<ClientIdentity>();
  startup_.identity->user = printable(fields.user);
  startup_.identity->database = printable(fields.database);
  startup_.identity->application = printable(fields.application);
  startup_.identity->replication = fields.replication;
  if (refuse_ != EndReason::kNone) return refuse_;
  if (terminates() && !terminated() && needs_tls()) return EndReason::kTlsRequired;
  if (listen().client_in_application_name) name_client_to_server(packet);
  return EndReason::kNone;
}

void StartupStage::name_client_to_server(const FirstPacket& packet) {
  std::vector<std::byte>& bytes = startup_.bytes;
  const auto startup_packet = std::span<const std::byte>(bytes).first(packet.size);
  auto longer = with_application_suffix(startup_packet, " [" + context_.address.text() + "]");
  if (!longer) return;
  longer->insert(longer->end(), bytes.begin() + static_cast<std::ptrdiff_t>(packet.size),
                 bytes.end());
  bytes = std::move(*longer);
}

}  // namespace

Task<StageResult<Startup>> run_startup_stage(SessionContext& context, EndReason refuse,
                                             bool behind_balancer) {
  StartupStage stage(context, refuse);
  const EndReason end = co_await stage.run(behind_balancer);
  co_return {end, stage.take()};
}

}  // namespace pgsteer
