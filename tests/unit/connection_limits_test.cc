#include "proxy/routing/connection_limits.h"

#include <gtest/gtest.h>

#include "config/address.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Network network(const char* text) { return *read_network(text).value; }

ClientAddress client(std::uint8_t last, std::uint8_t third = 0) {
  ClientAddress peer;
  peer.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, third, last};
  return peer;
}

ClientAddress local() {
  ClientAddress peer;
  peer.unix_socket = true;
  return peer;
}

const ConnectionLimits::Instant kStart = ConnectionLimits::Instant(seconds(1000));

TEST(ConnectionLimits, WithoutLimitsLetsEverybodyIn) {
  const ListenConfig config;
  ConnectionLimits gate(config);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, AllowedNetworksAlone) {
  ListenConfig config;
  config.allow = {network("10.0.1.0/24"), network("fd00::/8")};
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(7, 1), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(client(7, 2), kStart), EndReason::kDenied);
  ClientAddress v6;
  v6.address[0] = 0xfd;
  EXPECT_EQ(gate.admit(v6, kStart), EndReason::kNone);
  v6.address[0] = 0xfe;
  EXPECT_EQ(gate.admit(v6, kStart), EndReason::kDenied);
}

TEST(ConnectionLimits, DenyWinsOverAllow) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("10.0.0.66")};
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(66), kStart), EndReason::kDenied);
  EXPECT_EQ(gate.admit(client(67), kStart), EndReason::kNone);
}

// The permissions of the socket's file decide.
TEST(ConnectionLimits, NetworksSayNothingOfUnixSockets) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("0.0.0.0/0"), network("::/0")};
  config.max_connections_per_client = 1;
  config.new_connections_per_client = 1;
  ConnectionLimits gate(config);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(gate.admit(local(), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, MaxConnectionsCountsAllClientsAndPlacesComeBack) {
  ListenConfig config;
  config.max_connections = 2;
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(local(), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(client(3), kStart), EndReason::kTooManyConnections);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(3), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, EachClientHasItsOwnLimit) {
  ListenConfig config;
  config.max_connections_per_client = 2;
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kTooManyPerClient);
  EXPECT_EQ(gate.admit(client(2), kStart), EndReason::kNone);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
}

// Whoever is refused has taken no place.
TEST(ConnectionLimits, ARefusalCostsNoPlace) {
  ListenConfig config;
  config.max_connections = 1;
  config.max_connections_per_client = 1;
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(gate.admit(client(1), kStart), EndReason::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(gate.admit(client(2), kStart), EndReason::kNone);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(2), kStart), EndReason::kNone);
}

TEST(ConnectionLimits, NewConnectionsPerSecond) {
  ListenConfig config;
  config.new_connections_per_client = 2;
  ConnectionLimits gate(config);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(gate.admit(client(1), kStart), EndReason::kNone);
    gate.leave(client(1));
  }
  EXPECT_EQ(gate.admit(client(1), kStart + milliseconds(999)), EndReason::kTooFast);
  EXPECT_EQ(gate.admit(client(2), kStart), EndReason::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart + milliseconds(1000)), EndReason::kNone);
}

// Addresses without number must not cost memory without bound: the table is swept, and what is
// still of use survives that.
TEST(ConnectionLimits, ForgettingQuietClientsLosesNoCount) {
  ListenConfig config;
  config.max_connections_per_client = 1;
  ConnectionLimits gate(config);
  EXPECT_EQ(gate.admit(client(1, 255), kStart), EndReason::kNone);
  auto now = kStart;
  for (int round = 0; round < 20; ++round) {
    now += seconds(2);
    for (int i = 0; i < 200; ++i) {
      const ClientAddress peer =
          client(static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(round));
      EXPECT_EQ(gate.admit(peer, now), EndReason::kNone);
      gate.leave(peer);
    }
  }
  EXPECT_EQ(gate.admit(client(1, 255), now), EndReason::kTooManyPerClient);
  gate.leave(client(1, 255));
  EXPECT_EQ(gate.admit(client(1, 255), now), EndReason::kNone);
}

}  // namespace
}  // namespace pgsteer
