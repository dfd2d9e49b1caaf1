// Names to addresses without ever waiting: a lookup that hangs delays neither other names nor the
// end.
#include "health/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Shared with threads that may outlive the test's body.
struct ConnectionLimits {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  std::atomic<unsigned> lookups = 0;
  std::uint64_t told = 0;

  // Looks at `done` again each time something is told; never with the lock held.
  bool wait(const std::function<bool()>& done) {
    auto limit = steady_clock::now() + seconds(10);
    for (;;) {
      std::uint64_t seen = 0;
      {
        std::lock_guard lock(mutex);
        seen = told;
      }
      if (done()) return true;
      std::unique_lock lock(mutex);
      if (!changed.wait_until(lock, limit, [&] { return told != seen; })) return false;
    }
  }
  void tell() {
    std::lock_guard lock(mutex);
    ++told;
    changed.notify_all();
  }
};

TEST(Resolver, NumericHostsAreNoNames) {
  EXPECT_EQ(with_port(*numeric_address("10.0.0.1"), 5432).text(), "10.0.0.1:5432");
  EXPECT_EQ(with_port(*numeric_address("::1"), 5432).text(), "[::1]:5432");
  EXPECT_FALSE(numeric_address("pg-1"));
  EXPECT_FALSE(numeric_address("10.0.0"));
  EXPECT_FALSE(numeric_address(""));
}

TEST(Resolver, LooksUpRealNames) {
  EXPECT_FALSE(look_up("localhost").empty());
  EXPECT_TRUE(look_up("pg-1.invalid").empty());
}

TEST(Resolver, AHangingNameDelaysNoOtherAndNotTheEnd) {
  auto gate = std::make_shared<ConnectionLimits>();
  auto began = steady_clock::now();
  {
    Resolver resolver(
        {"dead", "good"}, seconds(60), [gate] { gate->tell(); },
        [gate](const std::string& name) -> std::vector<Address> {
          std::unique_lock lock(gate->mutex);
          if (name == "dead") gate->changed.wait(lock, [&] { return gate->open; });
          return {*numeric_address("10.0.0.7")};
        });
    std::vector<Resolver::Result> results;
    ASSERT_TRUE(gate->wait([&] {
      for (auto& r : resolver.take()) results.push_back(r);
      return !results.empty();
    }));
    EXPECT_EQ(results[0].name, "good");
    EXPECT_EQ(results.size(), 1u);
    began = steady_clock::now();
  }
  EXPECT_LT(steady_clock::now() - began, seconds(1));
  std::lock_guard lock(gate->mutex);
  gate->open = true;
  gate->changed.notify_all();
}

TEST(Resolver, AnotherOrderOfTheSameAddressesIsNoNews) {
  auto gate = std::make_shared<ConnectionLimits>();
  Resolver resolver(
      {"pair"}, milliseconds(1), [gate] { gate->tell(); },
      [gate](const std::string&) -> std::vector<Address> {
        std::lock_guard lock(gate->mutex);
        auto a = *numeric_address("10.0.0.1"), b = *numeric_address("10.0.0.2");
        return ++gate->lookups % 2 ? std::vector{a, b} : std::vector{b, a};
      });
  std::vector<Resolver::Result> results;
  ASSERT_TRUE(gate->wait([&] {
    for (auto& r : resolver.take()) results.push_back(r);
    return results.size() >= 2;
  }));
  EXPECT_EQ(results[0].addresses, results[1].addresses);
}

TEST(Resolver, RefreshLooksAgainSooner) {
  auto gate = std::make_shared<ConnectionLimits>();
  Resolver resolver(
      {"name"}, seconds(600), [gate] { gate->tell(); },
      [gate](const std::string&) -> std::vector<Address> {
        std::lock_guard lock(gate->mutex);
        ++gate->lookups;
        return {};
      });
  ASSERT_TRUE(gate->wait([&] { return gate->lookups >= 1; }));
  ASSERT_TRUE(gate->wait([&] { return !resolver.take().empty(); }));
  resolver.refresh();
  EXPECT_TRUE(gate->wait([&] { return gate->lookups >= 2; }));
}

}  // namespace
}  // namespace pgsteer
