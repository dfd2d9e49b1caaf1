// The few PostgreSQL messages that source and client exchange, ready to send, and MessageFramer,
// which finds the message boundaries in received bytes. Pure: no sockets, no clock.
//
// Formats: PostgreSQL's protocol.sgml, "Message Formats".
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pgsteer {

// The size of a stream. A row is one CopyData message of 5 + `row_bytes` bytes.
struct StreamShape {
  std::uint64_t rows = 0;
  std::uint32_t row_bytes = 0;
  std::uint64_t bytes() const { return rows * (row_bytes + 5ULL); }
};

std::uint32_t read_be32(const char* at);

// Sent by the client.
std::string startup_packet();
std::string query(std::string_view text);
std::string terminate();

// Sent by the source.
std::string login_reply(std::uint32_t backend, std::uint32_t key);
std::string small_reply(std::size_t value_bytes);  // T D C Z, as for `SELECT abalance ...`
std::string copy_response(char type, std::uint16_t columns);
std::string copy_end(std::uint64_t rows);  // C Z

// Sent by the streaming side. `copy_rows` returns complete rows, at least `at_least` bytes.
std::string copy_rows(std::uint32_t row_bytes, std::size_t at_least);
std::string copy_done();

// Follows messages by their headers. `feed` calls `on_end(type)` after the last byte of each
// message; `on_end` may call skip() to pass over a stream of known length. `feed` returns false on
// an invalid header (type not a letter, or length below 4).
class MessageFramer {
 public:
  template <class OnEnd>
  bool feed(std::span<const char> bytes, OnEnd&& on_end) {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    while (at != end) {
      if (left_ > 0) {
        const auto step = std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(end - at));
        at += step;
        left_ -= step;
      } else {
        header_[have_++] = *at++;
        if (have_ < sizeof header_) continue;
        const std::uint32_t length = read_be32(header_ + 1);
        if (header_[0] < '1' || header_[0] > 'z' || length < 4) return false;
        left_ = length - 4;
      }
      if (left_ == 0 && have_ == sizeof header_) {
        have_ = 0;
        on_end(header_[0]);
      }
    }
    return true;
  }

  void skip(std::uint64_t bytes) { left_ = bytes; }

 private:
  std::uint64_t left_ = 0;  // bytes left of the message's body or of a skipped stream
  std::uint32_t have_ = 0;  // bytes of the header so far; 5 while the body passes
  char header_[5] = {};
};

}  // namespace pgsteer
