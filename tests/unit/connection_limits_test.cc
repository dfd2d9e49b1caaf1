#include "proxy/routing/connection_limits.h"

#include <gtest/gtest.h>

#include "config/address.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Network network(const char* text) { return *read_network(text).value; }

ClientAddress client(std::uint8_t last, std::uint8_t third = 0) {
  ClientAddress address;
  address.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, third, last};
  return address;
}

ClientAddress local() {
  ClientAddress address;
  address.unix_socket = true;
  return address;
}

const ConnectionLimits::Instant kStart = ConnectionLimits::Instant(seconds(1000));

TEST(ConnectionLimits, WithoutLimitsEveryClientIsAdmitted) {
  const ListenConfig config;
  ConnectionLimits limits;
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, OnlyAllowedNetworksAreAdmitted) {
  ListenConfig config;
  config.allow = {network("10.0.1.0/24"), network("fd00::/8")};
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(7, 1), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, client(7, 2), kStart), EndReason::kDenied);
  ClientAddress v6;
  v6.address[0] = 0xfd;
  EXPECT_EQ(limits.admit(config, v6, kStart), EndReason::kNone);
  v6.address[0] = 0xfe;
  EXPECT_EQ(limits.admit(config, v6, kStart), EndReason::kDenied);
}

TEST(ConnectionLimits, DenyWinsOverAllow) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("10.0.0.66")};
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(66), kStart), EndReason::kDenied);
  EXPECT_EQ(limits.admit(config, client(67), kStart), EndReason::kNone);
}

// The permissions of the socket file decide.
TEST(ConnectionLimits, NetworkRulesDoNotApplyToUnixSockets) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("0.0.0.0/0"), network("::/0")};
  config.max_connections_per_client = 1;
  config.new_connections_per_client = 1;
  ConnectionLimits limits;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limits.admit(config, local(), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, MaxConnectionsCountsAllClientsAndSlotsAreFreed) {
  ListenConfig config;
  config.max_connections = 2;
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, local(), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, client(3), kStart), EndReason::kTooManyConnections);
  limits.leave(client(1));
  EXPECT_EQ(limits.admit(config, client(3), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, EachClientHasItsOwnLimit) {
  ListenConfig config;
  config.max_connections_per_client = 2;
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kTooManyPerClient);
  EXPECT_EQ(limits.admit(config, client(2), kStart), EndReason::kNone);
  limits.leave(client(1));
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, ARefusedClientTakesNoSlot) {
  ListenConfig config;
  config.max_connections = 1;
  config.max_connections_per_client = 1;
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(limits.admit(config, client(1), kStart), EndReason::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(limits.admit(config, client(2), kStart), EndReason::kNone);
  limits.leave(client(1));
  EXPECT_EQ(limits.admit(config, client(2), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, NewConnectionsPerSecond) {
  ListenConfig config;
  config.new_connections_per_client = 2;
  ConnectionLimits limits;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(limits.admit(config, client(1), kStart), EndReason::kNone);
    limits.leave(client(1));
  }
  EXPECT_EQ(limits.admit(config, client(1), kStart + milliseconds(999)), EndReason::kTooFast);
  EXPECT_EQ(limits.admit(config, client(2), kStart), EndReason::kNone);
  EXPECT_EQ(limits.admit(config, client(1), kStart + milliseconds(1000)), EndReason::kNone);
}

// The table of clients is swept, so that it cannot grow without limit. Clients that are still
// connected must stay in it.
TEST(ConnectionLimits, SweepingOldClientsKeepsTheCounts) {
  ListenConfig config;
  config.max_connections_per_client = 1;
  ConnectionLimits limits;
  EXPECT_EQ(limits.admit(config, client(1, 255), kStart), EndReason::kNone);
  auto now = kStart;
  for (int round = 0; round < 20; ++round) {
    now += seconds(2);
    for (int i = 0; i < 200; ++i) {
      const ClientAddress from =
          client(static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(round));
      EXPECT_EQ(limits.admit(config, from, now), EndReason::kNone);
      limits.leave(from);
    }
  }
  EXPECT_EQ(limits.admit(config, client(1, 255), now), EndReason::kTooManyPerClient);
  limits.leave(client(1, 255));
  EXPECT_EQ(limits.admit(config, client(1, 255), now), EndReason::kNone);
}

TEST(ConnectionLimits, OneIpv6HostDoesNotEvadeThemWithItsOtherAddresses) {
  ListenConfig config;
  config.max_connections_per_client = 2;
  ConnectionLimits limits;
  const ConnectionLimits::Instant now{std::chrono::hours(1)};
  ClientAddress client;
  client.address = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2};
  for (std::uint8_t host = 1; host <= 2; ++host) {
    client.address[15] = host;
    EXPECT_EQ(limits.admit(config, client, now), EndReason::kNone);
  }
  client.address[15] = 3;
  EXPECT_EQ(limits.admit(config, client, now), EndReason::kTooManyPerClient);
  limits.leave(client);  // any of them: it is the network that counts
  client.address[15] = 4;
  EXPECT_EQ(limits.admit(config, client, now), EndReason::kNone);
}

}  // namespace
}  // namespace pgsteer
