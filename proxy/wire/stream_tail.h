// What the last bytes of a stream say where its messages could not be followed. Pure.
//
// Nothing is certain here: the bytes of a row may look like a message. Each function says how
// likely that is; its callers ask only about bytes after which the stream came to rest.
#pragma once

#include <cstddef>
#include <span>

namespace pgsteer {

// A look at this many bytes is enough for all of them, but for the rare error with a longer text.
inline constexpr std::size_t kStreamTail = 512;

// From the server: a complete CommandComplete, ErrorResponse, PortalSuspended or CloseComplete.
// Followed by a ReadyForQuery this ends an answer. Text cannot imitate it, since it has no zero
// bytes; binary data would have to contain the length of what precedes.
bool ends_with_answer(std::span<const std::byte> bytes);

// The body of the ErrorResponse that `bytes` end with; empty if they do not.
std::span<const std::byte> last_error_body(std::span<const std::byte> bytes);

// From the client: CopyDone, or CopyDone and Sync. The rows of a binary COPY can well contain these
// five or ten bytes.
bool ends_with_copy_done(std::span<const std::byte> bytes, bool and_sync);

// From either side, inside TLS: an alert, in practice the close_notify that ends a connection. In
// TLS 1.3 alerts are encrypted; no other record of PostgreSQL is as short (its shortest message has
// five bytes, an alert has two; RFC 8446 5.2 and 6).
bool ends_with_tls_alert(std::span<const std::byte> bytes);

}  // namespace pgsteer
