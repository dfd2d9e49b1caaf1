// Client to server; see message.h.
#include "proxy/wire/bytes.h"
#include "proxy/wire/message.h"
#include "proxy/wire/stream_tail.h"

namespace pgsteer {

bool is_terminate(std::span<const std::byte> bytes) { return text(bytes) == kTerminate; }

void ClientStream::advance(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (opaque()) return note_tail(bytes);
  cursor_.advance(
      bytes, [this](char type, std::uint32_t, std::uint32_t offset, std::span<const std::byte>) {
        if (offset == 0) count(type);
      });
}

// Without framing. Terminate is usually sent in a chunk of its own. The end of a COPY counts only
// if the server answers it before another byte follows: rows of a binary COPY may look like it, and
// a client that sends ahead may have requests in the gap. A COPY begun by a Query ends without a
// Sync: one behind it has an answer of its own.
void ClientStream::note_tail(std::span<const std::byte> bytes) {
  if (is_terminate(bytes)) terminated_ = true;
  const bool by_query = due_ != syncs_;
  copy_done_ = gap_ && due_ <= 1 && ends_with_copy_done(bytes, !by_query);
}

void ClientStream::count(char type) {
  switch (type) {
    case 'Q':  // Query
      ++due_;
      syncs_ = 0;
      unsynced_ = false;
      break;
    case 'S':  // Sync
      ++due_;
      ++syncs_;
      unsynced_ = false;
      break;
    case 'F':  // FunctionCall
      ++due_;
      unsynced_ = false;
      break;
    case 'E':  // Execute
      syncs_ = 0;
      unsynced_ = true;
      break;
    case 'B':  // Bind, Close, Describe, Parse
    case 'C':
    case 'D':
    case 'P':
      unsynced_ = true;
      break;
    case 'c':  // CopyDone, CopyFail
    case 'f':
      copy_ended();
      break;
    case 'X':  // Terminate
      terminated_ = true;
      break;
    default:  // CopyData, Flush, a password
      break;
  }
}

void ClientStream::copy_ended() {
  if (syncs_ != 0) {
    if (copy_in_ && syncs_ == 1 && due_ != 0 && !early_sync_) {
      --due_;
      early_sync_ = true;
      unsynced_ = true;
    } else {
      uncertain_ = true;
    }
  }
  syncs_ = 0;
  copy_in_ = false;
}

void ClientStream::skip(std::uint64_t bytes) {
  if (bytes == 0) return;
  copy_done_ = false;
  // A message of which only the header was copied has not been counted yet.
  if (cursor_.unvisited() && bytes <= cursor_.body_left()) count(cursor_.type());
  // Outside a COPY the gap may hold any number of requests.
  gap_ = gap_ || (!opaque() && copy_in_);
  cursor_.skip(bytes);
  gap_ = gap_ && opaque();
}

// Everything is answered, and the next byte starts a message.
void ClientStream::restart() {
  cursor_.restart();
  due_ = syncs_ = 0;
  unsynced_ = copy_done_ = gap_ = false;
}

void ClientStream::on_copy_in() { copy_in_ = true; }

// Of a COPY that fails the server ignores the rest, but answers each Sync that it reads afterwards.
void ClientStream::on_error() {
  if (copy_in_) syncs_ = 0;
  if (early_sync_) ++due_;
  copy_in_ = early_sync_ = false;
}

void ClientStream::on_ready() {
  if (opaque()) {
    on_ready_unframed();
    return;
  }
  copy_in_ = early_sync_ = false;
  if (due_ == 0) {
    uncertain_ = true;
    return;
  }
  --due_;
  if (due_ == 0) syncs_ = 0;
}

// The client's framing is lost. If a COPY FROM STDIN that has not failed was all that was running,
// and the client has ended it, this answers it, and the client's next byte starts a message.
void ClientStream::on_ready_unframed() {
  if (copy_in_ && copy_done_ && !uncertain_) restart();
  copy_in_ = gap_ = copy_done_ = false;
}

// Errors may have passed unseen.
void ClientStream::on_ready_after_gap() {
  on_error();
  if (opaque()) {
    on_ready_unframed();
  } else if (due_ == 1) {
    on_ready();
  } else {
    uncertain_ = true;
  }
}

}  // namespace pgsteer
