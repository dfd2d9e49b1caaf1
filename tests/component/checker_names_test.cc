// The checker thread and host names: looked up late, changed, lost, or never found.
#include "tests/component/checker_fixture.h"

namespace pgsteer {
namespace {

// A name service that the test controls. Its lookups may outlive the test's body.
struct NameService {
  std::mutex mutex;
  std::condition_variable changed;
  bool answers = true;  // otherwise lookups hang
  std::vector<Address> addresses;
  unsigned lookups = 0;  // that have ended

  std::vector<Address> look_up() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return answers; });
    ++lookups;
    return addresses;
  }
  void set(bool answer, std::vector<Address> found) {
    const std::lock_guard lock(mutex);
    answers = answer;
    addresses = std::move(found);
    changed.notify_all();
  }
  unsigned ended() {
    const std::lock_guard lock(mutex);
    return lookups;
  }
};

class CheckerNamesTest : public CheckerTest {
 protected:
  // One node whose two hosts are the name "pg-1.test".
  void build_named() {
    build(1);
    config.nodes[0].host = "pg-1.test";
    config.nodes[0].rest = rest[0]->url("pg-1.test");
    lookup = [names = names](const std::string&) { return names->look_up(); };
  }
  ~CheckerNamesTest() override { names->set(true, {}); }  // lets a hanging lookup end

  const std::vector<Address> here{*numeric_address("127.0.0.1")};
  const std::vector<Address> elsewhere{*numeric_address("127.0.0.9")};
  std::shared_ptr<NameService> names = std::make_shared<NameService>();
};

TEST_F(CheckerNamesTest, ARequestWaitsForTheFirstLookup) {
  build_named();
  config.health.timeout = seconds(60);
  config.health.interval = seconds(60);  // a request that is given up would not come again
  names->set(false, {});
  rest[0]->lead(4);
  start();
  checker->suspect({0, SuspicionKind::kServerEnded});  // the thread has begun its work
  ASSERT_TRUE(eventually([&] { return event("in trouble"); }));
  EXPECT_EQ(rest[0]->asked("/leader"), 0u);
  names->set(true, here);
  ASSERT_TRUE(eventually([&] { return leads(0); }, milliseconds(400))) << "it did not wake up";
  EXPECT_EQ(last_topology()->nodes[0].addresses.front().text(),
            "127.0.0.1:" + std::to_string(database[0]->port()));
}

TEST_F(CheckerNamesTest, ALookupThatHangsIsAFailedCheck) {
  build_named();
  config.health.interval = seconds(60);
  names->set(false, {});
  const auto began = steady_clock::now();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed == 1; }));
  const auto took = steady_clock::now() - began;
  EXPECT_GE(took, config.health.timeout);
  EXPECT_LT(took, seconds(5)) << "it slept beyond the deadline";
  EXPECT_EQ(last_view()->nodes[0].last_check_result, "pg-1.test does not resolve");
  EXPECT_GE(last_view()->nodes[0].check_seconds, 0.4);
}

TEST_F(CheckerNamesTest, ALookupThatHangsDelaysNoOtherNode) {
  build_named();
  config.nodes[0].host = "127.0.0.1";
  build(1);  // and a second one without a name
  config.health.timeout = seconds(60);
  names->set(false, {});
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[1].checks_total >= 5; }));
  EXPECT_EQ(last_view()->nodes[0].checks_total, 0u);
}

TEST_F(CheckerNamesTest, EachFailedLookupIsACheckThatObserversSee) {
  build_named();
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed >= 5; }));
}

TEST_F(CheckerNamesTest, NamesAreLookedUpAgainWhileHunting) {
  build_named();
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_failed > 0; }));
  EXPECT_TRUE(last_topology()->nodes[0].addresses.empty());
  names->set(true, here);
  // Otherwise it would take ten seconds.
  ASSERT_TRUE(eventually([&] { return leads(0); }, seconds(5)));
}

TEST_F(CheckerNamesTest, NoNameIsLookedUpAgainWhileThePrimaryStands) {
  build_named();
  names->set(true, here);
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return leads(0) && !view->hunting; }));
  const auto lookups = names->ended();
  const auto checks = last_view()->nodes[0].checks_total;
  ASSERT_TRUE(eventually([&] { return view->nodes[0].checks_total >= checks + 13; }));
  EXPECT_LE(names->ended(), lookups + 1);
}

TEST_F(CheckerNamesTest, ALostNameKeepsItsAddresses) {
  build_named();
  names->set(true, here);
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].last_check_result == "503"; }));
  names->set(true, {});
  const auto lookups = names->ended();
  ASSERT_TRUE(eventually([&] { return names->ended() >= lookups + 2; }));
  rest[0]->lead(4);
  ASSERT_TRUE(eventually([&] { return leads(0); }));
  EXPECT_FALSE(last_topology()->nodes[0].addresses.empty());
}

TEST_F(CheckerNamesTest, ANewAddressReplacesTheOldOne) {
  build_named();
  names->set(true, elsewhere);  // nobody listens there
  rest[0]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] { return view->nodes[0].last_check_result == "connection refused"; }));
  names->set(true, here);
  ASSERT_TRUE(eventually([&] { return leads(0); }, seconds(5)));
  EXPECT_EQ(last_topology()->nodes[0].addresses.front().text(),
            "127.0.0.1:" + std::to_string(database[0]->port()));
}

TEST_F(CheckerNamesTest, ANameOfOneNodeIsNotTakenForAnother) {
  build(2);
  config.nodes[0].host = "pg-1.test";
  config.nodes[1].host = "pg-2.test";
  config.nodes[1].rest = rest[1]->url("rest-2.test");
  lookup = [](const std::string& name) -> std::vector<Address> {
    if (name == "pg-1.test") return {*numeric_address("127.0.0.1")};
    if (name == "pg-2.test") return {*numeric_address("127.0.0.2")};
    return {*numeric_address("127.0.0.1")};
  };
  rest[1]->lead(4);
  start();
  ASSERT_TRUE(eventually([&] {
    return leads(1) && view->nodes[0].last_check_result == "503" &&
           !topology->nodes[0].addresses.empty() && !topology->nodes[1].addresses.empty();
  }));
  EXPECT_EQ(last_topology()->nodes[0].addresses.front().text(),
            "127.0.0.1:" + std::to_string(database[0]->port()));
  EXPECT_EQ(last_topology()->nodes[1].addresses.front().text(),
            "127.0.0.2:" + std::to_string(database[1]->port()));
}

}  // namespace
}  // namespace pgsteer
