#include "health/patroni/foreign_text.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

TEST(ForeignText, OrdinaryTextStaysAsItIs) {
  EXPECT_EQ(foreign_text(""), "");
  const std::string text =
      "restart failed (Zürich, \xe2\x80\xa6 \xe4\xb8\xad \xf0\x9f\x90\x98) \"~";
  EXPECT_EQ(foreign_text(text), text);
}

TEST(ForeignText, EveryControlCharacterBecomesAQuestionMark) {
  for (int c = 0; c < 0x20; ++c) {
    EXPECT_EQ(foreign_text("a" + std::string(1, static_cast<char>(c)) + "b"), "a?b") << c;
  }
  EXPECT_EQ(foreign_text("a\x7f"), "a?");
  for (int c = 0x80; c <= 0x9f; ++c) {
    EXPECT_EQ(foreign_text("\xc2" + std::string(1, static_cast<char>(c)) + "b"), "?b") << c;
  }
  EXPECT_EQ(foreign_text("\xc2\xa0"), "\xc2\xa0");
}

TEST(ForeignText, LineSeparatorsAndDirectionsBecomeOneToo) {
  for (const char* harmful : {"\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9",
                              "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"}) {
    EXPECT_EQ(foreign_text(std::string("x") + harmful + "y"), "x?y");
  }
  for (const char* harmless : {"\xe2\x80\x8d", "\xe2\x80\x90", "\xe2\x80\xa7", "\xe2\x80\xaf",
                               "\xe2\x81\xa5", "\xe2\x81\xaa", "\xe2\x82\xac"}) {
    EXPECT_EQ(foreign_text(harmless), harmless);
  }
}

TEST(ForeignText, IsCutAtTheEndOfACharacter) {
  EXPECT_EQ(foreign_text(std::string(256, 'a')), std::string(256, 'a'));
  EXPECT_EQ(foreign_text(std::string(257, 'a')), std::string(256, 'a'));
  EXPECT_EQ(foreign_text(std::string(255, 'a') + "\xc3\xa9"), std::string(255, 'a'));
  EXPECT_EQ(foreign_text(std::string(254, 'a') + "\xc3\xa9z"), std::string(254, 'a') + "\xc3\xa9");
}

TEST(ForeignText, BytesThatEndTooSoonAreKept) {
  EXPECT_EQ(foreign_text("\xc2"), "\xc2");
  EXPECT_EQ(foreign_text("\xe2\x80"), "\xe2\x80");
}

}  // namespace
}  // namespace pgsteer
