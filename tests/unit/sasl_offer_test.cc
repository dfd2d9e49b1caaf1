// SCRAM-SHA-256-PLUS is taken out of a server's offer, however the bytes arrive.
#include "proxy/wire/sasl_offer.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

std::vector<std::byte> as_bytes(const std::string& text) {
  const auto bytes = wire::bytes(text);
  return {bytes.begin(), bytes.end()};
}

std::string sasl(const std::string& mechanisms) {
  return wire::message('R', wire::u32(10) + mechanisms + std::string(1, '\0'));
}

const std::string kPlus("SCRAM-SHA-256-PLUS\0", 19);
const std::string kScram("SCRAM-SHA-256\0", 14);
const std::string kBearer("OAUTHBEARER\0", 12);
const std::string kVersion = wire::message('v', wire::u32(0) + wire::u32(0));

TEST(SaslOfferTest, PlusIsTakenOutWhereverItStands) {
  for (const auto& [offered, left] :
       {std::pair(kPlus + kScram, kScram), std::pair(kScram + kPlus, kScram),
        std::pair(kBearer + kPlus + kScram, kBearer + kScram), std::pair(kPlus, std::string()),
        std::pair(kScram, kScram), std::pair(std::string(), std::string())}) {
    for (const std::string& before : {std::string(), kVersion}) {
      auto answer = as_bytes(before + sasl(offered) + "rest");
      EXPECT_EQ(remove_channel_binding(answer), SaslOffer::kDone);
      EXPECT_EQ(answer, as_bytes(before + sasl(left) + "rest"));
    }
  }
}

TEST(SaslOfferTest, EveryPartOfAnOfferNeedsMore) {
  const std::string whole = kVersion + sasl(kPlus + kScram);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto answer = as_bytes(whole.substr(0, size));
    const auto before = answer;
    EXPECT_EQ(remove_channel_binding(answer), SaslOffer::kNeedMore) << size;
    EXPECT_EQ(answer, before) << size;
  }
}

TEST(SaslOfferTest, OtherAnswersStayAsTheyAre) {
  const std::string unended = wire::message('R', wire::u32(10) + "SCRAM-SHA-256-PLUS");
  for (const std::string& other :
       {wire::message('R', wire::u32(0)), wire::message('R', wire::u32(5) + "salt"),
        wire::message('R', wire::u32(11) + kPlus), wire::message('R'),
        wire::report('E', "FATAL", "28000", kPlus), wire::message('x', kPlus), unended,
        std::string("R\0\0\0\1", 5), std::string("R\xff\xff\xff\xff", 5)}) {
    auto answer = as_bytes(other);
    EXPECT_EQ(remove_channel_binding(answer), SaslOffer::kDone) << other;
    EXPECT_EQ(answer, as_bytes(other));
  }
}

}  // namespace
}  // namespace pgsteer
