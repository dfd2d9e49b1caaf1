// Any bytes as the body of an ErrorResponse, and any texts as the fields of one that pgsteer sends.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/wire/error_response.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;

constexpr std::size_t kHead = 5;  // type and length

bool inside(std::string_view field, std::span<const std::byte> body) {
  if (field.empty()) return true;
  const auto* const begin = reinterpret_cast<const char*>(body.data());
  return field.data() >= begin && field.data() + field.size() < begin + body.size();
}

void examine(std::span<const std::byte> body) {
  const auto fields = decode_error_fields(body);
  if (!fields) return;
  FUZZ_EXPECT(fields->sqlstate.size() == 5);
  for (const std::string_view field :
       {fields->severity, fields->sqlstate, fields->message, fields->detail, fields->hint}) {
    FUZZ_EXPECT(inside(field, body));
    FUZZ_EXPECT(field.find('\0') == std::string_view::npos);
  }
}

// What the encoder makes of a text: cut at a NUL, and at kMaxErrorText but not inside a character.
void expect_cut(std::string_view got, std::string_view text) {
  text = text.substr(0, text.find('\0'));
  FUZZ_EXPECT(text.starts_with(got));
  FUZZ_EXPECT(got.size() <= kMaxErrorText);
  if (text.size() <= kMaxErrorText) FUZZ_EXPECT(got == text);
  if (got.size() == text.size()) return;
  FUZZ_EXPECT((static_cast<unsigned char>(text[got.size()]) & 0xc0) != 0x80 || got.empty());
}

void round_trip(const ErrorFields& sent, std::span<const std::byte> message, char type) {
  FUZZ_EXPECT(message.size() > kHead && message[0] == static_cast<std::byte>(type));
  std::size_t length = 0;
  for (std::size_t i = 1; i < kHead; ++i)
    length = length << 8 | static_cast<std::size_t>(message[i]);
  FUZZ_EXPECT(length + 1 == message.size() && message.size() < 30'000);
  FUZZ_EXPECT(message.back() == std::byte{0});
  const auto body = message.subspan(kHead);
  const auto fields = decode_error_fields(body);
  // A longer text may be cut to any size.
  const std::size_t code = sent.sqlstate.substr(0, sent.sqlstate.find('\0')).size();
  if (code <= kMaxErrorText) FUZZ_EXPECT(fields.has_value() == (code == 5));
  if (!fields) return;
  expect_cut(fields->severity, sent.severity);
  expect_cut(fields->sqlstate, sent.sqlstate);
  expect_cut(fields->message, sent.message);
  expect_cut(fields->detail, sent.detail);
  expect_cut(fields->hint, sent.hint);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  examine(bytes);
  // The start of a long message gives what its complete fields say.
  examine(bytes.first(size / 2));

  // The input as five fields, separated by 0xff, which no UTF-8 text contains.
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 5> parts;
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\xff'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  const ErrorFields fields{parts[0], parts[1], parts[2], parts[3], parts[4]};
  round_trip(fields, encode_error_response(fields), 'E');
  round_trip(fields, encode_notice_response(fields), 'N');
  const ErrorFields coded{parts[0], "57P01", parts[2], parts[3], parts[4]};
  round_trip(coded, encode_error_response(coded), 'E');
  return 0;
}
