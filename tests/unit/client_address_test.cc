#include "proxy/net/client_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace pgsteer {
namespace {

Address v4(const char* text, std::uint16_t port) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, text, &raw.sin_addr), 1);
  Address address;
  std::memcpy(&address.storage, &raw, sizeof raw);
  address.size = sizeof raw;
  return address;
}

Address v6(const char* text, std::uint16_t port) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, text, &raw.sin6_addr), 1);
  Address address;
  std::memcpy(&address.storage, &raw, sizeof raw);
  address.size = sizeof raw;
  return address;
}

TEST(ClientAddress, OfIpv4) {
  const ClientAddress peer = client_address_of(v4("10.1.2.3", 40001));
  EXPECT_EQ(peer.host(), "10.1.2.3");
  EXPECT_EQ(peer.text(), "10.1.2.3:40001");
  EXPECT_EQ(peer.port, 40001);
  EXPECT_FALSE(peer.unix_socket);
}

TEST(ClientAddress, OfIpv6HasBrackets) {
  const ClientAddress peer = client_address_of(v6("2001:db8::1", 5));
  EXPECT_EQ(peer.host(), "2001:db8::1");
  EXPECT_EQ(peer.text(), "[2001:db8::1]:5");
}

// A socket bound to [::] reports IPv4 clients in mapped form.
TEST(ClientAddress, MappedIpv4EqualsIpv4) {
  const ClientAddress mapped = client_address_of(v6("::ffff:10.1.2.3", 7));
  const ClientAddress plain = client_address_of(v4("10.1.2.3", 7));
  EXPECT_EQ(mapped.text(), "10.1.2.3:7");
  EXPECT_EQ(mapped.address, plain.address);
  EXPECT_EQ(mapped.hash(), plain.hash());
}

TEST(ClientAddress, OfAUnixSocketIsLocal) {
  Address address;
  address.storage.ss_family = AF_UNIX;
  address.size = sizeof(sa_family_t);
  const ClientAddress peer = client_address_of(address);
  EXPECT_TRUE(peer.unix_socket);
  EXPECT_EQ(peer.text(), "local");
  EXPECT_EQ(peer.host(), "local");
}

TEST(ClientAddress, HashIgnoresThePort) {
  EXPECT_EQ(client_address_of(v4("10.1.2.3", 1)).hash(),
            client_address_of(v4("10.1.2.3", 2)).hash());
  EXPECT_NE(client_address_of(v4("10.1.2.3", 1)).hash(),
            client_address_of(v4("10.1.2.4", 1)).hash());
}

// One host has a whole /64, and could evade a limit per address with each new connection.
TEST(ClientAddress, Ipv6IsLimitedByItsNetworkOf64Bits) {
  const ClientAddress one = client_address_of(v6("2001:db8:1:2::1", 1));
  const ClientAddress same = client_address_of(v6("2001:db8:1:2:ffff::9", 2));
  const ClientAddress other = client_address_of(v6("2001:db8:1:3::1", 1));
  EXPECT_EQ(one.limited_as(), same.limited_as());
  EXPECT_EQ(one.table_key(), same.table_key());
  EXPECT_NE(one.limited_as(), other.limited_as());
  EXPECT_NE(one.table_key(), other.table_key());
}

TEST(ClientAddress, Ipv4IsLimitedByItsWholeAddress) {
  EXPECT_NE(client_address_of(v4("10.1.2.3", 1)).limited_as(),
            client_address_of(v4("10.1.2.4", 1)).limited_as());
  EXPECT_EQ(client_address_of(v4("10.1.2.3", 1)).table_key(),
            client_address_of(v4("10.1.2.3", 2)).table_key());
}

}  // namespace
}  // namespace pgsteer
