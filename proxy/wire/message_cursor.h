// Follows the messages of one direction: type byte, big-endian length, body. Pure and inline,
// because it runs on every chunk that is copied. Owned by one session, used only on its worker's
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "proxy/wire/bytes.h"

namespace pgsteer {

// The largest length field, which includes itself: the server sends and accepts bodies up to
// MaxAllocSize (memutils.h, 1 GiB - 1).
constexpr std::uint32_t kMaxMessageLength = 0x3fffffff + 4;
constexpr std::size_t kMessageHead = 5;  // type and length

class MessageCursor {
 public:
  // Calls visit(type, body_size, offset, part) for each piece of a body in `bytes`: once if the
  // body is complete or empty, else once per piece. `offset` is the number of body bytes before the
  // piece; a message ends when offset + part.size() == body_size. Stops permanently at an
  // impossible header.
  template <class Visit>
  void advance(std::span<const std::byte> bytes, Visit&& visit) {
    if (broken_) return;
    const std::byte* at = bytes.data();
    const std::byte* const end = at + bytes.size();
    if (body_left_ != 0 || header_have_ != 0) at = resume(at, end, visit);
    while (static_cast<std::size_t>(end - at) >= kMessageHead) {
      if (!begin(at)) return;
      at = body(at + kMessageHead, end, visit);
    }
    // Fewer than five bytes are left: an incomplete header, or nothing.
    while (at != end) header_[header_have_++] = *at++;
  }

  bool at_boundary() const { return body_left_ == 0 && header_have_ == 0 && !broken_; }
  bool broken() const { return broken_; }
  // Bytes of the current message that are still to come, if its header is complete.
  std::uint32_t body_left() const { return broken_ ? 0 : body_left_; }

  void lose() { broken_ = true; }
  void restart() { *this = MessageCursor{}; }
  char type() const { return type_; }  // of the message that body_left() belongs to
  // The header is complete, but no byte of the body has been seen.
  bool unvisited() const { return body_left_ != 0 && body_left_ == body_size_; }

  // `count` bytes were forwarded unseen. Framing survives inside one body, otherwise it is lost.
  // Visits nothing.
  void skip(std::uint64_t count) {
    if (count > body_left_) {
      broken_ = true;
    } else {
      body_left_ -= static_cast<std::uint32_t>(count);
    }
  }

 private:
  // False if no message starts like this. Types are printable ASCII in every version so far. A
  // server that cannot fork answers with E and plain text (postmaster.c
  // report_fork_failure_to_client), which reads as an impossible length.
  bool begin(const std::byte* header) {
    type_ = static_cast<char>(header[0]);
    const std::uint32_t length = load_u32(header + 1);
    broken_ |=
        length - 4 > kMaxMessageLength - 4 || static_cast<unsigned char>(type_ - '!') > '~' - '!';
    body_left_ = body_size_ = broken_ ? 0 : length - 4;
    return !broken_;
  }

  template <class Visit>
  const std::byte* body(const std::byte* at, const std::byte* end, Visit&& visit) {
    const auto here = static_cast<std::size_t>(end - at);
    const std::uint32_t offset = body_size_ - body_left_;
    const std::uint32_t part = here < body_left_ ? static_cast<std::uint32_t>(here) : body_left_;
    body_left_ -= part;
    // Do not visit a body of which no byte has arrived yet.
    if (part != 0 || body_size_ == 0) {
      visit(type_, body_size_, offset, std::span<const std::byte>(at, part));
    }
    return at + part;
  }

  template <class Visit>
  const std::byte* resume(const std::byte* at, const std::byte* end, Visit&& visit) {
    if (header_have_ != 0) {
      while (header_have_ < kMessageHead) {
        if (at == end) return at;
        header_[header_have_++] = *at++;
      }
      header_have_ = 0;
      if (!begin(header_.data())) return end;
    }
    return body(at, end, visit);
  }

  std::uint32_t body_size_ = 0;
  std::uint32_t body_left_ = 0;
  char type_ = 0;
  bool broken_ = false;
  std::uint8_t header_have_ = 0;  // bytes of an incomplete header, at most 4 between two calls
  std::array<std::byte, kMessageHead> header_{};
};
static_assert(sizeof(MessageCursor) <= 16);

}  // namespace pgsteer
