// Which HTTP connections go first when there are too many, or when they are too slow.
#include "stats/http_connections.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;

IpAddress address(const char* text) {
  IpAddress result{};
  in_addr v4{};
  if (::inet_pton(AF_INET, text, &v4) == 1) return map_ipv4(&v4);
  EXPECT_EQ(::inet_pton(AF_INET6, text, result.data()), 1) << text;
  return result;
}

class Connections : public testing::Test {
 protected:
  std::optional<int> open(int fd, const char* from = "10.0.0.1") {
    now += milliseconds(1);
    return table.opened(fd, address(from), now);
  }
  void read(int fd) { table.request_read(fd, now += milliseconds(1)); }
  void answered(int fd) { table.answered(fd, now += milliseconds(1)); }

  HttpLimits limits{.connections = 4,
                    .connections_per_client = 3,
                    .request = milliseconds(10'000),
                    .answer = milliseconds(30'000)};
  HttpConnections table{limits};
  HttpConnections::Clock::time_point now{};
};

TEST_F(Connections, BeyondTheLimitOfAnAddressItsOldestGoes) {
  EXPECT_FALSE(open(1));
  EXPECT_FALSE(open(2));
  EXPECT_FALSE(open(3));
  EXPECT_EQ(open(4), 1);
  EXPECT_EQ(open(5), 2) << "the one that is ending does not count";
  EXPECT_FALSE(open(9, "10.0.0.2")) << "other addresses have their own";
}

TEST_F(Connections, BeyondTheLimitOfAllTheOldestGoes) {
  open(1, "10.0.0.1");
  open(2, "10.0.0.2");
  open(3, "10.0.0.3");
  EXPECT_FALSE(open(4, "10.0.0.4"));
  EXPECT_EQ(open(5, "10.0.0.5"), 1);
}

TEST_F(Connections, WhoWaitsForAnAnswerGoesLast) {
  open(1);
  open(2);
  open(3);
  read(1);
  EXPECT_EQ(open(4), 2);
  read(3);
  read(4);
  EXPECT_EQ(open(5), 1) << "if all wait, the oldest request";
}

TEST_F(Connections, AnAnswerMakesItYoungAgain) {
  open(1);
  open(2);
  open(3);
  read(1);
  answered(1);
  EXPECT_EQ(open(4), 2);
  EXPECT_EQ(open(5), 3);
  EXPECT_EQ(open(6), 1);
}

TEST_F(Connections, OneIpv6NetworkIsOneClient) {
  open(1, "2001:db8:0:1::1");
  open(2, "2001:db8:0:1::2");
  open(3, "2001:db8:0:1:ffff::3");
  EXPECT_FALSE(open(4, "2001:db8:0:2::1"));
  HttpConnections other(limits);
  for (int fd = 1; fd <= 3; ++fd) other.opened(fd, address("2001:db8:0:1::1"), now);
  EXPECT_EQ(other.opened(4, address("2001:db8:0:1::9"), now), 1);
}

TEST_F(Connections, Ipv4AddressesShareNoNetwork) {
  open(1, "10.0.0.1");
  open(2, "10.0.0.2");
  open(3, "10.0.0.3");
  EXPECT_FALSE(open(4, "10.0.0.4"));
}

TEST_F(Connections, WhatIsClosedNeitherCountsNorGoes) {
  open(1);
  open(2);
  open(3);
  table.closed(1);
  EXPECT_FALSE(open(4));
  EXPECT_EQ(open(5), 2);
  table.closed(2);
  EXPECT_EQ(open(2), 3) << "a number that was given out again is a new connection";
}

// Bytes that trickle in do not help: it is the whole request that has to be there in time.
TEST_F(Connections, ARequestThatIsNotCompleteInTimeIsLateOnce) {
  open(1);
  open(2);
  const auto second = now;
  EXPECT_TRUE(table.late(second + milliseconds(9'998)).empty());
  EXPECT_EQ(table.late(second + milliseconds(9'999)), std::vector{1});
  EXPECT_EQ(table.late(second + milliseconds(10'000)), std::vector{2});
  EXPECT_TRUE(table.late(second + milliseconds(90'000)).empty());
}

TEST_F(Connections, AnAnswerHasMoreTime) {
  open(1);
  read(1);
  EXPECT_TRUE(table.late(now + milliseconds(29'999)).empty());
  answered(1);
  EXPECT_TRUE(table.late(now + milliseconds(9'999)).empty());
  EXPECT_EQ(table.late(now + milliseconds(10'000)), std::vector{1});
}

TEST_F(Connections, UnknownDescriptorsAreIgnored) {
  table.request_read(7, now);
  table.answered(7, now);
  table.closed(7);
  EXPECT_TRUE(table.late(now + milliseconds(90'000)).empty());
}

}  // namespace
}  // namespace pgsteer
