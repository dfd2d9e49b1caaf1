// ErrorResponse and NoticeResponse: written by pgsteer when it turns a client away or cuts it, read
// when a server does. Pure. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace pgsteer {

// libpq takes an error before authentication only up to 30000 bytes (fe-connect.c, MAX_ERRLEN);
// each text is cut, at a UTF-8 boundary, so that the whole stays well below.
constexpr std::size_t kMaxErrorText = 4096;

// The fields that pgsteer writes or looks at.
struct ErrorFields {
  std::string_view severity;  // never localised: FATAL, ERROR, PANIC; WARNING, NOTICE, ...
  std::string_view sqlstate;  // five characters
  std::string_view message;
  std::string_view detail;  // empty: absent
  std::string_view hint;    // empty: absent

  // The session is over with it.
  bool fatal() const { return severity == "FATAL" || severity == "PANIC"; }
};

// The whole message, type byte and length included, its fields in the server's order (S V C M D H).
// A text is cut at a NUL and at kMaxErrorText.
std::vector<std::byte> encode_error_response(const ErrorFields& fields);
std::vector<std::byte> encode_notice_response(const ErrorFields& fields);

// Reads the body, without type and length; the views point into it. Unknown fields are skipped. A
// body that is cut short yields the fields that are whole, so the beginning of a long message
// suffices for severity and SQLSTATE, which come first. nullopt without an SQLSTATE. A server
// before 9.6 sends no V: severity is then S, which may be localised.
std::optional<ErrorFields> decode_error_fields(std::span<const std::byte> body);

}  // namespace pgsteer
