// The bytes of one session, both ways, until someone is done. The hot path: a readiness costs one
// receive and one send; nothing is allocated, locked or logged for a message.
//
// Buffers belong to the worker, not to the session: what a receiver does not take at once is kept
// aside (Backlog) and its sender is not read until it is gone. A long one-way stream is spliced
// through a pipe; message framing is then lost and, at its end, picked up again where that is safe.
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
#include "proxy/net/pipe_pool.h"
#include "proxy/routing/counters.h"
#include "proxy/routing/end_reason.h"
#include "proxy/wire/message.h"

namespace pgsteer {

// What the sessions of a worker share while relaying.
struct RelayResources {
  static constexpr std::size_t kBuffer = 64 << 10;

  explicit RelayResources(Poller& watching) : poller(watching) {}

  Poller& poller;
  PipePool pipes;
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

  // To be called with the readiness of either side. EndReason::kNone: goes on.
  EndReason on_ready(bool client_side, std::uint32_t events);

  // An ErrorResponse may be written to the client now.
  bool can_send_error() const;
  bool visible() const { return visible_; }
  bool client_finished() const { return to_server_.eof || from_client_.terminated(); }
  bool idle() const { return visible_ && pgsteer::idle(from_server_, from_client_); }
  ServerStream& server_stream() { return from_server_; }
  const ServerStream& server_stream() const { return from_server_; }
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
    std::unique_ptr<Pipe> pipe;   // while splicing
    std::uint8_t full_reads = 0;  // in a row: this is a stream
    std::uint8_t thin_turns = 0;  // in a row, while splicing: the stream is over
    bool eof = false;             // its source has finished
    bool passed_on = false;       // and its receiver has been told
    bool gap = false;             // spliced bytes went by; framing is to be regained
    bool no_pipe = false;         // none was to be had: copy
  };

  Connection& source(const Flow& flow) { return &flow == &to_server_ ? client_ : server_; }
  Connection& sink(const Flow& flow) { return &flow == &to_server_ ? server_ : client_; }
  bool blocked(const Flow& flow) const { return flow.backlog || (flow.pipe && flow.pipe->filled); }

  EndReason pump(Flow& flow, bool to_the_end);
  EndReason rearm(Flow& flow);
  EndReason splice_turn(Flow& flow);
  EndReason drain(Flow& flow);
  EndReason drain_pipe(Flow& flow);
  void consider_splicing(Flow& flow, std::size_t size);
  void stop_splicing(Flow& flow);
  EndReason deliver(Flow& flow, std::span<const std::byte> bytes);
  void follow(Flow& flow, std::span<const std::byte> bytes, bool last);
  void count(const Flow& flow, std::size_t size);
  EndReason source_finished(Flow& flow);
  EndReason pass_on_eof(Flow& flow);
  EndReason broken(bool client_side) const;
  EndReason server_end() const;
  bool client_left() const;
  bool goodbye_next() const;
  bool goodbye_said() const;
  bool watch();

  RelayResources& resources_;
  Connection& client_;
  Connection& server_;
  ByteCounters::Pair* bytes_ = nullptr;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  Flow to_server_;
  Flow to_client_;
  ClientStream from_client_;
  ServerStream from_server_;
  bool visible_ = false;
};

}  // namespace pgsteer
