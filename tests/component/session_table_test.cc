// The session table of a whole server, while its sessions come and go.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"

namespace pgsteer {
namespace {

// The table is described in parts; whoever leaves between two of them is not in it.
TEST(SessionTable, ShowsEverySessionWhileOthersComeAndGo) {
  ProxyFixture proxy(1, 2);
  proxy.rw().hold = 60s;
  proxy.start();
  proxy.no_primary();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(proxy.connect());
    clients.back().send_startup();
  }
  ASSERT_TRUE(eventually([&] { return proxy.sessions().size() == 300; }));
  for (int round = 0; round < 50; ++round) {
    clients[static_cast<std::size_t>(round)].close();
    const std::size_t shown = proxy.sessions().size();
    EXPECT_LE(shown, 300U);
    EXPECT_GE(shown, 250U);
  }
  EXPECT_TRUE(eventually([&] { return proxy.sessions().size() == 250; }));
}

}  // namespace
}  // namespace pgsteer
