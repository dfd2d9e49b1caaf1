// What the DETAIL of an error tells whoever asks: with error_detail = "short" nothing about nodes.
#include <gtest/gtest.h>

#include "tests/component/proxy_fixture.h"

namespace pgsteer {
namespace {

class ErrorDetails : public testing::Test {
 protected:
  void begin(ErrorDetail detail) {
    proxy.rw().error_detail = detail;
    proxy.rw().hold = 0ms;
    proxy.start();
  }
  std::string refusal() {
    ProxyClient client = proxy.connect();
    client.send_startup();
    EXPECT_TRUE(client.ended_with("57P03"));
    return client.last_error.detail;
  }
  std::string cut() {
    proxy.primary(0);
    ProxyClient client = proxy.session();
    EXPECT_TRUE(client.open());
    proxy.no_primary("10.0.0.1 is on its way");
    EXPECT_TRUE(client.ended_with("57P01"));
    return client.last_error.detail;
  }

  ProxyFixture proxy;
};

TEST_F(ErrorDetails, FullSaysWhyThereIsNoNode) {
  begin(ErrorDetail::kFull);
  proxy.no_primary("pg-1 has been demoted");
  EXPECT_EQ(refusal(), "pgsteer: pg-1 has been demoted");
  EXPECT_NE(cut().find("pg-1"), std::string::npos);
}

TEST_F(ErrorDetails, ShortNamesNoNode) {
  begin(ErrorDetail::kShort);
  proxy.no_primary("pg-1 has been demoted");
  EXPECT_EQ(refusal(), "pgsteer: no node takes connections now");
  EXPECT_EQ(cut(), "");
}

TEST_F(ErrorDetails, ShortSaysWhichLimitIsReached) {
  proxy.rw().max_connections = 1;
  begin(ErrorDetail::kShort);
  proxy.primary(0);
  ProxyClient one = proxy.session();
  ASSERT_TRUE(one.open());
  ProxyClient two = proxy.connect();
  two.send_startup();
  ASSERT_TRUE(two.ended_with("53300"));
  EXPECT_TRUE(two.last_error.detail.starts_with("pgsteer: ")) << two.last_error.detail;
}

}  // namespace
}  // namespace pgsteer
