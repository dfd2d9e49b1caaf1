#include "proxy/session/relay.h"

#include <poll.h>

#include <utility>

#include "proxy/wire/stream_tail.h"

namespace pgsteer {

namespace {

// Reads in one direction before its neighbours have their turn.
constexpr int kReadsPerTurn = 4;

// While the receiver is full. A reset must be noticed all the same, once.
constexpr std::uint32_t kNotReading = EPOLLET;

}  // namespace

Relay::~Relay() {
  for (Flow* flow : {&to_server_, &to_client_}) {
    if (flow->pipe) resources_.pipes.give_back(std::move(flow->pipe));
  }
}

void Relay::note_sent(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  count(to_server_, bytes.size());
  if (visible_) from_client_.advance(bytes);
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
    const bool more = out.pipe || source(out).has_buffered();
    if (end == EndReason::kNone && !blocked(out) && more) end = pump(out, true);
  }
  const bool to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (end == EndReason::kNone && (to_the_end || (events & EPOLLIN) != 0) && !in.eof &&
      !blocked(in)) {
    end = pump(in, to_the_end);
  }
  if (end != EndReason::kNone) return end;
  // Nothing changes between two ordinary messages, so nothing is asked of the kernel.
  if ((was_blocked || blocked(in) || blocked(out)) && !watch()) return EndReason::kNoResources;
  return EndReason::kNone;
}

// `to_the_end`: a short read does not mean that the socket is empty, its end follows.
EndReason Relay::pump(Flow& flow, bool to_the_end) {
  for (int reads = 0;; ++reads) {
    if (flow.splicing && !flow.pipe && !may_splice(flow)) stop_splicing(flow);
    if (flow.splicing && take_pipe(flow)) return splice_turn(flow);
    if (reads >= kReadsPerTurn && !source(flow).has_buffered()) return rearm(flow);
    const IoResult got = source(flow).read(resources_.read_buffer());
    if (got.io == Io::kAgain) return EndReason::kNone;
    if (got.io == Io::kEof) return source_finished(flow);
    if (got.io == Io::kError) return broken(&flow == &to_server_);
    const EndReason end = deliver(flow, std::span(resources_.buffer).first(got.size));
    if (end != EndReason::kNone || blocked(flow)) return end;
    if (&flow == &to_server_ && goodbye_said()) return source_finished(flow);
    if (source(flow).tls) continue;  // records hide what the socket still holds
    if (got.size < resources_.sizes.read && !to_the_end) {
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

EndReason Relay::deliver(Flow& flow, std::span<const std::byte> bytes) {
  count(flow, bytes.size());
  return forward(flow, bytes);
}

// Forwards bytes, and keeps aside what the receiver does not take.
EndReason Relay::forward(Flow& flow, std::span<const std::byte> bytes) {
  if (visible_) {
    follow(flow, bytes, bytes.size() < resources_.sizes.read);
  } else if (&flow == &to_server_) {
    tls_goodbye_ = ends_with_tls_alert(bytes);
  }
  if (flow.failed) return EndReason::kNone;
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const IoResult put = sink(flow).write(bytes.subspan(sent));
    if (put.io == Io::kSome) {
      sent += put.size;
      if (!sink(flow).tls) break;  // the kernel took what it has room for
      continue;
    }
    if (put.io == Io::kAgain) break;
    return write_failed(flow);
  }
  if (sent < bytes.size()) {
    flow.backlog = std::make_unique<Backlog>();
    flow.backlog->bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(sent), bytes.end());
  }
  return EndReason::kNone;
}

void Relay::follow(Flow& flow, std::span<const std::byte> bytes, bool last) {
  if (&flow == &to_server_) {
    from_client_.advance(bytes);
  } else if (flow.gap && from_server_.opaque()) {
    if (last) from_server_.resync_after_gap(bytes, from_client_);
    flow.gap = from_server_.opaque();
  } else {
    from_server_.advance(bytes, from_client_);
  }
}

void Relay::count(const Flow& flow, std::size_t size) {
  server_spoke_last_ = &flow == &to_client_;
  if (&flow == &to_server_) {
    bytes_in_ += size;
    bytes_->in.add(size);
  } else {
    bytes_out_ += size;
    bytes_->out.add(size);
  }
}

EndReason Relay::drain(Flow& flow) {
  if (flow.pipe) {
    const EndReason end = drain_pipe(flow);
    if (end != EndReason::kNone || flow.failed) return end;
  } else {
    // Until the socket is full: only then a new edge says that there is room again. TLS takes one
    // record at a time.
    Backlog& backlog = *flow.backlog;
    while (backlog.sent < backlog.bytes.size()) {
      const IoResult put = sink(flow).write(std::span(backlog.bytes).subspan(backlog.sent));
      if (put.io == Io::kAgain) return EndReason::kNone;
      if (put.io != Io::kSome) return write_failed(flow);
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

// A server that says its last words and closes while bytes of the client are still on their way to
// it resets the connection. What it said is there to be read all the same, and comes first: it
// tells the client why. From here on the client's bytes go nowhere; the server's end follows its
// words.
EndReason Relay::write_failed(Flow& flow) {
  if (&flow == &to_client_) return broken(true);
  flow.failed = flow.eof = flow.passed_on = true;
  flow.backlog.reset();
  if (flow.pipe) resources_.pipes.give_back(std::move(flow.pipe));
  flow.splicing = false;
  return blocked(to_client_) || to_client_.eof ? EndReason::kNone : pump(to_client_, true);
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

EndReason Relay::look_at_peers(PeerSilence::Clock::time_point now,
                               PeerSilence::Clock::time_point counts_from,
                               PeerSilence::Clock::duration limit) {
  looked_at_ = bytes_in_ + bytes_out_;
  const auto to_client = delivery_of(client_.fd());
  if (to_client && client_silence_.look(*to_client, now, counts_from, limit)) return broken(true);
  const auto to_server = delivery_of(server_.fd());
  if (to_server && server_silence_.look(*to_server, now, counts_from, limit)) return broken(false);
  return EndReason::kNone;
}

bool Relay::silent_since_answer(PeerSilence::Clock::time_point now,
                                PeerSilence::Clock::duration silence) {
  const std::uint64_t moved = bytes_in_ + bytes_out_;
  if (moved != silent_at_ || silent_from_ == PeerSilence::Clock::time_point{}) silent_from_ = now;
  silent_at_ = moved;
  const bool delivered = !blocked(to_server_) && !blocked(to_client_);
  return server_spoke_last_ && delivered && now - silent_from_ >= silence;
}

bool Relay::can_send_error() const {
  return visible_ && !blocked(to_client_) && from_server_.can_send_error();
}

}  // namespace pgsteer
