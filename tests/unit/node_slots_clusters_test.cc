// Slots of two clusters: what happens to one touches neither sessions nor waiting clients of the
// other.
#include <gtest/gtest.h>

#include <array>
#include <list>
#include <memory>

#include "tests/unit/slot_client.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

// Two clusters of one node each, with a listener each: node 0 and listener 0 are the first one's.
class NodeSlotsOfTwoClusters : public testing::Test {
 protected:
  NodeSlotsOfTwoClusters() {
    config_.clusters = {{.name = "a"}, {.name = "b"}};
    config_.nodes.resize(2);
    config_.listen.resize(2);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string& cluster = config_.clusters[i].name;
      config_.nodes[i].cluster = config_.listen[i].cluster = cluster;
      config_.nodes[i].host = config_.listen[i].name = cluster;
      config_.listen[i].logins_in_flight = 8;
      Topology& draft = drafts_[i];
      draft.cluster = i;
      draft.timeline = 1;
      draft.nodes.resize(i + 1);
      draft.pools.resize(i + 1);
      for (Pool& pool : draft.pools) pool.by_node.resize(i + 1);
    }
    counters_ = std::make_unique<Counters>(3, 2);
    slots_ = std::make_unique<NodeSlots>(std::make_shared<const Running>(config_), *counters_, 0);
  }

  std::uint64_t publish(std::size_t cluster, Admission admission) {
    Topology& draft = drafts_[cluster];
    ++draft.generation;
    draft.primary.reset();
    if (admission == Admission::kAdmit) draft.primary = cluster;
    draft.pools[cluster].by_node[cluster] = {admission, Reason::kPrimary, "set by the test"};
    return slots_->adopt(std::make_shared<const Topology>(draft));
  }
  struct ClientOf : Client {
    explicit ClientOf(std::size_t listener, std::uint64_t address = 0) : Client(1, address) {
      request.listener = listener;
    }
  };

  Config config_;
  std::array<Topology, 2> drafts_;
  std::unique_ptr<Counters> counters_;
  std::unique_ptr<NodeSlots> slots_;
  NodeSlots::Clock::time_point now_{std::chrono::hours(1)};
};

TEST_F(NodeSlotsOfTwoClusters, ACutOfOneLeavesTheOthersSessionsAlone) {
  publish(0, Admission::kAdmit);
  publish(1, Admission::kAdmit);
  ClientOf a(0), b(1);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  ASSERT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  EXPECT_EQ(a.request.granted.node(), 0U);
  EXPECT_EQ(b.request.granted.node(), 1U);
  EXPECT_EQ(publish(0, Admission::kCut), 1U);
  EXPECT_EQ(a.user.ended, EndReason::kRoleLost);
  EXPECT_EQ(b.user.ended, EndReason::kNone);
  EXPECT_EQ(publish(1, Admission::kCut), 1U);
  EXPECT_EQ(b.user.ended, EndReason::kRoleLost);
}

// The first one's node is at a slot that the second one's topology knows only as vacant.
TEST_F(NodeSlotsOfTwoClusters, ATopologySaysNothingOfTheOthersNodes) {
  publish(1, Admission::kAdmit);
  ClientOf a(0), b(1);
  EXPECT_EQ(slots_->take(a.request), RouteOutcome::kNobody) << "nothing is known of its cluster";
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->topology_for(0), nullptr);
  EXPECT_EQ(slots_->topology_for(1)->cluster, 1U);
}

TEST_F(NodeSlotsOfTwoClusters, WhatOnePublishesReleasesOnlyItsOwnClients) {
  publish(0, Admission::kDrain);
  publish(1, Admission::kDrain);
  ClientOf a(0), b(1);
  ASSERT_TRUE(slots_->hold(a.request, now_));
  ASSERT_TRUE(slots_->hold(b.request, now_));
  slots_->release(now_);
  publish(1, Admission::kAdmit);
  slots_->release_where_due(now_);
  EXPECT_EQ(a.user.resumed, 0);
  EXPECT_EQ(b.user.resumed, 1);
  slots_->unhold(b.request, now_ + milliseconds(30), true);
  EXPECT_TRUE(slots_->any_released());
  EXPECT_EQ(slots_->take_held(0).sessions, 0U);
  EXPECT_EQ(slots_->take_held(1).sessions, 1U);
  EXPECT_FALSE(slots_->any_released());
  slots_->unhold(a.request, now_, false);
}

// One address has all its logins on the first cluster's server, which does not answer.
TEST_F(NodeSlotsOfTwoClusters, LoginsThatHangInOneDoNotCountInTheOther) {
  publish(0, Admission::kAdmit);
  std::list<ClientOf> stuck;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(slots_->take(stuck.emplace_back(0, 7).request), RouteOutcome::kNode);
  }
  publish(1, Admission::kDrain);
  ClientOf same(1, 7), other(1, 8);
  ASSERT_TRUE(slots_->hold(same.request, now_));
  ASSERT_TRUE(slots_->hold(other.request, now_));
  config_.listen[1].logins_in_flight = 1;
  slots_->adopt(std::make_shared<const Running>(config_));
  publish(1, Admission::kAdmit);
  slots_->release_where_due(now_);
  EXPECT_EQ(same.user.resumed, 1) << "it came first, and has no login there";
  EXPECT_EQ(other.user.resumed, 0);
  slots_->unhold(same.request, now_, true);
  slots_->unhold(other.request, now_, false);
}

// Logins are looked through for those that stand in the way of who waits, by the verdicts of a
// topology that was made before there was the listener.
TEST_F(NodeSlotsOfTwoClusters, AListenerThatNobodyHasJudgedEndsNobody) {
  publish(1, Admission::kAdmit);
  std::list<ClientOf> logins;
  for (int i = 0; i < 8; ++i) {
    SlotRequest& login = logins.emplace_back(1, 7).request;
    ASSERT_EQ(slots_->take(login), RouteOutcome::kNode);
    login.granted.login_awaits_client();
  }
  config_.listen.push_back(config_.listen[1]);
  config_.listen[2].name = "new";
  slots_->adopt(std::make_shared<const Running>(config_));
  ClientOf waits(2);
  const auto later = NodeSlots::Clock::now() + std::chrono::seconds(5);
  ASSERT_TRUE(slots_->hold(waits.request, later));
  slots_->release_where_due(later);
  for (const ClientOf& login : logins) EXPECT_FALSE(login.user.ending());
  slots_->unhold(waits.request, later, false);
}

TEST_F(NodeSlotsOfTwoClusters, OneThatHasGoneIsForgotten) {
  publish(0, Admission::kAdmit);
  publish(1, Admission::kAdmit);
  config_.clusters.pop_back();
  config_.nodes.pop_back();
  config_.listen.pop_back();
  slots_->adopt(std::make_shared<const Running>(config_));
  EXPECT_EQ(slots_->topology_of(1), nullptr);
  EXPECT_NE(slots_->topology_of(0), nullptr);
}

}  // namespace
}  // namespace pgsteer
