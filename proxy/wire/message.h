// Message framing after the startup packet: where messages begin and end, and as little of what
// they say as pgsteer needs to tell idle from busy, to know where an ErrorResponse of its own may
// stand, and to see what a login brings. Pure. Owned by one session, used on its worker's thread
// alone.
//
// Headers are hopped over; bodies are touched only for the few types that matter. Nothing is
// allocated after the login except for an error that arrives in pieces.
//
// Feed bytes in the order and at the moment they are forwarded. Framing that is lost (an impossible
// length, or bytes spliced past the process) makes a stream opaque: it takes bytes and knows
// nothing, and neither idle() nor can_send_error() is ever true by mistake for it. Facts:
// protocol.sgml 55.2, 55.7; tcop/postgres.c.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/wire/first_packet.h"
#include "proxy/wire/message_cursor.h"

namespace pgsteer {

// A client's goodbye, whole and nothing else.
inline constexpr std::string_view kTerminate{"X\0\0\0\4", 5};
bool is_terminate(std::span<const std::byte> bytes);

// Client to server: how many answers are due. The server ends its answer to each Query, Sync and
// FunctionCall with one ReadyForQuery; the stream counts them up here and the server's stream
// counts them down, so that due() == 0 when all is answered.
//
// COPY FROM STDIN is the exception: the server ignores a Sync between its CopyInResponse and the
// client's CopyDone or CopyFail (copyfromparse.c), and libpq sends exactly that: Execute, Sync,
// data, CopyDone, Sync draws one ReadyForQuery. So when a CopyDone or CopyFail passes while a
// CopyInResponse is open, the Syncs since the last Query or Execute are taken back. A client that
// sends all of this blindly, before the CopyInResponse, makes the count uncertain for the rest of
// the session.
//
// Where the count errs it errs to busy: a Query that the server skips after an error (extended
// protocol without Sync) stays due; a ReadyForQuery that was not due makes the count uncertain.
class ClientStream {
 public:
  void advance(std::span<const std::byte> bytes);

  bool terminated() const { return terminated_; }  // the client said goodbye: Terminate
  bool at_boundary() const { return cursor_.at_boundary(); }
  bool opaque() const { return cursor_.broken(); }
  bool certain() const { return !uncertain_ && !opaque(); }
  std::uint32_t due() const { return due_; }
  // Extended-protocol messages were sent and no Sync yet: work may go on that draws no answer.
  bool unsynced() const { return unsynced_; }
  bool copy_in() const { return copy_in_; }  // COPY FROM STDIN is running
  std::uint32_t body_left() const { return cursor_.body_left(); }

  // `count` bytes were forwarded unseen (spliced). Framing survives if they lie inside one body.
  void skip(std::uint64_t count);
  // Framing was lost in a COPY FROM STDIN that the server has since answered, and nothing has been
  // forwarded since: the next bytes are worth a resync_after_gap().
  bool answered_in_gap() const { return opaque() && answered_; }
  void make_opaque() { cursor_.lose(); }
  // After a gap: is `chunk`, the next bytes to forward, a place to pick up framing? Yes if the gap
  // fell into a COPY FROM STDIN that the server has since ended with a ReadyForQuery, and chunk
  // consists of whole client messages to its last byte. Then it is counted like by advance, and the
  // stream is certain again. False: chunk is taken as opaque.
  bool resync_after_gap(std::span<const std::byte> chunk);

 private:
  friend class ServerStream;
  void count(char type);
  void note_goodbye(std::span<const std::byte> bytes);
  void copy_ended();
  void on_copy_in();  // CopyInResponse
  void on_ready();    // ReadyForQuery
  void on_ready_after_gap();
  void on_ready_unframed();

  MessageCursor cursor_;
  std::uint32_t due_ = 0;
  std::uint32_t syncs_ = 0;  // since the last message that may have begun a COPY
  bool unsynced_ = false;
  bool copy_in_ = false;
  bool uncertain_ = false;
  bool pipelined_ = false;  // has ever sent a request before the one before was answered
  bool terminated_ = false;
  bool answered_ = false;  // opaque: the COPY of the gap has been answered
};
static_assert(sizeof(ClientStream) <= 32);

// What the login brought. Exists until release_login().
struct LoginFacts {
  std::uint32_t authentication = 0;    // last request's code (protocol.sgml AuthenticationOk ...)
  bool authenticated = false;          // AuthenticationOk has been seen
  std::optional<bool> in_hot_standby;  // ParameterStatus, PostgreSQL 14 and later
  std::string server_version;          // ParameterStatus, at most 64 bytes
  std::uint32_t negotiated_protocol = 0;  // NegotiateProtocolVersion; 0: not sent
  bool has_key = false;                   // BackendKeyData has been seen whole
  std::uint32_t pid = 0;
  std::uint16_t key_size = 0;  // 1..256
  std::array<std::byte, kMaxCancelKey> key_bytes{};

  std::span<const std::byte> key() const { return {key_bytes.data(), key_size}; }
};

// Server to client.
class ServerStream {
 public:
  enum class Ending : std::uint8_t {
    kNone,
    kLoginError,  // any ErrorResponse before the first ReadyForQuery
    kFatal,       // ErrorResponse with severity FATAL or PANIC
    kNotice,      // NoticeResponse 57P01 or 57P02: immediate shutdown or crash; no error follows
  };

  ServerStream();
  ~ServerStream();
  ServerStream(ServerStream&&) noexcept;
  ServerStream& operator=(ServerStream&&) noexcept;

  // `client` is the other direction of the same session; its count goes down.
  void advance(std::span<const std::byte> bytes, ClientStream& client);

  bool login_done() const { return login_done_; }  // the first ReadyForQuery has been seen
  // Valid from construction to release_login(), or to the loss of framing; then nullptr.
  const LoginFacts* login() const;
  // When login_done() and the facts are taken: frees about 600 bytes. Before that it does nothing.
  void release_login();

  // How the server announced the end, if it did, and the SQLSTATE that goes with it. An error
  // replaces a notice; nothing replaces an error.
  Ending ending() const { return ending_; }
  std::string_view sqlstate() const;  // empty if ending() is kNone, or if the server named none

  char status() const { return status_; }          // last ReadyForQuery: I, T or E; 0: none
  bool replicating() const { return copy_both_; }  // CopyBothResponse was seen: never idle
  bool at_boundary() const { return cursor_.at_boundary(); }
  bool opaque() const { return cursor_.broken(); }
  std::uint32_t body_left() const { return cursor_.body_left(); }

  // An ErrorResponse of pgsteer's own may be written to the client here, busy or not; the
  // server has not said its own.
  bool can_send_error() const {
    return at_boundary() && ending_ != Ending::kFatal && ending_ != Ending::kLoginError;
  }

  // `count` bytes were forwarded unseen (spliced). Framing survives if they lie inside one body.
  void skip(std::uint64_t count);
  void make_opaque();
  // After a gap: `chunk` is the latest piece forwarded. If it ends with a ReadyForQuery that is all
  // of it or follows a CommandComplete, framing is regained; else it stays lost. The count is
  // regained too if one answer was due, or if the client has never sent a request before the one
  // before was answered: then the last request is the one answered here. Otherwise it is uncertain
  // from now on. (A row whose text imitates both messages at the very end of a chunk could deceive
  // this; it deceives its own session only.)
  bool resync_after_gap(std::span<const std::byte> chunk, ClientStream& client);

 private:
  struct Scratch;
  void visit_login(char type, std::uint32_t size, std::uint32_t offset,
                   std::span<const std::byte> part, ClientStream& client);
  void visit(char type, std::uint32_t size, std::uint32_t offset, std::span<const std::byte> part,
             ClientStream& client);
  void on_login_message(char type, std::span<const std::byte> body, bool whole);
  void on_parameter(std::span<const std::byte> body);
  void on_report_piece(char type, std::uint32_t size, std::uint32_t offset,
                       std::span<const std::byte> part);
  void on_report(char type, std::span<const std::byte> body);
  void on_ready(std::byte status, ClientStream& client);

  MessageCursor cursor_;
  std::unique_ptr<Scratch> scratch_;  // during login, and while an error is in pieces
  std::array<char, 5> sqlstate_{};
  Ending ending_ = Ending::kNone;
  char status_ = 0;
  bool login_done_ = false;
  bool copy_both_ = false;
};

// Nothing is running and nothing is due: the last ReadyForQuery said idle, every request is
// answered, no extended query is under way, and neither side is inside a message. (Notices,
// parameters and notifications may come in between.) False whenever it cannot be known; never true
// for replication. Session state such as temporary tables may exist all the same.
bool idle(const ServerStream& server, const ClientStream& client);

}  // namespace pgsteer
