#include "stats/allowed_hosts.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

TEST(AllowedHosts, AddressesAndLocalhostAlwaysAre) {
  const AllowedHosts hosts({});
  for (const char* host : {"127.0.0.1", "10.1.2.3:7000", "[::1]", "[fd00::5]:7000", "localhost",
                           "LocalHost:7000", "localhost.", "localhost.:80"}) {
    EXPECT_TRUE(hosts.allow(host)) << host;
  }
}

// rebind.example may point to 127.0.0.1 a moment after its page was loaded.
TEST(AllowedHosts, ForeignNamesAreNot) {
  const AllowedHosts hosts({"pg-1"});
  for (const char* host :
       {"rebind.example", "rebind.example:7000", "127.0.0.1.rebind.example", "localhost.example",
        "pg-1.example", "xpg-1", "", ":7000", "localhost:x", "[::1", "[::1]x", "[::1]:x", "[pg-1",
        "127.1", "0x7f.0.0.1", "localhost:7000:7000", " localhost", "pg-1..", "*"}) {
    EXPECT_FALSE(hosts.allow(host)) << host;
  }
}

TEST(AllowedHosts, GivenNamesAreInAnyCase) {
  const AllowedHosts hosts({"PG-1", "pgsteer.Example.com.", ""});
  for (const char* host : {"pg-1", "Pg-1:7000", "pgsteer.example.com", "PGSTEER.EXAMPLE.COM.:80"}) {
    EXPECT_TRUE(hosts.allow(host)) << host;
  }
  EXPECT_FALSE(hosts.allow("example.com"));
  EXPECT_FALSE(hosts.allow("."));
}

TEST(AllowedHosts, AStarAllowsEveryName) {
  const AllowedHosts hosts({"*"});
  EXPECT_TRUE(hosts.allow("rebind.example:7000"));
}

}  // namespace
}  // namespace pgsteer
