// How a relay moves long streams through a pipe.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "proxy/session/relay.h"

namespace pgsteer {

namespace {

// Reads that filled the buffer, in a row, before a direction counts as a stream. A result set of a
// few hundred kilobytes is over before that and never pays for a pipe.
constexpr std::uint8_t kStreamReads = 4;
// Turns that moved little, in a row, after which a splicing direction is copied again.
constexpr std::uint8_t kThinTurns = 3;

}  // namespace

void Relay::consider_splicing(Flow& flow, std::size_t size) {
  if (size < resources_.sizes.read) return;
  if (flow.full_reads < kStreamReads) ++flow.full_reads;
  if (flow.full_reads < kStreamReads || sink(flow).tls) return;
  if (!may_splice(flow)) return;
  flow.splicing = true;
  flow.thin_turns = 0;
}

bool Relay::may_splice(const Flow& flow) const {
  if (!visible_) return true;
  // Login facts are still being gathered: every message is needed.
  if (&flow == &to_client_) return from_server_.login_done();
  // Only what asks nothing of the server: the data of a COPY, or the body of one long message. The
  // requests of a batch have to be counted.
  return from_client_.copy_in() || from_client_.body_left() >= resources_.sizes.read;
}

// Without a pipe this turn is copied, and the next one asks again.
bool Relay::take_pipe(Flow& flow) {
  if (!flow.pipe) flow.pipe = resources_.pipes.take();
  return flow.pipe != nullptr;
}

void Relay::stop_splicing(Flow& flow) {
  flow.splicing = false;
  flow.full_reads = 0;
}

// So many bytes stay in the pipe until it is known that others follow; if none do, they are read.
std::size_t Relay::tail_size(const Flow& flow) const {
  // Of TLS only the client's goodbye can be told from other records.
  return visible_ || &flow == &to_server_ ? resources_.sizes.tail : 0;
}

// Of one long message no more than its body: what follows is to be seen.
std::size_t Relay::may_take_unseen(const Flow& flow) const {
  if (!visible_ || &flow == &to_client_ || from_client_.copy_in() || from_client_.opaque()) {
    return std::numeric_limits<std::size_t>::max();
  }
  const std::size_t left = from_client_.body_left();
  return left - std::min(left, flow.pipe->filled);
}

// The tail costs a read and a small send when the source has nothing more, and nothing while the
// stream flows.
EndReason Relay::splice_turn(Flow& flow) {
  const bool from_client = &flow == &to_server_;
  const std::size_t most = resources_.sizes.splice_turn;
  std::size_t moved = 0;
  bool finished = false;
  while (moved < most && !finished) {
    const std::size_t size = std::min({most, flow.pipe->capacity, may_take_unseen(flow)});
    if (size == 0) break;
    const ssize_t n = ::splice(source(flow).fd(), nullptr, flow.pipe->write.get(), nullptr, size,
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n < 0) {
      const EndReason end = read_tail(flow);
      return end != EndReason::kNone ? end : broken(from_client);
    }
    finished = n == 0;
    flow.pipe->filled += static_cast<std::size_t>(n);
    moved += static_cast<std::size_t>(n);
    if (n > 0) count(flow, static_cast<std::size_t>(n));
    const EndReason end = drain_pipe(flow);
    if (end != EndReason::kNone || !flow.pipe || blocked(flow)) return end;
  }
  if (moved >= most && more_to_read(flow)) return rearm(flow);
  const EndReason end = read_tail(flow);
  if (end != EndReason::kNone) return end;
  if (finished) return source_finished(flow);
  if (from_client && goodbye_said()) return source_finished(flow);
  flow.thin_turns = moved >= resources_.sizes.thin ? std::uint8_t{0}
                                                   : static_cast<std::uint8_t>(flow.thin_turns + 1);
  if (flow.thin_turns >= kThinTurns) stop_splicing(flow);
  if (blocked(flow)) return EndReason::kNone;
  // A pipe whose slots were full of tiny segments looks like a source that is empty.
  return moved < most && !more_to_read(flow) ? EndReason::kNone : rearm(flow);
}

bool Relay::more_to_read(Flow& flow) {
  std::byte one{};
  return ::recv(source(flow).fd(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Down to the tail. A last segment that is not full waits for the tail (SPLICE_F_MORE), which
// follows at once.
EndReason Relay::drain_pipe(Flow& flow) {
  const std::size_t keep = tail_size(flow);
  while (flow.pipe->filled > keep) {
    const ssize_t n =
        ::splice(flow.pipe->read.get(), nullptr, sink(flow).fd(), nullptr, flow.pipe->filled - keep,
                 SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (keep > 0 ? SPLICE_F_MORE : 0U));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return EndReason::kNone;
    if (n <= 0) return write_failed(flow);
    flow.pipe->filled -= static_cast<std::size_t>(n);
    pass_unseen(flow, static_cast<std::size_t>(n));
  }
  return EndReason::kNone;
}

void Relay::pass_unseen(Flow& flow, std::size_t size) {
  if (!visible_) return;
  if (&flow == &to_server_) {
    from_client_.skip(size);
    flow.gap = from_client_.opaque();
  } else {
    from_server_.skip(size);
    flow.gap = from_server_.opaque();
  }
}

// The source has nothing more for now. What is left in the pipe is looked at on its way, and the
// pipe goes back.
EndReason Relay::read_tail(Flow& flow) {
  std::size_t have = 0;
  const std::span<std::byte> buffer = resources_.buffer;
  while (flow.pipe->filled > 0) {
    const ssize_t n = ::read(flow.pipe->read.get(), buffer.data() + have, flow.pipe->filled);
    if (n <= 0) break;
    flow.pipe->filled -= static_cast<std::size_t>(n);
    have += static_cast<std::size_t>(n);
  }
  resources_.pipes.give_back(std::move(flow.pipe));
  if (have == 0) return EndReason::kNone;
  const bool was_lost = flow.gap;
  const EndReason end = forward(flow, buffer.first(have));
  // The end of the stream was seen.
  if (was_lost && !flow.gap) stop_splicing(flow);
  return end;
}

}  // namespace pgsteer
