// ErrorResponse and NoticeResponse: encodes pgsteer's own errors for a client, and decodes those of
// a server. Pure. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pgsteer {

// Before authentication libpq accepts an error of at most 30000 bytes (fe-connect.c, MAX_ERRLEN).
// Each text is cut at a UTF-8 boundary, so that the message stays well below.
constexpr std::size_t kMaxErrorText = 4096;

// The fields that pgsteer writes or reads.
struct ErrorFields {
  std::string_view severity;  // never localised: FATAL, ERROR, PANIC; WARNING, NOTICE, ...
  std::string_view sqlstate;  // five characters
  std::string_view message;
  std::string_view detail;  // empty: absent
  std::string_view hint;    // empty: absent

  // Whether it ends the session.
  bool fatal() const { return severity == "FATAL" || severity == "PANIC"; }
};

// The complete message with type byte and length, its fields in the server's order (S V C M D H).
// Texts are cut at a NUL and at kMaxErrorText.
std::vector<std::byte> encode_error_response(const ErrorFields& fields);
std::vector<std::byte> encode_notice_response(const ErrorFields& fields);

// Reads the body, without type and length; the views point into it. Unknown fields are skipped.
// From an incomplete body it returns the complete fields, so the start of a long message is enough
// for severity and SQLSTATE, which come first. nullopt without an SQLSTATE. Servers before 9.6 send
// no V; severity is then S, which may be localised.
std::optional<ErrorFields> decode_error_fields(std::span<const std::byte> body);

}  // namespace pgsteer
