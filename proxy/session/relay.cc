#include "proxy/session/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace pgsteer {

namespace {

// Reads that filled the buffer, in a row, before a direction counts as a stream. A result set of a
// few hundred kilobytes is over before that and never pays for a pipe.
constexpr std::uint8_t kStreamReads = 4;
// Turns that moved little, in a row, after which a splicing direction is copied again.
constexpr std::uint8_t kThinTurns = 3;
constexpr std::size_t kThin = 16 << 10;
// What one direction may move before its neighbours have their turn.
constexpr std::size_t kSpliceTurn = 256 << 10;
constexpr int kReadsPerTurn = 4;

// While the receiver is full. A reset must be noticed all the same, once.
constexpr std::uint32_t kNotReading = EPOLLET;

}  // namespace

Relay::~Relay() {
  for (Flow* flow : {&to_server_, &to_client_}) {
    if (flow->pipe) resources_.pipes.give_back(std::move(flow->pipe));
  }
}

bool Relay::begin(bool visible, ByteCounters::Pair* bytes) {
  visible_ = visible;
  bytes_ = bytes;
  if (!visible) {
    from_client_.make_opaque();
    from_server_.make_opaque();
    from_server_.release_login();
  }
  for (Watch* watch : {&client_.watch, &server_.watch}) {
    if (std::exchange(watch->missed, 0U) != 0) watch->interest = 0;  // to be told again
  }
  return watch();
}

bool Relay::watch() {
  const auto interest = [this](const Flow& in, const Flow& out) {
    return (blocked(in) ? kNotReading : kReadable) |
           (blocked(out) ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  };
  return resources_.poller.want(client_.watch, interest(to_server_, to_client_)) &&
         resources_.poller.want(server_.watch, interest(to_client_, to_server_));
}

EndReason Relay::feed_from_server(std::span<const std::byte> bytes) {
  EndReason end = deliver(to_client_, bytes);
  // What came with the startup packet in one TLS record: no readiness will announce it.
  if (end == EndReason::kNone && client_.has_buffered()) end = pump(to_server_, true);
  if (end == EndReason::kNone && !watch()) return EndReason::kNoResources;
  return end;
}

EndReason Relay::on_ready(bool client_side, std::uint32_t events) {
  Flow& in = client_side ? to_server_ : to_client_;
  Flow& out = client_side ? to_client_ : to_server_;
  const bool was_blocked = blocked(in) || blocked(out);
  EndReason end = EndReason::kNone;
  if ((events & EPOLLERR) != 0 && (in.eof || blocked(in))) return broken(client_side);
  if ((events & EPOLLOUT) != 0 && blocked(out)) {
    end = drain(out);
    if (end == EndReason::kNone && !blocked(out) && source(out).has_buffered())
      end = pump(out, true);
  }
  const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (end == EndReason::kNone && (to_the_end || (events & EPOLLIN) != 0) && !in.eof &&
      !blocked(in)) {
    end = pump(in, to_the_end);
  }
  if (end != EndReason::kNone) return end;
  // Nothing changes between two ordinary messages, so nothing is asked of the kernel.
  if ((was_blocked || blocked(in)) && !watch()) return EndReason::kNoResources;
  return EndReason::kNone;
}

// `to_the_end`: a short read does not mean that the socket is empty, its end follows.
EndReason Relay::pump(Flow& flow, bool to_the_end) {
  for (int reads = 0;; ++reads) {
    // A COPY that has been answered is over: what the client sends next is looked at again.
    if (flow.pipe && &flow == &to_server_ && (from_client_.answered_in_gap() || goodbye_next())) {
      stop_splicing(flow);
    }
    if (flow.pipe) return splice_turn(flow);
    if (reads >= kReadsPerTurn && !source(flow).has_buffered()) return rearm(flow);
    const IoResult got = source(flow).read(resources_.buffer);
    if (got.io == Io::kAgain) return EndReason::kNone;
    if (got.io == Io::kEof) return source_finished(flow);
    if (got.io == Io::kError) return broken(&flow == &to_server_);
    const EndReason end = deliver(flow, std::span(resources_.buffer).first(got.size));
    if (end != EndReason::kNone || blocked(flow)) return end;
    if (&flow == &to_server_ && goodbye_said()) return source_finished(flow);
    if (source(flow).tls) continue;  // records hide what the socket still holds
    if (got.size < resources_.buffer.size() && !to_the_end) {
      flow.full_reads = 0;
      return EndReason::kNone;
    }
    consider_splicing(flow, got.size);
  }
}

// An idle server that reads a Terminate closes. Letting it be the first to do so costs less, and
// the minute of TIME_WAIT is spent with its port and not with one of the few that pgsteer connects
// from.
bool Relay::goodbye_said() const { return from_client_.terminated() && idle(); }

// There may be more, and the neighbours have their turn first.
EndReason Relay::rearm(Flow& flow) {
  Watch& watch = source(flow).watch;
  return resources_.poller.want_again(watch) ? EndReason::kNone : EndReason::kNoResources;
}

// Forwards bytes, and keeps aside what the receiver does not take.
EndReason Relay::deliver(Flow& flow, std::span<const std::byte> bytes) {
  count(flow, bytes.size());
  if (visible_) follow(flow, bytes, bytes.size() < RelayResources::kBuffer);
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const IoResult put = sink(flow).write(bytes.subspan(sent));
    if (put.io == Io::kSome) {
      sent += put.size;
      if (!sink(flow).tls) break;  // the kernel took what it has room for
      continue;
    }
    if (put.io == Io::kAgain) break;
    return broken(&flow != &to_server_);
  }
  if (sent < bytes.size()) {
    flow.backlog = std::make_unique<Backlog>();
    flow.backlog->bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(sent), bytes.end());
  }
  return EndReason::kNone;
}

void Relay::follow(Flow& flow, std::span<const std::byte> bytes, bool last) {
  if (&flow == &to_server_) {
    if (flow.gap && from_client_.opaque()) {
      if (from_client_.resync_after_gap(bytes)) flow.gap = false;
    } else {
      from_client_.advance(bytes);
    }
  } else if (flow.gap && from_server_.opaque()) {
    if (last) from_server_.resync_after_gap(bytes, from_client_);
    flow.gap = from_server_.opaque();
  } else {
    from_server_.advance(bytes, from_client_);
  }
}

void Relay::count(const Flow& flow, std::size_t size) {
  if (&flow == &to_server_) {
    bytes_in_ += size;
    bytes_->in.add(size);
  } else {
    bytes_out_ += size;
    bytes_->out.add(size);
  }
}

void Relay::consider_splicing(Flow& flow, std::size_t size) {
  if (size < RelayResources::kBuffer) return;
  if (flow.full_reads < kStreamReads) ++flow.full_reads;
  if (flow.full_reads < kStreamReads || sink(flow).tls || flow.no_pipe) return;
  // Login facts are still being gathered: every message is needed.
  if (visible_ && !from_server_.login_done()) return;
  flow.pipe = resources_.pipes.take();
  flow.no_pipe = !flow.pipe;
  flow.thin_turns = 0;
}

void Relay::stop_splicing(Flow& flow) {
  resources_.pipes.give_back(std::move(flow.pipe));
  flow.full_reads = 0;
}

// A client that leaves right after a long statement is to be heard, or the server that then closes
// would seem to have failed. Costs a splicing turn one look at a few bytes.
bool Relay::goodbye_next() const {
  if (!visible_) return false;
  std::array<std::byte, kTerminate.size() + 1> next{};
  const ssize_t n = ::recv(client_.fd(), next.data(), next.size(), MSG_PEEK | MSG_DONTWAIT);
  return n > 0 && is_terminate(std::span(next).first(static_cast<std::size_t>(n)));
}

EndReason Relay::splice_turn(Flow& flow) {
  const bool from_client = &flow == &to_server_;
  std::size_t moved = 0;
  while (moved < kSpliceTurn) {
    const ssize_t n =
        ::splice(source(flow).fd(), nullptr, flow.pipe->write.get(), nullptr,
                 std::min(kSpliceTurn, flow.pipe->capacity), SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n == 0) return source_finished(flow);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) break;
      return broken(from_client);
    }
    flow.pipe->filled += static_cast<std::size_t>(n);
    moved += static_cast<std::size_t>(n);
    count(flow, static_cast<std::size_t>(n));
    if (visible_) {
      if (from_client) {
        from_client_.skip(static_cast<std::uint64_t>(n));
        flow.gap = from_client_.opaque();
      } else {
        from_server_.skip(static_cast<std::uint64_t>(n));
        flow.gap = from_server_.opaque();
      }
    }
    const EndReason end = drain_pipe(flow);
    if (end != EndReason::kNone || blocked(flow)) return end;
  }
  flow.thin_turns =
      moved >= kThin ? std::uint8_t{0} : static_cast<std::uint8_t>(flow.thin_turns + 1);
  if (flow.thin_turns >= kThinTurns) stop_splicing(flow);
  return moved < kSpliceTurn ? EndReason::kNone : rearm(flow);
}

EndReason Relay::drain_pipe(Flow& flow) {
  while (flow.pipe->filled > 0) {
    const ssize_t n = ::splice(flow.pipe->read.get(), nullptr, sink(flow).fd(), nullptr,
                               flow.pipe->filled, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return EndReason::kNone;
    if (n <= 0) return broken(&flow != &to_server_);
    flow.pipe->filled -= static_cast<std::size_t>(n);
  }
  return EndReason::kNone;
}

EndReason Relay::drain(Flow& flow) {
  if (flow.pipe) {
    const EndReason end = drain_pipe(flow);
    if (end != EndReason::kNone) return end;
  } else {
    // Until the socket is full: only then a new edge says that there is room again. TLS takes one
    // record at a time.
    Backlog& backlog = *flow.backlog;
    while (backlog.sent < backlog.bytes.size()) {
      const IoResult put = sink(flow).write(std::span(backlog.bytes).subspan(backlog.sent));
      if (put.io == Io::kAgain) return EndReason::kNone;
      if (put.io != Io::kSome) return broken(&flow != &to_server_);
      backlog.sent += put.size;
    }
    flow.backlog.reset();
  }
  return flow.eof && !blocked(flow) ? pass_on_eof(flow) : EndReason::kNone;
}

EndReason Relay::source_finished(Flow& flow) {
  flow.eof = true;
  return blocked(flow) ? EndReason::kNone : pass_on_eof(flow);
}

// A client may finish sending and still want its answers, so its end is passed on and the server's
// bytes go on. A server that has finished has closed: PostgreSQL does not half-close.
EndReason Relay::pass_on_eof(Flow& flow) {
  flow.passed_on = true;
  if (&flow == &to_client_) return server_end();
  if (!goodbye_said()) sink(flow).finish_writing();
  return to_client_.eof ? EndReason::kClientClosed : EndReason::kNone;
}

// The client said goodbye where it could not be read (TLS passed through, a goodbye that was
// spliced), and its end is on the way in: the server that closes after that has done as it was
// told.
bool Relay::client_left() const {
  pollfd look{client_.fd(), POLLRDHUP, 0};
  return client_finished() || (::poll(&look, 1, 0) == 1 && (look.revents & POLLNVAL) == 0);
}

EndReason Relay::server_end() const {
  if (client_left()) return EndReason::kClientClosed;
  if (from_server_.ending() == ServerStream::Ending::kLoginError) return EndReason::kServerRefused;
  // Out of sight the server may well have said why.
  const bool said_why = !visible_ || from_server_.ending() != ServerStream::Ending::kNone;
  return said_why ? EndReason::kServerClosed : EndReason::kServerAborted;
}

EndReason Relay::broken(bool client_side) const {
  if (client_side) return client_finished() ? EndReason::kClientClosed : EndReason::kClientAborted;
  // A server that was told goodbye may reset the connection; it owes nobody anything.
  if (client_left()) return EndReason::kClientClosed;
  return from_server_.ending() == ServerStream::Ending::kNone ? EndReason::kServerAborted
                                                              : server_end();
}

bool Relay::can_send_error() const {
  return visible_ && !blocked(to_client_) && from_server_.can_send_error();
}

}  // namespace pgsteer
