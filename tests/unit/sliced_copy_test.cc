// The session table is copied in parts: the sessions between them do not wait for it.
#include "proxy/sliced_copy.h"

#include <gtest/gtest.h>

#include <deque>
#include <numeric>
#include <optional>

namespace pgsteer {
namespace {

struct Item {
  int number = 0;
  Item* next = nullptr;
};
using Numbers = std::vector<int>;

class Slices : public testing::Test {
 protected:
  static constexpr int kPart = static_cast<int>(SlicedCopy<Item, int>::kPerStep);

  // 1, 2, ... in this order.
  void fill(int count) {
    for (int i = 1; i <= count; ++i) items.push_back({.number = i});
    for (int i = 0; i + 1 < count; ++i) at(i).next = &at(i + 1);
  }
  Item& at(int i) { return items[static_cast<std::size_t>(i)]; }
  void begin() {
    copy.begin(items.empty() ? nullptr : &items.front(), items.size(),
               [this](Numbers all) { result = std::move(all); });
  }
  void remove(int i) {
    copy.leaves(at(i));
    if (i > 0) at(i - 1).next = at(i).next;
  }
  static Numbers up_to(int last) {
    Numbers all(static_cast<std::size_t>(last));
    std::iota(all.begin(), all.end(), 1);
    return all;
  }

  std::deque<Item> items;
  int described = 0;
  SlicedCopy<Item, int> copy{[this](const Item& item) {
    ++described;
    return item.number;
  }};
  std::optional<Numbers> result;
};

TEST_F(Slices, AStepDescribesABoundedNumber) {
  fill(2 * kPart + 1);
  begin();
  EXPECT_EQ(described, 0);
  copy.step();
  EXPECT_EQ(described, kPart);
  copy.step();
  EXPECT_EQ(described, 2 * kPart);
  EXPECT_FALSE(result);
  copy.step();
  EXPECT_EQ(result, up_to(2 * kPart + 1));
  EXPECT_FALSE(copy.pending());
}

TEST_F(Slices, AnEmptyListIsDoneInOneStep) {
  begin();
  EXPECT_TRUE(copy.pending());
  copy.step();
  EXPECT_EQ(result, Numbers{});
}

TEST_F(Slices, SeveralCopiesShareAStep) {
  fill(kPart - 1);
  begin();
  std::optional<Numbers> second;
  copy.begin(&items.front(), 0, [&](Numbers all) { second = std::move(all); });
  copy.step();
  EXPECT_EQ(described, kPart);
  EXPECT_TRUE(result);
  EXPECT_FALSE(second);
  copy.step();
  EXPECT_EQ(second, result);
}

TEST_F(Slices, WhatLeavesBetweenTwoStepsIsLeftOut) {
  fill(kPart + 4);
  begin();
  copy.step();
  remove(kPart);      // the next one
  remove(kPart + 1);  // and the one that has become the next
  remove(kPart + 3);  // the last
  remove(0);          // one that has been described
  copy.step();
  Numbers expected = up_to(kPart);
  expected.push_back(kPart + 3);
  EXPECT_EQ(result, expected);
}

TEST_F(Slices, TheLastOnesMayLeave) {
  fill(kPart + 1);
  begin();
  copy.step();
  remove(kPart);
  copy.step();
  EXPECT_EQ(result, up_to(kPart));
}

TEST_F(Slices, WhoHasToEndHandsOverWhatIsLeft) {
  fill(3 * kPart);
  begin();
  copy.step();
  copy.finish();
  EXPECT_EQ(result, up_to(3 * kPart));
  EXPECT_FALSE(copy.pending());
}

}  // namespace
}  // namespace pgsteer
