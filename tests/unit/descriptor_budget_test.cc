#include "proxy/routing/descriptor_budget.h"

#include <gtest/gtest.h>

namespace pgsteer {
namespace {

Config small() {
  Config config;
  config.nodes.resize(3);
  config.listen.resize(2);
  for (ListenConfig& listen : config.listen) listen.bind.resize(1);
  return config;
}

TEST(DescriptorBudget, AClientMayNeedTwoAndNeverTakesTheReserve) {
  const DescriptorBudget budget = descriptor_budget(small(), 1024, 2);
  EXPECT_EQ(budget.limit, 1024U);
  EXPECT_EQ(budget.clients, (1024 - budget.reserved) / 2);
  EXPECT_TRUE(budget.enough());
}

TEST(DescriptorBudget, TheReserveGrowsWithWhatIsConfigured) {
  const auto reserved = [](const Config& config, unsigned workers) {
    return descriptor_budget(config, 1024, workers).reserved;
  };
  const std::size_t base = reserved(small(), 1);
  EXPECT_GE(reserved(small(), 2), base + 64);  // the pipes of a worker
  Config config = small();
  config.nodes.resize(4);
  EXPECT_GE(reserved(config, 1), base + 8);
  config = small();
  config.stats.bind.resize(1);
  EXPECT_GE(reserved(config, 1), base + kStatsConnections);
  config = small();
  config.listen[0].bind.resize(3);
  EXPECT_EQ(reserved(config, 1), base + 2);
}

TEST(DescriptorBudget, ALimitBelowTheReserveLeavesNoClients) {
  const DescriptorBudget none = descriptor_budget(small(), 100, 2);
  EXPECT_EQ(none.clients, 0U);
  EXPECT_FALSE(none.enough());
  const DescriptorBudget least = descriptor_budget(small(), none.least_limit(), 2);
  EXPECT_EQ(least.clients, DescriptorBudget::kLeastClients);
  EXPECT_TRUE(least.enough());
}

}  // namespace
}  // namespace pgsteer
