// Message framing after the startup packet: finds where messages begin and end. It reads only what
// pgsteer needs to know: whether the session is idle or busy, where it may insert its own
// ErrorResponse, and the facts of a login. Pure. Owned by one session, used only on its worker's
// thread.
//
// Bodies are read only for the few types that matter. Nothing is allocated after the login except
// for an error that arrives in pieces.
//
// Feed bytes in the order and at the moment they are forwarded. If framing is lost (an impossible
// length, or bytes spliced past the process), the stream becomes opaque: it accepts bytes without
// reading them, and neither idle() nor can_send_error() returns true by mistake. Facts:
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

// The complete Terminate message.
inline constexpr std::string_view kTerminate{"X\0\0\0\4", 5};
bool is_terminate(std::span<const std::byte> bytes);

// Client to server: counts the answers that are due. The server ends its answer to each Query, Sync
// and FunctionCall with one ReadyForQuery. This stream counts requests up and ServerStream counts
// answers down, so due() == 0 when everything is answered.
//
// COPY FROM STDIN is the exception: the server ignores a Sync between its CopyInResponse and the
// client's CopyDone or CopyFail (copyfromparse.c), and libpq sends exactly that: Execute, Sync,
// data, CopyDone, Sync gets one ReadyForQuery. So when a CopyDone or CopyFail passes after a
// CopyInResponse, the early Sync is subtracted. If the COPY fails it is added again: the server may
// have failed before it read the Sync, and then answers it. (If it did not, the session stays
// busy.) A client that sends several early Syncs, or all of this without waiting for the
// CopyInResponse, makes the count uncertain for the rest of the session.
//
// If the count is wrong, it errs on the side of busy: a Query that the server skips after an error
// (extended protocol without Sync) stays due; a ReadyForQuery that was not due makes the count
// uncertain.
class ClientStream {
 public:
  void advance(std::span<const std::byte> bytes);

  bool terminated() const { return terminated_; }  // the client has sent Terminate
  bool at_boundary() const { return cursor_.at_boundary(); }
  bool opaque() const { return cursor_.broken(); }
  bool certain() const { return !uncertain_ && !opaque(); }
  std::uint32_t due() const { return due_; }
  // Extended-protocol messages were sent without a Sync: the server may be working, but no answer
  // is due.
  bool unsynced() const { return unsynced_; }
  bool copy_in() const { return copy_in_; }  // COPY FROM STDIN is running
  std::uint32_t body_left() const { return cursor_.body_left(); }

  // `count` bytes were forwarded unseen (spliced). Framing survives if they lie inside one body.
  // After a gap in a COPY FROM STDIN it comes back with the server's ReadyForQuery if the COPY
  // succeeded, so that the server has read the data as such, and if the last bytes before that were
  // given to advance() and end with its CopyDone (and the Sync of an extended query). (A client
  // that has sent a second CopyDone by then is misjudged: it seems idle until the next answer.)
  void skip(std::uint64_t count);
  void make_opaque() { cursor_.lose(); }

 private:
  friend class ServerStream;
  void count(char type);
  void note_tail(std::span<const std::byte> bytes);
  void restart();
  void copy_ended();
  void on_copy_in();  // CopyInResponse
  void on_error();    // ErrorResponse
  void on_ready();    // ReadyForQuery
  void on_ready_after_gap();
  void on_ready_unframed();

  MessageCursor cursor_;
  std::uint32_t due_ = 0;
  std::uint32_t syncs_ = 0;  // since the last message that may have started a COPY
  bool unsynced_ = false;
  bool copy_in_ = false;
  bool uncertain_ = false;
  bool terminated_ = false;
  bool gap_ = false;         // opaque because of skip(), not because the bytes made no sense
  bool copy_done_ = false;   // opaque, and the last bytes look like the end of a COPY
  bool early_sync_ = false;  // was subtracted, and the COPY has not failed so far
};
static_assert(sizeof(ClientStream) <= 32);

// The facts of the login. Exists until release_login().
struct LoginFacts {
  std::uint32_t authentication = 0;    // last request's code (protocol.sgml AuthenticationOk ...)
  bool authenticated = false;          // AuthenticationOk has been seen
  std::optional<bool> in_hot_standby;  // ParameterStatus, PostgreSQL 14 and later
  std::string server_version;          // ParameterStatus, at most 64 bytes
  std::uint32_t negotiated_protocol = 0;  // NegotiateProtocolVersion; 0: not sent
  bool has_key = false;                   // BackendKeyData has been seen completely
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
  // Call when login_done() and the facts are no longer needed: frees about 600 bytes. Does nothing
  // before login_done().
  void release_login();

  // How the server announced the end of the session, if it did, and the SQLSTATE. An error replaces
  // a notice; nothing replaces an error.
  Ending ending() const { return ending_; }
  std::string_view sqlstate() const;  // empty if ending() is kNone, or if the server named none

  char status() const { return status_; }          // last ReadyForQuery: I, T or E; 0: none
  bool replicating() const { return copy_both_; }  // CopyBothResponse was seen: never idle
  bool at_boundary() const { return cursor_.at_boundary(); }
  bool opaque() const { return cursor_.broken(); }
  std::uint32_t body_left() const { return cursor_.body_left(); }

  // pgsteer may send its own ErrorResponse to the client now, whether the session is idle or busy:
  // it is at a message boundary, and the server has not sent a final error itself.
  bool can_send_error() const {
    return at_boundary() && ending_ != Ending::kFatal && ending_ != Ending::kLoginError;
  }

  // `count` bytes were forwarded unseen (spliced). Framing survives if they lie inside one body.
  void skip(std::uint64_t count);
  void make_opaque();
  // After a gap: `chunk` is the latest piece forwarded. If it is a ReadyForQuery, or ends with one
  // that follows a message that completes an answer (see ends_with_answer), framing is regained;
  // otherwise it stays lost. The count is regained too if one answer was due. Otherwise it is
  // uncertain from now on: the gap may hold answers, or the client has sent ahead. A FATAL error at
  // the end of `chunk` is noted as ending(). (A row whose bytes imitate both messages at the very
  // end of a chunk would be misread, but affects only its own session.)
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
  void note_last_words(std::span<const std::byte> chunk);

  MessageCursor cursor_;
  std::unique_ptr<Scratch> scratch_;  // during login, and while an error is in pieces
  std::array<char, 5> sqlstate_{};
  Ending ending_ = Ending::kNone;
  char status_ = 0;
  bool login_done_ = false;
  bool copy_both_ = false;
};

// Nothing is running and nothing is due: the last ReadyForQuery had status I, every request is
// answered, no extended query is in progress, and neither stream is inside a message. (Notices,
// parameters and notifications may arrive in between.) False if unknown; never true for
// replication. Session state such as temporary tables may still exist.
bool idle(const ServerStream& server, const ClientStream& client);

}  // namespace pgsteer
