#include "proxy/routing/hold_queue.h"

#include <gtest/gtest.h>

#include <list>
#include <string>
#include <vector>

#include "proxy/routing/node_slots.h"

namespace pgsteer {
namespace {

using Next = HoldQueue::Next;

struct User : SlotUser {
  void end(EndReason reason, std::string /*detail*/) override { ended = reason; }
  bool ending() const override { return ended != EndReason::kNone; }
  void resume_soon() override {}
  EndReason ended = EndReason::kNone;
};

class HoldQueueTest : public testing::Test {
 protected:
  SlotRequest& add(int arrived, std::uint64_t client) {
    SlotRequest& request = requests_.emplace_back();
    request.arrived = SlotRequest::Clock::time_point(std::chrono::seconds(arrived));
    request.client = client;
    request.user = &users_.emplace_back();
    queue.add(request);
    return request;
  }
  // The seconds of those that are offered; `without`: that address is left out.
  std::vector<int> visit(std::uint64_t without = 0, std::size_t most = 100) const {
    std::vector<int> seen;
    queue.visit([&](const SlotRequest& request) {
      if (request.client == without) return Next::kAddress;
      const auto arrived = request.arrived.time_since_epoch();
      seen.push_back(static_cast<int>(std::chrono::floor<std::chrono::seconds>(arrived).count()));
      return seen.size() < most ? Next::kRequest : Next::kStop;
    });
    return seen;
  }

  HoldQueue queue;

 private:
  std::list<User> users_;
  std::list<SlotRequest> requests_;
};

using Seconds = std::vector<int>;

TEST_F(HoldQueueTest, OffersInOrderOfArrivalAcrossAddresses) {
  EXPECT_TRUE(visit().empty());
  add(1, 7);
  add(3, 7);
  add(2, 8);
  add(5, 8);
  add(4, 7);  // it comes back to its place
  add(0, 7);
  EXPECT_EQ(visit(), (Seconds{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(visit(0, 2), (Seconds{0, 1}));
  EXPECT_EQ(queue.size(), 6U);
}

TEST_F(HoldQueueTest, LeavesOutAnAddressWithAllOfItsRequests) {
  for (int i = 0; i < 5'000; ++i) add(i, 7);
  add(9'000, 8);
  EXPECT_EQ(visit(7), (Seconds{9'000}));
}

TEST_F(HoldQueueTest, RemovesFromAnyPlace) {
  SlotRequest& first = add(1, 7);
  SlotRequest& middle = add(2, 7);
  add(3, 7);
  EXPECT_TRUE(queue.remove(middle));
  EXPECT_FALSE(queue.remove(middle));
  EXPECT_TRUE(queue.remove(first));
  EXPECT_EQ(visit(), (Seconds{3}));
  EXPECT_EQ(queue.count(7), 1U);
  EXPECT_EQ(queue.count(8), 0U);
}

TEST_F(HoldQueueTest, FindsTheLastOfTheAddressThatHasMost) {
  EXPECT_EQ(queue.last_of_most(), nullptr);
  SlotRequest& first = add(1, 7);
  SlotRequest& last = add(2, 7);
  add(3, 8);
  EXPECT_EQ(queue.last_of_most(), &last);
  last.user->end(EndReason::kHoldFull, {});
  EXPECT_EQ(queue.last_of_most(), &first);
  first.user->end(EndReason::kHoldFull, {});
  EXPECT_EQ(queue.last_of_most(), nullptr);
}

}  // namespace
}  // namespace pgsteer
