// The bytes of one session, both ways, until someone is done. The hot path: a readiness costs one
// receive and one send; nothing is allocated, locked or logged for a message.
//
// Buffers belong to the worker, not to the session: what a receiver does not take at once is kept
// aside (Backlog) and its sender is not read until it is gone. A long one-way stream is spliced
// through a pipe, which it holds only while there are bytes in it. Message framing is then lost,
// but the last bytes before the stream comes to rest are read: they show its end, and framing is
// picked up again there.
//
// Owned by a session, used on its worker's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxy/net/connection.h"
#include "proxy/net/peer_silence.h"
#include "proxy/net/pipe_pool.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/end_reason.h"
#include "proxy/wire/message.h"
#include "proxy/wire/stream_tail.h"

namespace pgsteer {

// How much is moved at once. Only tests choose other sizes, to reach every path with few bytes.
struct RelaySizes {
  std::size_t read = 64 << 10;
  std::size_t splice_turn = 256 << 10;  // before its neighbours have their turn
  std::size_t thin = 16 << 10;          // a splicing turn that moves less is thin
  std::size_t tail = kStreamTail;
};

// What the sessions of a worker share while relaying.
struct RelayResources {
  static constexpr std::size_t kBuffer = 64 << 10;

  std::span<std::byte> read_buffer() { return std::span(buffer).first(sizes.read); }

  explicit RelayResources(Poller& watching) : poller(watching) {}

  Poller& poller;
  PipePool pipes;
  RelaySizes sizes;
  alignas(64) std::array<std::byte, kBuffer> buffer{};
};

class Relay {
 public:
  Relay(RelayResources& resources, Connection& client, Connection& server)
      : resources_(resources), client_(client), server_(server) {}
  ~Relay();

  // Begins. `visible`: the bytes are PostgreSQL messages in clear. `bytes` outlives the relay.
  // False if the kernel refuses to watch.
  bool begin(bool visible, ByteCounters::Pair* bytes);

  // Passes on bytes that the session read itself: the server's first answer.
  EndReason feed_from_server(std::span<const std::byte> bytes);
  // Takes note of bytes from the client that have been sent on already, with the startup packet.
  void note_sent(std::span<const std::byte> bytes);

  // To be called with the readiness of either side. EndReason::kNone: goes on.
  EndReason on_ready(bool client_side, std::uint32_t events);

  // Ends the session if one of its peers is gone: see PeerSilence. To be called again and again, if
  // worth_a_look(): something was sent since the last look, or was still outstanding then. Costs
  // two system calls (1.2 µs); for an idle session, the look at its counters.
  EndReason look_at_peers(PeerSilence::Clock::time_point now,
                          PeerSilence::Clock::time_point counts_from,
                          PeerSilence::Clock::duration limit);
  bool worth_a_look() const {
    return bytes_in_ + bytes_out_ != looked_at_ || client_silence_.outstanding() ||
           server_silence_.outstanding() || blocked(to_server_) || blocked(to_client_);
  }
  // Nothing has moved for `silence`, and what moved last came from the server: where messages
  // cannot be read, that is all that is known of an idle session. To be called again and again;
  // what was before the first call does not count.
  bool silent_since_answer(PeerSilence::Clock::time_point now,
                           PeerSilence::Clock::duration silence);

  // An ErrorResponse may be written to the client now.
  bool can_send_error() const;
  bool visible() const { return visible_; }
  bool client_finished() const {
    return (to_server_.eof && !to_server_.failed) || from_client_.terminated() || tls_goodbye_;
  }
  // Not while there are bytes in a pipe: those have not been looked at yet.
  bool idle() const {
    return visible_ && !to_server_.pipe && !to_client_.pipe &&
           pgsteer::idle(from_server_, from_client_);
  }
  ServerStream& server_stream() { return from_server_; }
  const ServerStream& server_stream() const { return from_server_; }
  const ClientStream& client_stream() const { return from_client_; }
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  // Bytes that were read and that the receiver has not taken yet.
  struct Backlog {
    std::vector<std::byte> bytes;
    std::size_t sent = 0;
  };
  // One direction.
  struct Flow {
    std::unique_ptr<Backlog> backlog;
    std::unique_ptr<Pipe> pipe;   // while spliced bytes are in it
    std::uint8_t full_reads = 0;  // in a row: this is a stream
    std::uint8_t thin_turns = 0;  // in a row, while splicing: the stream is over
    bool splicing = false;
    bool eof = false;        // its source has finished
    bool failed = false;     // its receiver takes no more: what it is sent is dropped
    bool passed_on = false;  // the receiver has been told of the end
    bool gap = false;        // spliced bytes went by; framing is to be regained
  };

  Connection& source(const Flow& flow) { return &flow == &to_server_ ? client_ : server_; }
  Connection& sink(const Flow& flow) { return &flow == &to_server_ ? server_ : client_; }
  // The receiver is full.
  bool blocked(const Flow& flow) const {
    return flow.backlog || (flow.pipe && flow.pipe->filled > tail_size(flow));
  }
  std::size_t tail_size(const Flow& flow) const;
  // Bytes that may be spliced next.
  std::size_t may_take_unseen(const Flow& flow) const;

  EndReason pump(Flow& flow, bool to_the_end);
  EndReason rearm(Flow& flow);
  EndReason drain(Flow& flow);
  EndReason deliver(Flow& flow, std::span<const std::byte> bytes);
  EndReason forward(Flow& flow, std::span<const std::byte> bytes);
  void follow(Flow& flow, std::span<const std::byte> bytes, bool last);
  void count(const Flow& flow, std::size_t size);
  EndReason source_finished(Flow& flow);
  EndReason pass_on_eof(Flow& flow);
  EndReason write_failed(Flow& flow);
  EndReason broken(bool client_side) const;
  EndReason server_end() const;
  bool client_left() const;
  bool goodbye_said() const;

  // relay_splice.cc
  void consider_splicing(Flow& flow, std::size_t size);
  bool may_splice(const Flow& flow) const;
  bool take_pipe(Flow& flow);
  EndReason splice_turn(Flow& flow);
  EndReason drain_pipe(Flow& flow);
  EndReason read_tail(Flow& flow);
  void pass_unseen(Flow& flow, std::size_t size);
  bool more_to_read(Flow& flow);
  void stop_splicing(Flow& flow);

  bool watch();

  RelayResources& resources_;
  Connection& client_;
  Connection& server_;
  ByteCounters::Pair* bytes_ = nullptr;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t looked_at_ = 0;  // bytes moved until then
  std::uint64_t silent_at_ = 0;
  PeerSilence::Clock::time_point silent_from_{};
  PeerSilence client_silence_;
  PeerSilence server_silence_;
  Flow to_server_;
  Flow to_client_;
  ClientStream from_client_;
  ServerStream from_server_;
  bool visible_ = false;
  bool tls_goodbye_ = false;  // not visible: the client's last bytes were a TLS alert
  bool server_spoke_last_ = false;
};

}  // namespace pgsteer
