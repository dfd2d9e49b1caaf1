#include "proxy/gate.h"

#include <gtest/gtest.h>

#include "config/address.h"

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Network network(const char* text) { return *read_network(text).value; }

Peer client(std::uint8_t last, std::uint8_t third = 0) {
  Peer peer;
  peer.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, third, last};
  return peer;
}

Peer local() {
  Peer peer;
  peer.unix_socket = true;
  return peer;
}

const Gate::Instant kStart = Gate::Instant(seconds(1000));

TEST(Gate, WithoutLimitsLetsEverybodyIn) {
  const ListenConfig config;
  Gate gate(config);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
}

TEST(Gate, AllowedNetworksAlone) {
  ListenConfig config;
  config.allow = {network("10.0.1.0/24"), network("fd00::/8")};
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(7, 1), kStart), End::kNone);
  EXPECT_EQ(gate.admit(client(7, 2), kStart), End::kDenied);
  Peer v6;
  v6.address[0] = 0xfd;
  EXPECT_EQ(gate.admit(v6, kStart), End::kNone);
  v6.address[0] = 0xfe;
  EXPECT_EQ(gate.admit(v6, kStart), End::kDenied);
}

TEST(Gate, DenyWinsOverAllow) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("10.0.0.66")};
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(66), kStart), End::kDenied);
  EXPECT_EQ(gate.admit(client(67), kStart), End::kNone);
}

// The permissions of the socket's file decide.
TEST(Gate, NetworksSayNothingOfUnixSockets) {
  ListenConfig config;
  config.allow = {network("10.0.0.0/8")};
  config.deny = {network("0.0.0.0/0"), network("::/0")};
  config.max_connections_per_client = 1;
  config.new_connections_per_client = 1;
  Gate gate(config);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(gate.admit(local(), kStart), End::kNone);
}

TEST(Gate, MaxConnectionsCountsAllClientsAndPlacesComeBack) {
  ListenConfig config;
  config.max_connections = 2;
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
  EXPECT_EQ(gate.admit(local(), kStart), End::kNone);
  EXPECT_EQ(gate.admit(client(3), kStart), End::kTooManyConnections);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(3), kStart), End::kNone);
}

TEST(Gate, EachClientHasItsOwnLimit) {
  ListenConfig config;
  config.max_connections_per_client = 2;
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart), End::kTooManyPerClient);
  EXPECT_EQ(gate.admit(client(2), kStart), End::kNone);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
}

// Whoever is refused has taken no place.
TEST(Gate, ARefusalCostsNoPlace) {
  ListenConfig config;
  config.max_connections = 1;
  config.max_connections_per_client = 1;
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(gate.admit(client(1), kStart), End::kNone);
  for (int i = 0; i < 10; ++i) EXPECT_NE(gate.admit(client(2), kStart), End::kNone);
  gate.leave(client(1));
  EXPECT_EQ(gate.admit(client(2), kStart), End::kNone);
}

TEST(Gate, NewConnectionsPerSecond) {
  ListenConfig config;
  config.new_connections_per_client = 2;
  Gate gate(config);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(gate.admit(client(1), kStart), End::kNone);
    gate.leave(client(1));
  }
  EXPECT_EQ(gate.admit(client(1), kStart + milliseconds(999)), End::kTooFast);
  EXPECT_EQ(gate.admit(client(2), kStart), End::kNone);
  EXPECT_EQ(gate.admit(client(1), kStart + milliseconds(1000)), End::kNone);
}

// Addresses without number must not cost memory without bound: the table is swept, and what is
// still of use survives that.
TEST(Gate, ForgettingQuietClientsLosesNoCount) {
  ListenConfig config;
  config.max_connections_per_client = 1;
  Gate gate(config);
  EXPECT_EQ(gate.admit(client(1, 255), kStart), End::kNone);
  auto now = kStart;
  for (int round = 0; round < 20; ++round) {
    now += seconds(2);
    for (int i = 0; i < 200; ++i) {
      const Peer peer = client(static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(round));
      EXPECT_EQ(gate.admit(peer, now), End::kNone);
      gate.leave(peer);
    }
  }
  EXPECT_EQ(gate.admit(client(1, 255), now), End::kTooManyPerClient);
  gate.leave(client(1, 255));
  EXPECT_EQ(gate.admit(client(1, 255), now), End::kNone);
}

}  // namespace
}  // namespace pgsteer
