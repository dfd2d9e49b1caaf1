#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/suggest.h"
#include "config/value.h"

namespace pgsteer {
namespace {

TEST(ConfigDuration, ReadsEachUnit) {
  const std::vector<std::pair<std::string, std::int64_t>> cases{
      {"0", 0},        {"0s", 0},         {"1ms", 1},        {"250ms", 250},      {"1s", 1'000},
      {"10s", 10'000}, {"5min", 300'000}, {"1h", 3'600'000}, {"7d", 604'800'000}, {"007s", 7'000},
  };
  for (const auto& [text, milliseconds] : cases) {
    const auto read = read_duration(text);
    ASSERT_TRUE(read.value) << text << ": " << read.error;
    EXPECT_EQ(read.value->count(), milliseconds) << text;
  }
}

TEST(ConfigDuration, RefusesEverythingElseAndSaysWhatIsAllowed) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "is not a whole number with a unit"},
      {"s", "is not a whole number with a unit"},
      {" 1s", "is not a whole number with a unit"},
      {"-1s", "is not a whole number with a unit"},
      {"+1s", "is not a whole number with a unit"},
      {"ten", "is not a whole number with a unit"},
      {"10", "has no unit"},
      {"10 s", "has an unknown unit"},
      {"10s ", "has an unknown unit"},
      {"1h30min", "has an unknown unit"},
      {"5m", "write \"5min\""},
      {"5minutes", "write \"5min\""},
      {"5sec", "write \"5s\""},
      {"5S", "case matters, write \"5s\""},
      {"5MIN", "case matters, write \"5min\""},
      {"1.5s", "is a fraction"},
      {"1,5s", "is a fraction"},
      {"10us", "units: ms, s, min, h, d"},
      {"99999999999999999999s", "is not a whole number"},
      {"9223372036854775807d", "too large"},
      {std::string("1s\0", 3), "has an unknown unit"},
  };
  for (const auto& [text, wrong] : cases) {
    const auto read = read_duration(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find(wrong), std::string::npos) << text << ": " << read.error;
  }
}

TEST(ConfigSize, ReadsPostgresUnits) {
  const std::vector<std::pair<std::string, std::uint64_t>> cases{
      {"0", 0},
      {"1B", 1},
      {"1kB", 1'024},
      {"512kB", 524'288},
      {"16MB", 16'777'216},
      {"1GB", 1'073'741'824},
      {"2TB", 2'199'023'255'552},
  };
  for (const auto& [text, bytes] : cases) {
    const auto read = read_size(text);
    ASSERT_TRUE(read.value) << text << ": " << read.error;
    EXPECT_EQ(*read.value, bytes) << text;
  }
}

TEST(ConfigSize, CaseMattersAndTheMessageSaysSo) {
  for (const auto& [text, meant] : std::vector<std::pair<std::string, std::string>>{
           {"16mb", "16MB"}, {"16Mb", "16MB"}, {"1KB", "1kB"}, {"1gb", "1GB"}, {"8b", "8B"}}) {
    const auto read = read_size(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find("case matters, write \"" + meant + "\""), std::string::npos)
        << read.error;
  }
}

TEST(ConfigSize, RefusesNoUnitForeignUnitAndOverflow) {
  EXPECT_NE(read_size("16").error.find("has no unit"), std::string::npos);
  EXPECT_NE(read_size("16MiB").error.find("unknown unit"), std::string::npos);
  EXPECT_NE(read_size("16M").error.find("unknown unit"), std::string::npos);
  EXPECT_NE(read_size("9223372036854775807TB").error.find("too large"), std::string::npos);
  EXPECT_FALSE(read_size("").value);
}

TEST(ConfigValue, WrittenTextReadsBackTheSame) {
  for (const std::int64_t count : {0LL, 1LL, 999LL, 1'000LL, 1'500LL, 60'000LL, 90'000LL,
                                   3'600'000LL, 86'400'000LL, 604'800'000LL}) {
    EXPECT_EQ(read_duration(duration_text(Duration(count))).value, Duration(count));
  }
  for (const std::uint64_t bytes : {0ULL, 1ULL, 1'023ULL, 1'024ULL, 16'777'216ULL, 16'777'217ULL}) {
    EXPECT_EQ(read_size(size_text(bytes)).value, bytes);
  }
  EXPECT_EQ(duration_text(Duration(90'000)), "90s");
  EXPECT_EQ(duration_text(Duration(3'600'000)), "1h");
  EXPECT_EQ(size_text(16'777'216), "16MB");
}

TEST(ConfigValue, QuotedTextStaysOnOneLineAndShort) {
  EXPECT_EQ(in_quotes("a\nb\x7f\x1b"), "\"a?b??\"");
  EXPECT_LT(in_quotes(std::string(10'000, 'x')).size(), 100U);
}

TEST(ConfigSuggest, DistanceCountsTypos) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("wieght", "weight"), 1U);
  EXPECT_EQ(edit_distance("conect", "connect"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(ConfigSuggest, NearestIsHelpfulOrSilent) {
  const std::vector<std::string> known{"name", "host", "port", "max_lag", "connect_timeout"};
  EXPECT_EQ(nearest("prot", known), "port");
  EXPECT_EQ(nearest("max-lag", known), "max_lag");
  EXPECT_EQ(nearest("MAX_LAG", known), "max_lag");
  EXPECT_EQ(nearest("connect", known), "connect_timeout");
  EXPECT_EQ(nearest("zebra", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'p'), known), "");
}

}  // namespace
}  // namespace pgsteer
