#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "config/address.h"

namespace pgsteer {
namespace {

TEST(ConfigBind, ReadsEveryForm) {
  const std::vector<std::tuple<std::string, std::string, std::uint16_t>> cases{
      {"*:5000", "*", 5000},
      {":5000", "*", 5000},
      {"0.0.0.0:5000", "0.0.0.0", 5000},
      {"10.0.0.1:65535", "10.0.0.1", 65535},
      {"[::]:5000", "::", 5000},
      {"[::1]:5000", "::1", 5000},
      {"[FD00:0:0::5]:1", "fd00::5", 1},
      {"127.0.0.1:0", "127.0.0.1", 0},
  };
  for (const auto& [text, host, port] : cases) {
    const auto read = read_bind(text);
    ASSERT_TRUE(read.value) << text << ": " << read.error;
    EXPECT_EQ(read.value->host, host);
    EXPECT_EQ(read.value->port, port);
    EXPECT_EQ(read.value->text, text);
    EXPECT_EQ(read.value->unix_path, "");
  }
}

TEST(ConfigBind, AbsolutePathIsAUnixSocket) {
  const auto read = read_bind("/run/pgsteer/.s.PGSQL.5000");
  ASSERT_TRUE(read.value);
  EXPECT_EQ(read.value->unix_path, "/run/pgsteer/.s.PGSQL.5000");
  EXPECT_EQ(read.value->host, "");
  EXPECT_EQ(read.value->port, 0);
}

TEST(ConfigBind, RefusesEverythingElse) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "has no port"},
      {"5000", "has no port"},
      {"10.0.0.1", "has no port"},
      {"[::1]", "has no port"},
      {"::1", "needs brackets"},
      {"::1:5000", "needs brackets"},
      {"[::1:5000", "needs brackets"},
      {"[::1]5000", "needs brackets"},
      {"10.0.0.1:", "is not a port"},
      {"10.0.0.1:x", "is not a port"},
      {"10.0.0.1:-1", "is not a port"},
      {"10.0.0.1:65536", "is not a port"},
      {"10.0.0.1:5000 ", "is not a port"},
      {"10.0.0.256:5000", "is not a numeric address"},
      {"10.0.1:5000", "is not a numeric address"},
      {"[10.0.0.1]:5000", "is not a numeric address"},
      {"[*]:5000", "is not a numeric address"},
      {"[]:5000", "is not a numeric address"},
      {"pg.example:5000", "names are not resolved"},
      {"localhost:5000", "\"127.0.0.1:5000\", \"[::1]:5000\""},
      {"relative/socket", "has no port"},
      {"/run/pgsteer/", "is a directory"},
      {"/" + std::string(108, 'x'), "too long for a Unix socket"},
      {std::string("127.0.0.1\0:1", 12), "is not a numeric address"},
  };
  for (const auto& [text, wrong] : cases) {
    const auto read = read_bind(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find(wrong), std::string::npos) << text << ": " << read.error;
  }
}

TEST(ConfigBind, KnowsWhichAddressesConflict) {
  const std::vector<std::tuple<std::string, std::string, bool>> cases{
      {"10.0.0.1:5000", "10.0.0.1:5000", true},
      {"10.0.0.1:5000", "10.0.0.1:5001", false},
      {"10.0.0.1:5000", "10.0.0.2:5000", false},
      {"*:5000", ":5000", true},
      {"*:5000", "10.0.0.1:5000", true},
      {"*:5000", "[::1]:5000", true},
      {"*:5000", "0.0.0.0:5000", true},
      {"*:5000", "[::]:5000", true},
      {"*:5000", "*:5001", false},
      {"0.0.0.0:5000", "10.0.0.1:5000", true},
      {"0.0.0.0:5000", "[::]:5000", false},
      {"0.0.0.0:5000", "[::1]:5000", false},
      {"[::]:5000", "[::1]:5000", true},
      {"[::]:5000", "10.0.0.1:5000", false},
      {"[::0:1]:5000", "[::1]:5000", true},
      {"127.0.0.1:0", "127.0.0.1:0", false},
      {"/run/a", "/run/a", true},
      {"/run/a", "/run/b", false},
      {"/run/a", "*:5000", false},
  };
  for (const auto& [first, second, expected] : cases) {
    const auto a = read_bind(first), b = read_bind(second);
    ASSERT_TRUE(a.value && b.value);
    EXPECT_EQ(in_conflict(*a.value, *b.value), expected) << first << " " << second;
    EXPECT_EQ(in_conflict(*b.value, *a.value), expected) << second << " " << first;
  }
}

IpAddress bytes(const std::string& address) {
  IpAddress out{};
  const std::string mapped = address.find(':') == std::string::npos ? "::ffff:" + address : address;
  EXPECT_EQ(inet_pton(AF_INET6, mapped.c_str(), out.data()), 1) << address;
  return out;
}

TEST(ConfigNetwork, ContainsWhatItShould) {
  const std::vector<std::tuple<std::string, std::string, bool>> cases{
      {"10.0.0.0/8", "10.0.0.0", true},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"10.0.0.0/8", "::1", false},
      {"192.168.128.0/17", "192.168.128.1", true},
      {"192.168.128.0/17", "192.168.127.255", false},
      {"10.0.0.7", "10.0.0.7", true},
      {"10.0.0.7", "10.0.0.6", false},
      {"10.0.0.7/32", "10.0.0.7", true},
      {"0.0.0.0/0", "255.1.2.3", true},
      {"0.0.0.0/0", "::1", false},
      {"::1", "::1", true},
      {"::1/128", "::2", false},
      {"fd00::/8", "fdff::1", true},
      {"fd00::/8", "fe00::1", false},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"::/0", "fe80::1", true},
      {"::/0", "10.0.0.1", true},
  };
  for (const auto& [network, address, expected] : cases) {
    const auto read = read_network(network);
    ASSERT_TRUE(read.value) << network << ": " << read.error;
    EXPECT_EQ(read.value->contains(bytes(address)), expected) << network << " " << address;
    EXPECT_EQ(read.value->text, network);
  }
}

TEST(ConfigNetwork, CountsTheIpv4PrefixInTheMappedForm) {
  EXPECT_EQ(read_network("10.0.0.0/8").value->prefix, 104U);
  EXPECT_EQ(read_network("10.0.0.1").value->prefix, 128U);
  EXPECT_EQ(read_network("fd00::/8").value->prefix, 8U);
}

TEST(ConfigNetwork, RefusesEverythingElse) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "is not a network"},
      {"all", "is not a network"},
      {"10.0.0/8", "is not a network"},
      {"10.0.0.0:5", "is not a network"},
      {"[::1]", "is not a network"},
      {"10.0.0.0/", "is not a prefix length: 0 to 32"},
      {"10.0.0.0/33", "is not a prefix length: 0 to 32"},
      {"10.0.0.0/255.0.0.0", "is not a prefix length: 0 to 32"},
      {"::/129", "is not a prefix length: 0 to 128"},
      {"::/-1", "is not a prefix length"},
      {"10.1.2.3/8", "write \"10.0.0.0/8\" for the network or \"10.1.2.3\""},
      {"fd00::1/8", "write \"fd00::/8\" for the network"},
      {"0.0.0.1/0", "write \"0.0.0.0/0\""},
  };
  for (const auto& [text, wrong] : cases) {
    const auto read = read_network(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find(wrong), std::string::npos) << text << ": " << read.error;
  }
}

TEST(ConfigHost, TakesNamesAndAddresses) {
  for (const char* text :
       {"pg-1", "pg_1.example.org", "10.0.0.1", "::1", "fd00::1", "localhost", "4pg", "pg."}) {
    EXPECT_TRUE(read_host(text).value) << text << ": " << read_host(text).error;
  }
}

TEST(ConfigHost, RefusesWhatBelongsElsewhere) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "is neither"},
      {"pg 1", "is neither"},
      {"10.0.0.256", "is neither"},
      {"10.0.1", "is neither"},
      {"/run/postgresql", "is neither"},
      {std::string(254, 'a'), "is neither"},
      {"pg-1:5432", "write it as port = 5432"},
      {"[::1]:5432", "write it as port = 5432"},
      {"[::1]", "without brackets"},
      {"http://pg-1:8008", "is a URL"},
  };
  for (const auto& [text, wrong] : cases) {
    const auto read = read_host(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find(wrong), std::string::npos) << text << ": " << read.error;
  }
}

TEST(ConfigRest, TakesSchemeHostAndPort) {
  EXPECT_EQ(read_rest_url("http://pg-1:8008").value, "http://pg-1:8008");
  EXPECT_EQ(read_rest_url("https://10.0.0.1:8008/").value, "https://10.0.0.1:8008");
  EXPECT_EQ(read_rest_url("http://[::1]:8008").value, "http://[::1]:8008");
  EXPECT_EQ(default_rest_url("pg-1"), "http://pg-1:8008");
  EXPECT_EQ(default_rest_url("fd00::1"), "http://[fd00::1]:8008");
}

TEST(ConfigRest, RefusesEverythingElse) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"pg-1:8008", "does not begin with"},
      {"ftp://pg-1:8008", "does not begin with"},
      {"HTTP://pg-1:8008", "does not begin with"},
      {"http://", "is neither"},
      {"http://:8008", "is neither"},
      {"http://pg-1", "has no port"},
      {"http://pg-1:", "is not a port"},
      {"http://pg-1:0", "is not a port"},
      {"http://pg-1:99999", "is not a port"},
      {"http://pg-1:8008/leader", "has a path"},
      {"http://pg-1:8008//", "has a path"},
      {"http://pg-1:8008?x", "has a path"},
      {"http://me:secret@pg-1:8008", "under [health]"},
      {"http://::1:8008", "needs brackets"},
      {"http://[pg-1]:8008", "is neither"},
      {"http://[10.0.0.1]:8008", "is neither"},
      {"http://[::1:8008", "needs brackets"},
      {"http://p g:8008", "is neither"},
  };
  for (const auto& [text, wrong] : cases) {
    const auto read = read_rest_url(text);
    EXPECT_FALSE(read.value) << text;
    EXPECT_NE(read.error.find(wrong), std::string::npos) << text << ": " << read.error;
  }
  EXPECT_EQ(read_rest_url("http://me:secret@pg-1:8008").error.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace pgsteer
