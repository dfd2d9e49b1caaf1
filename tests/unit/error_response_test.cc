#include "proxy/wire/error_response.h"

#include <gtest/gtest.h>

#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

using namespace wire;

const ErrorFields kNoPrimary{"FATAL", "57P03", "no primary", "pg-1: stopped", "try later"};

TEST(ErrorResponse, FieldsAreInTheServersOrder) {
  const std::string body = "SFATAL\0VFATAL\0C57P03\0Mno primary\0Dpg-1: stopped\0Htry later\0\0"s;
  EXPECT_EQ(str(encode_error_response(kNoPrimary)), message('E', body));
  EXPECT_EQ(str(encode_notice_response(kNoPrimary)), message('N', body));
}

TEST(ErrorResponse, EmptyDetailAndHintAreAbsent) {
  EXPECT_EQ(str(encode_error_response({"FATAL", "53300", "full", "", ""})),
            message('E', "SFATAL\0VFATAL\0C53300\0Mfull\0\0"s));
}

TEST(ErrorResponse, RoundTrip) {
  const auto wire = encode_error_response(kNoPrimary);
  const auto fields = decode_error_fields(std::span(wire).subspan(5));
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->severity, "FATAL");
  EXPECT_EQ(fields->sqlstate, "57P03");
  EXPECT_EQ(fields->message, "no primary");
  EXPECT_EQ(fields->detail, "pg-1: stopped");
  EXPECT_EQ(fields->hint, "try later");
  EXPECT_TRUE(fields->fatal());
}

TEST(ErrorResponse, NulInATextCannotInjectAField) {
  const auto wire = encode_error_response({"FATAL", "57P03", "a\0Cxxxxx"sv, "d\0e"sv, "h\0"sv});
  EXPECT_EQ(str(wire), message('E', "SFATAL\0VFATAL\0C57P03\0Ma\0Dd\0Hh\0\0"s));
}

TEST(ErrorResponse, LongTextsAreCutBelowLibpqsLimit) {
  const std::string text(100000, 'x');
  const auto wire = encode_error_response({"FATAL", "57P03", text, text, text});
  EXPECT_LT(wire.size(), 30000u);
  const auto fields = decode_error_fields(std::span(wire).subspan(5));
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->message.size(), kMaxErrorText);
  EXPECT_EQ(fields->hint.size(), kMaxErrorText);
}

TEST(ErrorResponse, TextIsNotCutInsideACharacter) {
  for (std::size_t before = kMaxErrorText - 4; before <= kMaxErrorText; ++before) {
    const std::string text = std::string(before, 'x') + "\xf0\x9f\x90\x98" + "yyyy";
    const auto wire = encode_error_response({"FATAL", "57P03", text, "", ""});
    const auto fields = decode_error_fields(std::span(wire).subspan(5));
    ASSERT_TRUE(fields);
    const bool fits = before + 4 <= kMaxErrorText;
    EXPECT_EQ(fields->message.size(), fits ? before + 4 : before);
  }
}

TEST(ErrorFields, SeverityIsTheNonLocalisedOne) {
  EXPECT_EQ(decode_error_fields(bytes("SFATALE\0VFATAL\0C57P01\0Mx\0\0"sv))->severity, "FATAL");
  EXPECT_EQ(decode_error_fields(bytes("VPANIC\0SPANIK\0C57P01\0Mx\0\0"sv))->severity, "PANIC");
  EXPECT_EQ(decode_error_fields(bytes("SFATAL\0C57P01\0Mx\0\0"sv))->severity, "FATAL");
  EXPECT_FALSE(decode_error_fields(bytes("SERROR\0VERROR\0C25006\0Mx\0\0"sv))->fatal());
}

TEST(ErrorFields, UnknownFieldsAreSkipped) {
  const auto fields = decode_error_fields(
      bytes("SERROR\0VERROR\0C25006\0Mx\0Wwhere\0q1\0Felog.c\0L1\0Rf\0~?\0\0"sv));
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->message, "x");
  EXPECT_EQ(fields->detail, "");
}

TEST(ErrorFields, CutAtEveryOffsetYieldsTheCompleteFields) {
  const std::string whole = "SFATAL\0VFATAL\0C57P01\0Mgone\0\0"s;
  const std::size_t code_end = whole.find("57P01") + 6;
  const std::size_t text_end = whole.find("gone") + 5;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    const auto fields = decode_error_fields(bytes(std::string_view(whole).substr(0, cut)));
    ASSERT_EQ(fields.has_value(), cut >= code_end) << cut;
    if (!fields) continue;
    EXPECT_EQ(fields->severity, "FATAL");
    EXPECT_EQ(fields->sqlstate, "57P01");
    EXPECT_EQ(fields->message, cut >= text_end ? "gone" : "") << cut;
  }
}

TEST(ErrorFields, AreAbsentWithoutAValidSqlstate) {
  EXPECT_FALSE(decode_error_fields({}));
  EXPECT_FALSE(decode_error_fields(bytes("\0"sv)));
  EXPECT_FALSE(decode_error_fields(bytes("SFATAL\0Mx\0\0"sv)));
  EXPECT_FALSE(decode_error_fields(bytes("SFATAL\0C57P0\0\0"sv)));
  EXPECT_FALSE(decode_error_fields(bytes("SFATAL\0C57P011\0\0"sv)));
  EXPECT_FALSE(decode_error_fields(bytes("SFATAL\0\0C57P01\0"sv)));
}

}  // namespace
}  // namespace pgsteer
