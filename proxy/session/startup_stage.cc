// What a client says before it has a server.
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/session/session.h"
#include "proxy/wire/client_hello.h"
#include "proxy/wire/proxy_header.h"
#include "proxy/worker.h"

namespace pgsteer {

namespace {

constexpr std::byte kTlsRecord{0x16};
constexpr std::byte kYesTls{'S'};
constexpr std::byte kNo{'N'};
// A GSSENCRequest, an SSLRequest, each at most once, and the packet itself.
constexpr int kMostPackets = 3;
constexpr Duration kCancelTime{5'000};
// Who is over a limit may say enough to be told so, and holds a descriptor no longer than that.
constexpr Duration kRefusalTime{2'000};

// For the log and the session table: no control character may forge a line.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 64));
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '"'; }, '?');
  return out;
}

bool has_pending_bytes(int fd) {
  int pending = 0;
  return ::ioctl(fd, FIONREAD, &pending) == 0 && pending > 0;
}

}  // namespace

bool Session::terminates() const { return config().tls == ClientTls::kTerminate; }

Task<EndReason> Session::greet() {
  deadline(config().first_packet_timeout, EndReason::kFirstPacketTimeout);
  if (behind_balancer_) {
    if (EndReason e = co_await read_proxy_header(); e != EndReason::kNone) co_return e;
  }
  if (refuse_ != EndReason::kNone) {
    deadline(std::min(config().first_packet_timeout, kRefusalTime), refuse_);
  }
  for (int packets = 0; packets < kMostPackets; ++packets) {
    const FirstPacket packet = co_await read_packet();
    if (end_ != EndReason::kNone) co_return end_;
    EndReason e = EndReason::kNone;
    switch (packet.kind) {
      case PacketKind::kStartup:
        co_return take_startup(packet);
      case PacketKind::kCancelRequest:
        co_return co_await pass_cancel(packet);
      case PacketKind::kTlsHello:
        if (!terminates()) {
          opening_ = Opening::kHello;
          passes_tls_ = true;
          const ClientHello hello = decode_client_hello(inbox_);
          identity_ = std::make_unique<Identity>();
          identity_->server_name = hello.server_name;
          co_return refuse_;
        }
        e = co_await terminate_tls(true);
        break;
      case PacketKind::kSslRequest:
      case PacketKind::kGssRequest:
        e = co_await answer_encryption(packet.kind);
        if (e == EndReason::kNone && opening_ != Opening::kStartup) co_return refuse_;
        break;
      case PacketKind::kNeedMore:
      case PacketKind::kMalformed:
        if (packet.problem != nullptr) detail_ = std::make_unique<std::string>(packet.problem);
        co_return EndReason::kBadPacket;
    }
    if (e != EndReason::kNone) co_return e;
  }
  co_return EndReason::kBadPacket;
}

// Reads until one packet is there. Where TLS may be terminated here, never past its end: what
// follows an SSLRequest belongs to the handshake.
Task<FirstPacket> Session::read_packet() {
  const bool exact = terminates() || tls_done_;
  for (;;) {
    FirstPacket packet = decode_first_packet(inbox_);
    if (packet.kind != PacketKind::kNeedMore) co_return packet;
    std::span<std::byte> into = worker_.context().buffer;
    into = into.first(exact ? packet.size - inbox_.size() : kMaxStartupPacket + 1);
    if (exact && inbox_.empty() && !client_.tls) {
      std::byte first{};
      if (::recv(client_.fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first == kTlsRecord) {
        packet.kind = PacketKind::kTlsHello;
        co_return packet;
      }
    }
    const IoResult got = client_.read(into);
    if (got.io == Io::kSome) {
      if (!exact && got.size < into.size()) client_.drained();
      inbox_.insert(inbox_.end(), into.begin(),
                    into.begin() + static_cast<std::ptrdiff_t>(got.size));
    } else if (got.io == Io::kAgain) {
      if (!co_await ready(client_.watch, kReadable)) co_return packet;
    } else {
      end_ = got.io == Io::kEof ? EndReason::kClientClosed : EndReason::kClientAborted;
      co_return packet;
    }
  }
}

Task<EndReason> Session::read_proxy_header() {
  std::vector<std::byte> seen(kMaxProxyV2);
  std::size_t had = 0;
  for (;;) {
    // Looked at without being taken, so that not a byte of what follows is.
    const ssize_t n = ::recv(client_.fd(), seen.data(), seen.size(), MSG_PEEK | MSG_DONTWAIT);
    const std::size_t have = n > 0 ? static_cast<std::size_t>(n) : 0;
    // Woken and nothing new: what woke it is the end.
    if (n == 0 || (had > 0 && have == had)) co_return EndReason::kClientClosed;
    had = have;
    const ProxyHeader header = decode_proxy_header(std::span(seen).first(have));
    if (header.kind == ProxyHeaderKind::kMalformed) {
      detail_ = std::make_unique<std::string>(header.problem);
      co_return EndReason::kProxyHeader;
    }
    if (header.kind == ProxyHeaderKind::kNeedMore) {
      // Readiness counts from here on only with that many bytes: the ones at hand do not wake
      // again.
      const int wanted = static_cast<int>(std::max(header.size, have + 1));
      ::setsockopt(client_.fd(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
      if (!co_await ready(client_.watch, kReadable)) co_return end_;
      continue;
    }
    const int any = 1;
    ::setsockopt(client_.fd(), SOL_SOCKET, SO_RCVLOWAT, &any, sizeof any);
    if (::recv(client_.fd(), seen.data(), header.size, MSG_DONTWAIT) < 0) {
      co_return EndReason::kClientAborted;
    }
    if (header.kind == ProxyHeaderKind::kAddress) {
      peer_.address = header.source.address;
      peer_.port = header.source.port;
    }
    break;
  }
  // The door counted the balancer; now it learns who the client is.
  worker_.links().ask_admission(worker_.index(), id_, listener_, peer_);
  co_await woken();
  co_return end_;
}

void Session::admitted(EndReason refuse) {
  if (refuse == EndReason::kDenied || refuse == EndReason::kTooFast) return end(refuse);
  refuse_ = refuse;
  counted_ = refuse == EndReason::kNone;
  wake();
}

std::optional<bool> Session::nodes_take_tls() const {
  const Topology* topology = worker_.topology().get();
  if (topology == nullptr) return std::nullopt;
  std::optional<bool> answer;
  for (const NodeRoute& node : topology->nodes) {
    if (node.tls == TlsAnswer::kUnknown) continue;
    const bool yes = node.tls == TlsAnswer::kYes;
    if (answer && *answer != yes) return std::nullopt;
    answer = yes;
  }
  return answer;
}

bool Session::somewhere_to_go() const {
  if (!worker_.topology()) return false;
  const auto& verdicts = worker_.topology()->pools[listener_].by_node;
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [](const Verdict& v) { return v.admission == Admission::kAdmit; });
}

// SSLRequest or GSSENCRequest: one byte answers it.
Task<EndReason> Session::answer_encryption(PacketKind kind) {
  // Bytes behind the request would be taken as if they had come encrypted: the hole of
  // CVE-2021-3935 and CVE-2021-23222.
  if (inbox_.size() > kMinStartupPacket || (!client_.tls && has_pending_bytes(client_.fd()))) {
    detail_ = std::make_unique<std::string>("bytes behind an encryption request");
    co_return EndReason::kBadPacket;
  }
  const bool ssl = kind == PacketKind::kSslRequest;
  std::array<std::byte, 1> answer{kNo};
  if (tls_done_) {
    // TLS inside TLS: no.
  } else if (terminates()) {
    if (ssl) answer[0] = kYesTls;
  } else if (refuse_ != EndReason::kNone || (config().hold.count() == 0 && !somewhere_to_go())) {
    // It will be turned away, and can be told so in clear.
  } else if (const auto known = nodes_take_tls(); ssl && known.has_value()) {
    if (*known) {
      answer[0] = kYesTls;
      opening_ = Opening::kPromised;
    }
  } else if (ssl || somewhere_to_go()) {
    co_return co_await ask_node();
  }
  inbox_.clear();
  if (EndReason e = co_await send_all(client_, answer); e != EndReason::kNone) co_return e;
  passes_tls_ = opening_ == Opening::kPromised;
  if (answer[0] == kYesTls && terminates()) co_return co_await terminate_tls(false);
  co_return EndReason::kNone;
}

// The answer is not known: the node gives it. With yes the connection goes on out of sight.
Task<EndReason> Session::ask_node() {
  if (EndReason e = co_await reach_node(); e != EndReason::kNone) co_return e;
  if (EndReason e = co_await send_all(server_, inbox_); e != EndReason::kNone)
    co_return EndReason::kConnectFailed;
  std::array<std::byte, 1> answer{kNo};
  for (;;) {
    const IoResult got = server_.read(answer);
    if (got.io == Io::kSome) break;
    if (got.io != Io::kAgain) co_return EndReason::kServerAborted;
    if (!co_await ready(server_.watch, kReadable)) co_return end_;
  }
  inbox_.clear();
  if (answer[0] == kNo) {
    // What follows is in clear and may end here (a cancel), so the node is chosen again then.
    worker_.context().poller.close(server_.watch);
    let_go();
  } else {
    opening_ = Opening::kAsked;
    passes_tls_ = true;
  }
  deadline(config().first_packet_timeout, EndReason::kFirstPacketTimeout);
  phase_ = Phase::kGreeting;
  co_return co_await send_all(client_, answer);
}

Task<EndReason> Session::terminate_tls(bool direct) {
  client_.tls = accept_on(worker_.tls().listeners[listener_], client_.fd());
  if (!client_.tls) co_return EndReason::kNoResources;
  if (EndReason e = co_await handshake(client_); e != EndReason::kNone) co_return e;
  if (direct && !agreed_on_postgresql(client_.tls.get())) {
    detail_ = std::make_unique<std::string>("direct TLS without ALPN \"postgresql\"");
    co_return EndReason::kTlsFailed;
  }
  tls_done_ = true;
  co_return EndReason::kNone;
}

EndReason Session::take_startup(const FirstPacket& packet) {
  can_speak_ = true;
  const StartupFields fields = startup_fields(std::span(inbox_).first(packet.size));
  identity_ = std::make_unique<Identity>();
  identity_->user = printable(fields.user);
  identity_->database = printable(fields.database);
  identity_->application = printable(fields.application);
  identity_->replication = fields.replication;
  if (refuse_ != EndReason::kNone) return refuse_;
  if (!tls_done_ && terminates() &&
      config().tls_client_certificate == ClientCertificate::kRequired) {
    return EndReason::kTlsRequired;
  }
  if (config().client_in_application_name) {
    const auto packet_bytes = std::span<const std::byte>(inbox_).first(packet.size);
    if (auto longer = with_application_suffix(packet_bytes, " [" + peer_.text() + "]")) {
      longer->insert(longer->end(), inbox_.begin() + static_cast<std::ptrdiff_t>(packet.size),
                     inbox_.end());
      inbox_ = std::move(*longer);
    }
  }
  return EndReason::kNone;
}

// To the node whose session has the key; where no session shows it (TLS passed through, or another
// pgsteer's session) to every node of the cluster: a wrong key is ignored. The client's side is
// closed only after the server's, so that the cancel cannot hit the client's next statement.
Task<EndReason> Session::pass_cancel(FirstPacket packet) {
  phase_ = Phase::kConnecting;  // no longer one of those who have said nothing
  passing_cancel_ = true;
  deadline(kCancelTime, EndReason::kCancelDone);
  std::vector<Address> to;
  std::optional<Address> found = worker_.find_key(packet.cancel_pid, packet.cancel_key);
  if (!found) {
    std::vector<std::byte> key(packet.cancel_key.begin(), packet.cancel_key.end());
    worker_.links().ask_key(worker_.index(), id_, packet.cancel_pid, std::move(key));
    if (!co_await woken()) co_return end_;
    if (found_key_) found = *found_key_;
  }
  if (found) {
    to.push_back(*found);
  } else if (worker_.topology()) {
    for (const NodeRoute& node : worker_.topology()->nodes) {
      if (!node.addresses.empty()) to.push_back(node.addresses.front());
    }
  }
  worker_.counters(listener_).cancels.fetch_add(1, std::memory_order_relaxed);
  inbox_.resize(packet.size);
  cancel_ = std::make_unique<OutgoingCancel>(worker_.context().poller, to, std::move(inbox_),
                                             [this] { worker_.wake_soon(*this); });
  if (!cancel_->finished()) co_await woken();
  co_return EndReason::kCancelDone;
}

}  // namespace pgsteer
