// What sessions hold on nodes: slots that give themselves back, logins that are metered, a queue in
// order, and the cut when a topology forbids a node.
#include "proxy/routing/node_slots.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/slot_client.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

class NodeSlotsTest : public testing::Test {
 protected:
  NodeSlotsTest() {
    config_.nodes.resize(2);
    config_.listen.resize(1);
    config_.listen[0].logins_in_flight = 2;
    draft_.nodes.resize(2);
    draft_.nodes[0].name = "pg-1";
    draft_.nodes[1].name = "pg-2";
    draft_.pools.resize(1);
    draft_.pools[0].by_node.resize(2);
  }

  void start() {
    counters_ = std::make_unique<Counters>(1, config_.nodes.size());
    slots_ = std::make_unique<NodeSlots>(running(), *counters_, 0);
  }
  RunningPtr running() const { return std::make_shared<const Running>(config_); }
  // Sessions that this ended.
  std::uint64_t primary(std::size_t node, std::uint32_t timeline = 1) {
    draft_.primary = node;
    draft_.timeline = timeline;
    draft_.pools[0].by_node[node] = {Admission::kAdmit, Reason::kPrimary, "leads"};
    draft_.pools[0].by_node[1 - node] = {Admission::kCut, Reason::kLostRole, "is a replica now"};
    return slots_->adopt(std::make_shared<const Topology>(draft_));
  }
  std::uint64_t nobody() {
    draft_.primary.reset();
    for (Verdict& v : draft_.pools[0].by_node) v = {Admission::kDrain, Reason::kPromoting, "waits"};
    return slots_->adopt(std::make_shared<const Topology>(draft_));
  }
  // Clients of one address whose logins await them.
  std::vector<std::unique_ptr<Client>> silent_crowd(std::uint64_t size) {
    std::vector<std::unique_ptr<Client>> crowd;
    while (crowd.size() < size) {
      crowd.push_back(std::make_unique<Client>(crowd.size(), 7));
      EXPECT_EQ(slots_->take(crowd.back()->request), RouteOutcome::kNode);
      crowd.back()->request.granted.login_awaits_client();
    }
    return crowd;
  }
  std::uint64_t sessions(std::size_t node) const { return counters_->nodes[node].sessions.load(); }

  Config config_;
  Topology draft_;
  std::unique_ptr<Counters> counters_;
  std::unique_ptr<NodeSlots> slots_;
  NodeSlots::Clock::time_point now_{std::chrono::hours(1)};
};

// A later login would land where nobody knows yet whether it is the primary.
TEST_F(NodeSlotsTest, ANodeOnTrialTakesOneLoginAtATimeUntilItsReasonChanges) {
  config_.listen[0].logins_in_flight = 0;  // no limit
  start();
  primary(0);
  draft_.pools[0].by_node[0].reason = Reason::kTrial;
  slots_->adopt(std::make_shared<const Topology>(draft_));
  Client a(1), b(2), c(3);
  EXPECT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kBusy);
  a.request.granted.login_over();
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(c.request), RouteOutcome::kBusy);
  draft_.pools[0].by_node[0].reason = Reason::kWitnessed;
  slots_->adopt(std::make_shared<const Topology>(draft_));
  EXPECT_EQ(slots_->take(c.request), RouteOutcome::kNode);
}

TEST_F(NodeSlotsTest, NothingIsTakenBeforeThereIsATopology) {
  start();
  Client a(1);
  EXPECT_EQ(slots_->take(a.request), RouteOutcome::kNobody);
  EXPECT_FALSE(a.request.granted);
}

TEST_F(NodeSlotsTest, ASlotIsCountedUntilItIsDestroyed) {
  start();
  primary(0);
  Client a(1);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  {
    const NodeSlot mine = std::move(a.request.granted);
    EXPECT_TRUE(mine);
    EXPECT_FALSE(a.request.granted);  // NOLINT(bugprone-use-after-move): a moved-from slot is empty
    EXPECT_EQ(mine.node(), 0U);
    EXPECT_EQ(sessions(0), 1U);
  }
  EXPECT_EQ(sessions(0), 0U);
  EXPECT_EQ(counters_->by_listener[0]->by_node[0].sessions.now.load(), 0U);
}

TEST_F(NodeSlotsTest, LoginsInFlightAreMetered) {
  start();
  primary(0);
  Client a(1), b(2), c(3);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  ASSERT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(c.request), RouteOutcome::kBusy);
  a.request.granted.login_over();
  a.request.granted.login_over();  // once is enough
  EXPECT_TRUE(slots_->release_due());
  EXPECT_EQ(slots_->take(c.request), RouteOutcome::kNode);
  EXPECT_EQ(sessions(0), 3U);
}

// 64 clients that never answer the password request stopped every login to a node.
TEST_F(NodeSlotsTest, ALoginThatAwaitsItsClientIsNotInFlight) {
  config_.listen[0].logins_in_flight = 1;
  start();
  primary(0);
  Client silent(1, 7), other(2, 8), third(3, 9);
  ASSERT_EQ(slots_->take(silent.request), RouteOutcome::kNode);
  NodeSlot& waits = silent.request.granted;
  EXPECT_EQ(slots_->take(other.request), RouteOutcome::kBusy);
  waits.login_awaits_client();
  waits.login_awaits_client();  // once is enough
  EXPECT_TRUE(slots_->release_due());
  EXPECT_TRUE(waits.login_open());
  EXPECT_FALSE(waits.login_in_flight());
  ASSERT_EQ(slots_->take(other.request), RouteOutcome::kNode);
  waits.login_goes_on();  // an answer never waits, so there are two now
  EXPECT_TRUE(waits.login_in_flight());
  other.request.granted.login_over();
  EXPECT_EQ(slots_->take(third.request), RouteOutcome::kBusy);
  waits.login_over();
  waits.login_goes_on();  // it is over
  EXPECT_EQ(slots_->take(third.request), RouteOutcome::kNode);
}

TEST_F(NodeSlotsTest, OnTrialALoginCountsWhileItAwaitsItsClient) {
  start();
  primary(0);
  draft_.pools[0].by_node[0].reason = Reason::kTrial;
  slots_->adopt(std::make_shared<const Topology>(draft_));
  Client a(1), b(2);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  a.request.granted.login_awaits_client();
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kBusy);
  // Nor for longer: it kept everybody out until login_timeout.
  const auto now = NodeSlots::Clock::now();
  ASSERT_TRUE(slots_->hold(b.request, now));
  slots_->release(now + NodeSlots::kPatience + milliseconds(200));
  EXPECT_EQ(a.user.ended, EndReason::kCrowdedOut);
  a.request.granted = {};
  slots_->release(now + NodeSlots::kPatience + milliseconds(400));
  EXPECT_TRUE(b.request.granted);
  slots_->unhold(b.request, now, true);
}

// Five of them kept everybody else out for ten seconds.
TEST_F(NodeSlotsTest, OnTrialAnAddressThatDoesNotAnswerLetsOthersPass) {
  start();
  primary(0);
  draft_.pools[0].by_node[0].reason = Reason::kTrial;
  slots_->adopt(std::make_shared<const Topology>(draft_));
  Client silent(1, 7), next(2, 7), other(3, 8);
  ASSERT_EQ(slots_->take(silent.request), RouteOutcome::kNode);
  silent.request.granted.login_awaits_client();
  const auto now = NodeSlots::Clock::now();
  ASSERT_TRUE(slots_->hold(next.request, now));
  ASSERT_TRUE(slots_->hold(other.request, now));
  slots_->release(now + NodeSlots::kPatience + milliseconds(200));
  ASSERT_TRUE(silent.user.ending());
  silent.request.granted = {};
  slots_->release(now + NodeSlots::kPatience + milliseconds(400));
  EXPECT_FALSE(next.request.granted);
  EXPECT_TRUE(other.request.granted);
  slots_->unhold(next.request, now, false);
  slots_->unhold(other.request, now, true);
}

TEST_F(NodeSlotsTest, WhoWaitsForTheNodeOfItsAddressStopsNobodyElse) {
  config_.listen[0].logins_in_flight = 1;
  config_.listen[0].balance = Balance::kClientAddress;
  start();
  for (Verdict& v : draft_.pools[0].by_node) v = {Admission::kAdmit, Reason::kReplica, "replays"};
  slots_->adopt(std::make_shared<const Topology>(draft_));
  Client first(1, 1), second(2, 1), other(3, 2);
  first.request.client_hash = second.request.client_hash = 1;
  ASSERT_EQ(slots_->take(first.request), RouteOutcome::kNode);
  const std::size_t node = first.request.granted.node();
  while (slots_->route_for(other.request).node == node) ++other.request.client_hash;
  ASSERT_TRUE(slots_->hold(second.request, now_));
  ASSERT_TRUE(slots_->hold(other.request, now_));
  slots_->release(now_);
  EXPECT_FALSE(second.request.granted);
  EXPECT_TRUE(other.request.granted);
  first.request.granted.login_over();
  slots_->release(now_);
  ASSERT_TRUE(second.request.granted);
  EXPECT_EQ(second.request.granted.node(), node);
  slots_->unhold(second.request, now_, true);
  slots_->unhold(other.request, now_, true);
}

// One address that fills the queue waits behind itself, and not everybody behind it.
TEST_F(NodeSlotsTest, AnAddressWithItsShareOfTheLoginsLetsOthersPass) {
  config_.listen[0].logins_in_flight = 8;  // so the share of an address is one
  start();
  primary(0);
  std::vector<std::unique_ptr<Client>> crowd;
  for (std::uint64_t i = 0; i < 20; ++i) {
    crowd.push_back(std::make_unique<Client>(i, 7));
    if (slots_->take(crowd.back()->request) != RouteOutcome::kNode) {
      ASSERT_TRUE(slots_->hold(crowd.back()->request, now_));
    }
  }
  ASSERT_TRUE(crowd[7]->request.granted);  // nobody else wants them, so it has all
  ASSERT_FALSE(crowd[8]->request.granted);
  Client other(100, 8);
  ASSERT_TRUE(slots_->hold(other.request, now_));
  crowd[0]->request.granted.login_over();
  slots_->release(now_);
  EXPECT_TRUE(other.request.granted);
  EXPECT_FALSE(crowd[8]->request.granted);
  crowd[1]->request.granted.login_over();
  slots_->release(now_);
  EXPECT_TRUE(crowd[8]->request.granted);  // nobody else waits, so it goes on
  EXPECT_FALSE(crowd[9]->request.granted);
  for (auto& each : crowd) slots_->unhold(each->request, now_, false);
  slots_->unhold(other.request, now_, true);
}

// Each of them holds one of the server's connections, and 2,000 clients took them all.
TEST_F(NodeSlotsTest, LoginsThatAwaitTheirClientsAreBounded) {
  config_.listen[0].logins_in_flight = 2;  // so eight may be open, and one is an address's share
  start();
  primary(0);
  std::vector<std::unique_ptr<Client>> open;
  const auto begin = [&](std::uint64_t address) {
    open.push_back(std::make_unique<Client>(open.size(), address));
    const RouteOutcome outcome = slots_->take(open.back()->request);
    if (outcome == RouteOutcome::kNode) open.back()->request.granted.login_awaits_client();
    return outcome;
  };
  for (int i = 0; i < 8; ++i) ASSERT_EQ(begin(7), RouteOutcome::kNode) << i;
  EXPECT_EQ(begin(7), RouteOutcome::kBusy);
  for (std::uint64_t address = 10; address < 18; ++address) {
    ASSERT_EQ(begin(address), RouteOutcome::kNode) << "it has less than its share";
    ASSERT_EQ(begin(address), RouteOutcome::kBusy);
  }
  EXPECT_EQ(begin(99), RouteOutcome::kBusy) << "twice as many are too many for everybody";
}

// An address with a few open logins waited behind one with all that it may have.
TEST_F(NodeSlotsTest, WhoMayBeginALoginPassesAnAddressThatMayNot) {
  config_.listen[0].logins_in_flight = 16;
  start();
  primary(0);
  const auto silent = silent_crowd(64);
  Client behind(100, 7);
  ASSERT_TRUE(slots_->hold(behind.request, now_));
  std::list<Client> others;
  for (std::uint64_t i = 0; i < 8; ++i) {
    Client& other = others.emplace_back(101 + i, 8);
    ASSERT_TRUE(slots_->hold(other.request, now_));
    slots_->release(now_);
    EXPECT_TRUE(other.request.granted) << i;
    other.request.granted.login_awaits_client();
    slots_->unhold(other.request, now_, true);
  }
  EXPECT_FALSE(behind.request.granted);
  slots_->unhold(behind.request, now_, false);
}

TEST_F(NodeSlotsTest, WhoDoesNotAnswerGivesWayToThoseThatWait) {
  config_.listen[0].logins_in_flight = 1;
  start();
  primary(0);
  Client silent(1, 7), other(2, 8), third(3, 9), fourth(4, 10), waits(5, 7);
  for (Client* const each : {&silent, &other, &third, &fourth}) {
    ASSERT_EQ(slots_->take(each->request), RouteOutcome::kNode);
    each->request.granted.login_awaits_client();
  }
  const auto now = NodeSlots::Clock::now();
  slots_->release(now + NodeSlots::kPatience);
  EXPECT_FALSE(silent.user.ending()) << "nobody waits";
  ASSERT_TRUE(slots_->hold(waits.request, now));
  slots_->release(now);
  EXPECT_FALSE(silent.user.ending()) << "it has had no time yet";
  slots_->release(now + NodeSlots::kPatience + milliseconds(200));
  EXPECT_EQ(silent.user.ended, EndReason::kCrowdedOut);
  EXPECT_FALSE(other.user.ending()) << "one is enough";
  slots_->unhold(waits.request, now, false);
}

// One listener's queue is no reason to end the logins of nodes that it does not use.
TEST_F(NodeSlotsTest, OnlyLoginsThatStandInTheWayGiveWay) {
  config_.listen[0].logins_in_flight = 1;
  start();
  primary(0);
  const auto silent = silent_crowd(4);
  Client waits(4, 7);
  draft_.pools[0].by_node[0] = {Admission::kDrain, Reason::kLagging, "lags"};
  slots_->adopt(std::make_shared<const Topology>(draft_));
  const auto now = NodeSlots::Clock::now();
  ASSERT_TRUE(slots_->hold(waits.request, now));
  slots_->release(now + 2 * NodeSlots::kPatience);
  for (const auto& each : silent) EXPECT_FALSE(each->user.ending());
  slots_->unhold(waits.request, now, false);
}

TEST_F(NodeSlotsTest, WhoMayPassOthersIsServedWithoutALoginThatEnds) {
  config_.listen[0].logins_in_flight = 1;
  start();
  primary(0);
  const auto silent = silent_crowd(4);
  Client behind(4, 7), other(5, 8);
  ASSERT_TRUE(slots_->hold(behind.request, now_));
  slots_->release(now_);
  ASSERT_TRUE(slots_->hold(other.request, now_));
  EXPECT_TRUE(slots_->release_due());
  slots_->release(now_);
  EXPECT_FALSE(behind.request.granted);
  EXPECT_TRUE(other.request.granted);
  for (Client* const each : {&behind, &other}) slots_->unhold(each->request, now_, false);
}

TEST_F(NodeSlotsTest, AFullQueueMakesRoomForAnAddressWithFewInIt) {
  config_.listen[0].hold_sessions = 5;
  start();
  nobody();
  std::vector<std::unique_ptr<Client>> crowd;
  for (std::uint64_t i = 0; i < 5; ++i) {
    crowd.push_back(std::make_unique<Client>(i, 7));
    ASSERT_TRUE(slots_->hold(crowd.back()->request, now_));
  }
  Client another(5, 7), other(6, 8);
  EXPECT_FALSE(slots_->hold(another.request, now_));
  EXPECT_TRUE(slots_->hold(other.request, now_));
  EXPECT_EQ(crowd.back()->user.ended, EndReason::kHoldFull);
  slots_->unhold(crowd.back()->request, now_, false);
  EXPECT_EQ(counters_->by_listener[0]->held.now, 5U);
}

TEST_F(NodeSlotsTest, TooManyLoginsIsToldFromNoNode) {
  config_.listen[0].logins_in_flight = 1;
  start();
  nobody();
  Client a(1), b(2);
  EXPECT_FALSE(slots_->too_many_logins(a.request));
  primary(0);
  EXPECT_FALSE(slots_->too_many_logins(a.request));
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  EXPECT_TRUE(slots_->too_many_logins(b.request));
}

TEST_F(NodeSlotsTest, EachWorkerHasItsShareOfTheLogins) {
  config_.listen[0].logins_in_flight = 3;
  start();
  counters_->workers = 2;
  NodeSlots second(running(), *counters_, 1);
  primary(0);
  second.adopt(slots_->topology_of(0));
  Client a(1), b(2), c(3), d(4), e(5);
  EXPECT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(c.request), RouteOutcome::kBusy);
  EXPECT_EQ(second.take(d.request), RouteOutcome::kNode);
  EXPECT_EQ(second.take(e.request), RouteOutcome::kBusy);
  d.request.granted = {};  // before its slots go
}

TEST_F(NodeSlotsTest, HeldClientsAreServedInOrder) {
  config_.listen[0].logins_in_flight = 1;
  start();
  nobody();
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    clients.push_back(std::make_unique<Client>(i));
    ASSERT_TRUE(slots_->hold(clients.back()->request, now_));
  }
  EXPECT_TRUE(slots_->anyone_held(0));
  primary(0);
  slots_->release(now_ + milliseconds(70));
  EXPECT_EQ(clients[0]->user.resumed, 1);
  EXPECT_EQ(clients[1]->user.resumed, 0);  // one login at a time
  slots_->unhold(clients[0]->request, now_ + milliseconds(70), true);
  clients[0]->request.granted.login_over();
  slots_->release(now_ + milliseconds(80));
  EXPECT_EQ(clients[1]->user.resumed, 1);
  EXPECT_EQ(clients[2]->user.resumed, 0);
  slots_->unhold(clients[1]->request, now_ + milliseconds(80), true);
  slots_->unhold(clients[2]->request, now_ + milliseconds(90), false);  // it left
  const NodeSlots::Held held = slots_->take_held(0);
  EXPECT_EQ(held.sessions, 2U);
  EXPECT_EQ(held.longest, milliseconds(80));
  EXPECT_EQ(slots_->take_held(0).sessions, 0U);
  EXPECT_FALSE(slots_->anyone_held());
}

TEST_F(NodeSlotsTest, AClientThatIsEndingIsGrantedNothing) {
  start();
  nobody();
  Client a(1);
  ASSERT_TRUE(slots_->hold(a.request, now_));
  a.user.end(EndReason::kClientLeft, {});
  primary(0);
  slots_->release(now_);
  EXPECT_FALSE(a.request.granted);
  EXPECT_EQ(sessions(0), 0U);
}

TEST_F(NodeSlotsTest, NoMoreAreHeldThanTheListenerAllows) {
  config_.listen[0].hold_sessions = 1;
  start();
  nobody();
  Client a(1), b(2);
  EXPECT_TRUE(slots_->hold(a.request, now_));
  EXPECT_FALSE(slots_->hold(b.request, now_));
  slots_->unhold(a.request, now_, false);
  EXPECT_TRUE(slots_->hold(b.request, now_));
}

// Two workers looked at the same moment, and both found the last place free.
TEST_F(NodeSlotsTest, WorkersThatTakeTheLastPlaceTogetherGetOne) {
  constexpr std::uint32_t kPlaces = 100;
  config_.nodes[0].max_connections = kPlaces;
  config_.listen[0].logins_in_flight = 0;
  config_.listen[0].hold_sessions = kPlaces;
  start();
  primary(0);
  std::atomic<std::uint32_t> taken = 0;
  std::atomic<std::uint32_t> held = 0;
  std::latch both_have_tried(2);
  const auto work = [&](std::size_t worker) {
    NodeSlots slots(running(), *counters_, worker);
    slots.adopt(slots_->topology_of(0));
    std::vector<std::unique_ptr<Client>> clients;
    for (std::uint64_t i = 0; i < 2 * kPlaces; ++i) {
      clients.push_back(std::make_unique<Client>(i));
      if (slots.take(clients.back()->request) == RouteOutcome::kNode) {
        ++taken;
      } else if (slots.hold(clients.back()->request, now_)) {
        ++held;
      }
    }
    both_have_tried.arrive_and_wait();  // nobody gives a place back before
  };
  std::thread one(work, 0);
  std::thread two(work, 1);
  one.join();
  two.join();
  EXPECT_EQ(taken, kPlaces);
  EXPECT_EQ(held, kPlaces);
  EXPECT_EQ(sessions(0), 0U);
}

TEST_F(NodeSlotsTest, AFailedNodeIsTriedAgainAfterAPause) {
  start();
  primary(0);
  Client a(1);
  a.request.tried = 1;
  a.request.retry_at = now_ + milliseconds(100);
  EXPECT_EQ(slots_->take(a.request), RouteOutcome::kTried);
  ASSERT_TRUE(slots_->hold(a.request, now_));
  slots_->release(now_ + milliseconds(99));
  EXPECT_FALSE(a.request.granted);
  slots_->release(now_ + milliseconds(100));
  EXPECT_TRUE(a.request.granted);
}

TEST_F(NodeSlotsTest, WaitingForAFailedNodeStopsNobodyBehind) {
  start();
  primary(0);
  Client a(1), b(2);
  a.request.tried = 1;
  a.request.retry_at = now_ + milliseconds(100);
  ASSERT_TRUE(slots_->hold(a.request, now_));
  ASSERT_TRUE(slots_->hold(b.request, now_));
  slots_->release(now_);
  EXPECT_FALSE(a.request.granted);
  EXPECT_TRUE(b.request.granted);
}

TEST_F(NodeSlotsTest, FullNodesEndTheClientsThatWait) {
  config_.nodes[0].max_connections = 1;
  start();
  primary(0);
  Client a(1), b(2);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  EXPECT_EQ(slots_->take(b.request), RouteOutcome::kFull);
  ASSERT_TRUE(slots_->hold(b.request, now_));
  slots_->release(now_);
  EXPECT_EQ(b.user.ended, EndReason::kNodeFull);
}

// The worker's invariant, for slots that have not become a session yet and for moved ones too.
TEST_F(NodeSlotsTest, AdoptingEndsWhatTheTopologyForbids) {
  start();
  primary(0);
  Client a(1), b(2);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  ASSERT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  const NodeSlot moved = std::move(b.request.granted);
  EXPECT_EQ(primary(0), 0U);
  EXPECT_EQ(primary(1), 2U);
  EXPECT_EQ(a.user.ended, EndReason::kRoleLost);
  EXPECT_EQ(b.user.ended, EndReason::kRoleLost);
  EXPECT_EQ(a.user.why, "pgsteer: pg-1: is a replica now");
  EXPECT_EQ(primary(1), 0U);  // once
}

TEST_F(NodeSlotsTest, TheSameNodeOnAnotherTimelineIsForbidden) {
  start();
  primary(0, 4);
  Client a(1);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  EXPECT_EQ(a.request.granted.timeline(), 4U);
  EXPECT_EQ(primary(0, 5), 1U);
  EXPECT_EQ(a.user.ended, EndReason::kRoleLost);
}

TEST_F(NodeSlotsTest, ASlotThatWasGivenBackIsNotEnded) {
  start();
  primary(0);
  Client a(1), b(2);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  ASSERT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  a.request.granted = {};
  EXPECT_EQ(primary(1), 1U);
  EXPECT_EQ(a.user.ended, EndReason::kNone);
}

// Its node has failed it: it came before the others, and has waited longest.
TEST_F(NodeSlotsTest, ARequestThatComesBackKeepsItsPlaceInTheQueue) {
  start();
  nobody();
  Client first(1), second(2), third(3);
  first.request.arrived = now_;
  second.request.arrived = third.request.arrived = now_ + milliseconds(1);
  for (Client* const each : {&first, &second, &third}) {
    ASSERT_TRUE(slots_->hold(each->request, now_));
  }
  slots_->unhold(first.request, now_, true);
  ASSERT_TRUE(slots_->hold(first.request, now_ + milliseconds(50)));
  primary(0);
  slots_->release(now_ + milliseconds(60));  // two logins at a time
  EXPECT_TRUE(first.request.granted);
  EXPECT_TRUE(second.request.granted);
  EXPECT_FALSE(third.request.granted);
}

// It gives its slot back when it wakes up, and looks for another node.
TEST_F(NodeSlotsTest, ASessionThatCanTakeAnotherNodeIsToldAndNotCountedAsLost) {
  start();
  primary(0);
  Client a(1), b(2);
  ASSERT_EQ(slots_->take(a.request), RouteOutcome::kNode);
  ASSERT_EQ(slots_->take(b.request), RouteOutcome::kNode);
  a.user.survives = true;
  EXPECT_EQ(primary(1), 1U);
  EXPECT_EQ(a.user.ended, EndReason::kRoleLost);
  EXPECT_EQ(b.user.ended, EndReason::kRoleLost);
}

}  // namespace
}  // namespace pgsteer
