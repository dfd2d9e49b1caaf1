// Resolves names in the background: a lookup that hangs delays neither other names nor shutdown.
#include "health/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

namespace pgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// State of the fake lookups, shared with threads that may outlive the test's body.
struct LookupState {
  std::mutex mutex;
  std::condition_variable changed;
  bool release = false;  // lets the hanging lookup return
  std::atomic<unsigned> lookups = 0;
  std::uint64_t notified = 0;

  // Checks `done` again after each notify(), never with the lock held.
  bool wait(const std::function<bool()>& done) {
    const auto limit = steady_clock::now() + seconds(10);
    for (;;) {
      std::uint64_t seen = 0;
      {
        const std::lock_guard lock(mutex);
        seen = notified;
      }
      if (done()) return true;
      std::unique_lock lock(mutex);
      if (!changed.wait_until(lock, limit, [&] { return notified != seen; })) return false;
    }
  }
  void notify() {
    const std::lock_guard lock(mutex);
    ++notified;
    changed.notify_all();
  }
};

TEST(Resolver, NumericHostsAreNotNames) {
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

TEST(Resolver, AHangingLookupDelaysNeitherOthersNorShutdown) {
  auto state = std::make_shared<LookupState>();
  auto began = steady_clock::now();
  {
    Resolver resolver(
        seconds(60), [state] { state->notify(); },
        [state](const std::string& name) -> std::vector<Address> {
          std::unique_lock lock(state->mutex);
          if (name == "dead") state->changed.wait(lock, [&] { return state->release; });
          return {*numeric_address("10.0.0.7")};
        });
    resolver.use({"dead", "good"});
    std::vector<Resolver::Result> results;
    ASSERT_TRUE(state->wait([&] {
      for (auto& r : resolver.take()) results.push_back(r);
      return !results.empty();
    }));
    EXPECT_EQ(results[0].name, "good");
    EXPECT_EQ(results.size(), 1u);
    began = steady_clock::now();
  }
  EXPECT_LT(steady_clock::now() - began, seconds(5));  // the lookup hangs for ever
  const std::lock_guard lock(state->mutex);
  state->release = true;
  state->changed.notify_all();
}

TEST(Resolver, TheOrderOfTheAddressesDoesNotMatter) {
  auto state = std::make_shared<LookupState>();
  Resolver resolver(
      milliseconds(1), [state] { state->notify(); },
      [state](const std::string&) -> std::vector<Address> {
        const std::lock_guard lock(state->mutex);
        auto a = *numeric_address("10.0.0.1"), b = *numeric_address("10.0.0.2");
        return ++state->lookups % 2 ? std::vector{a, b} : std::vector{b, a};
      });
  resolver.use({"pair"});
  std::vector<Resolver::Result> results;
  ASSERT_TRUE(state->wait([&] {
    for (auto& r : resolver.take()) results.push_back(r);
    return results.size() >= 2;
  }));
  EXPECT_EQ(results[0].addresses, results[1].addresses);
}

TEST(Resolver, RefreshLooksUpAgainAtOnce) {
  auto state = std::make_shared<LookupState>();
  Resolver resolver(
      seconds(600), [state] { state->notify(); },
      [state](const std::string&) -> std::vector<Address> {
        const std::lock_guard lock(state->mutex);
        ++state->lookups;
        return {};
      });
  resolver.use({"name"});
  ASSERT_TRUE(state->wait([&] { return state->lookups >= 1; }));
  ASSERT_TRUE(state->wait([&] { return !resolver.take().empty(); }));
  resolver.refresh();
  EXPECT_TRUE(state->wait([&] { return state->lookups >= 2; }));
}

TEST(Resolver, ANameThatStaysIsKnownAtOnce) {
  auto state = std::make_shared<LookupState>();
  Resolver resolver(
      seconds(600), [state] { state->notify(); },
      [state](const std::string& name) -> std::vector<Address> {
        std::unique_lock lock(state->mutex);
        const bool again = name == "stays" && ++state->lookups > 1;
        if (again) state->changed.wait(lock, [&] { return state->release; });
        return {*numeric_address("10.0.0.7")};
      });
  resolver.use({"stays", "goes"});
  std::size_t found = 0;
  ASSERT_TRUE(state->wait([&] { return (found += resolver.take().size()) == 2; }));
  resolver.use({"stays", "comes"});
  const auto results = resolver.take();
  ASSERT_FALSE(results.empty());
  EXPECT_EQ(results[0].name, "stays");
  EXPECT_EQ(results[0].addresses.size(), 1U);
  const std::lock_guard lock(state->mutex);
  state->release = true;
  state->changed.notify_all();
}

// Members may be listed under ever other names whose lookups hang.
TEST(Resolver, ThreadsAreBounded) {
  auto state = std::make_shared<LookupState>();
  Resolver resolver(
      seconds(600), [state] { state->notify(); },
      [state](const std::string&) -> std::vector<Address> {
        std::unique_lock lock(state->mutex);
        ++state->lookups;
        ++state->notified;
        state->changed.notify_all();
        state->changed.wait(lock, [&] { return state->release; });
        return {};
      });
  std::set<std::string> names;
  for (int round = 0; round < 3; ++round) {
    names.clear();
    for (int i = 0; i < 128; ++i) names.insert(std::to_string(round) + "-" + std::to_string(i));
    resolver.use(names);
    const unsigned most = round == 0 ? 128 : Resolver::kMaxThreads;
    ASSERT_TRUE(state->wait([&] { return state->lookups >= most; }));
    EXPECT_EQ(state->lookups, most);
  }
  {
    const std::lock_guard lock(state->mutex);
    state->release = true;
    state->changed.notify_all();
  }
  std::set<std::string> found;
  EXPECT_TRUE(state->wait([&] {
    for (const auto& result : resolver.take()) found.insert(result.name);
    return found == names;
  })) << "those that had to wait come next";
}

}  // namespace
}  // namespace pgsteer
