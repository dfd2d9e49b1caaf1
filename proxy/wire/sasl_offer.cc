#include "proxy/wire/sasl_offer.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "proxy/wire/bytes.h"
#include "proxy/wire/message_cursor.h"

namespace pgsteer {

namespace {

constexpr std::uint32_t kAuthenticationSasl = 10;  // protocol.sgml 55.7
constexpr std::string_view kPlus{"SCRAM-SHA-256-PLUS\0", 19};
// Before the authentication request comes little; what is longer is not looked into.
constexpr std::size_t kMostLookedAt = 16'384;

bool may_come_before(std::byte type) { return type == std::byte{'v'} || type == std::byte{'N'}; }

// `message` is a whole AuthenticationSASL at `at` in `answer`.
void take_plus_out(std::vector<std::byte>& answer, std::size_t at, std::size_t size) {
  const std::string_view mechanisms =
      text(std::span(answer).subspan(at, size)).substr(kMessageHead + 4);
  for (std::size_t i = 0; i < mechanisms.size() && mechanisms[i] != '\0';) {
    if (mechanisms.substr(i).starts_with(kPlus)) {
      const auto from = answer.begin() + static_cast<std::ptrdiff_t>(at + kMessageHead + 4 + i);
      const std::uint32_t length = htobe32(static_cast<std::uint32_t>(size - 1 - kPlus.size()));
      answer.erase(from, from + static_cast<std::ptrdiff_t>(kPlus.size()));
      std::memcpy(answer.data() + at + 1, &length, sizeof length);
      return;
    }
    const std::size_t end = mechanisms.find('\0', i);
    if (end == std::string_view::npos) return;
    i = end + 1;
  }
}

}  // namespace

SaslOffer remove_channel_binding(std::vector<std::byte>& answer) {
  for (std::size_t at = 0; at < kMostLookedAt;) {
    if (answer.size() - at < kMessageHead) return SaslOffer::kNeedMore;
    const std::byte type = answer[at];
    const std::size_t size = std::size_t{1} + load_u32(answer.data() + at + 1);
    const bool request = type == std::byte{'R'};
    if (size < kMessageHead || size > kMostLookedAt || (!request && !may_come_before(type))) break;
    if (answer.size() - at < size) return SaslOffer::kNeedMore;
    if (request) {
      const bool sasl = size >= kMessageHead + 4 &&
                        load_u32(answer.data() + at + kMessageHead) == kAuthenticationSasl;
      if (sasl) take_plus_out(answer, at, size);
      break;
    }
    at += size;
  }
  return SaslOffer::kDone;
}

}  // namespace pgsteer
