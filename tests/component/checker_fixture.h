// A checker against fake REST APIs and fake ports of PostgreSQL, for the tests of the checker
// thread.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "health/checker.h"
#include "tests/component/fake_patroni.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// PostgreSQL's port as the checker uses it: answers SSLRequest with one byte, and closes when the
// other side does. While frozen, the kernel accepts connections and nothing else happens.
class FakePort {
 public:
  explicit FakePort(char tls);
  ~FakePort();
  FakePort(const FakePort&) = delete;
  FakePort& operator=(const FakePort&) = delete;

  std::uint16_t port() const { return port_; }
  unsigned ssl_requests() const { return ssl_requests_; }
  unsigned connections() const { return connections_; }
  void freeze() { frozen_ = true; }
  void thaw();  // closes what it accepted while frozen

 private:
  void run();

  char tls_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false, frozen_ = false;
  std::atomic<unsigned> ssl_requests_ = 0, connections_ = 0;
  std::mutex mutex_;
  std::vector<int> kept_;  // accepted while frozen
  std::thread thread_;
};

// A checker with any number of fakes, and the last topology that it published.
class CheckerTest : public testing::Test {
 protected:
  // Adds `count` nodes.
  void build(std::size_t count) {
    for (std::size_t i = rest.size(), end = i + count; i < end; ++i) {
      rest.push_back(std::make_unique<FakePatroni>());
      database.push_back(std::make_unique<FakePort>('N'));
      NodeConfig node;
      node.name = "pg-" + std::to_string(i + 1);
      node.host = "127.0.0.1";
      node.port = database[i]->port();
      node.rest = rest[i]->url();
      config.nodes.push_back(node);
    }
    config.listen.resize(2);
    config.listen[0].name = "read_write";
    config.listen[1].name = "read_only";
    config.listen[1].to = Target::kReplica;
    config.health.interval = milliseconds(200);
    config.health.hunt_interval = milliseconds(20);
    config.health.timeout = milliseconds(400);
  }
  void start() {
    CheckerOutput output;
    output.topology = [this](TopologyPtr t) {
      std::lock_guard lock(mutex);
      generations.push_back(t->generation);
      topology = std::move(t);
      published = steady_clock::now();
      changed.notify_all();
    };
    output.cluster = [this](ClusterViewPtr v) {
      std::lock_guard lock(mutex);
      view = std::move(v);
      ++views;
      changed.notify_all();
    };
    output.event = [this](EventView e) {
      std::lock_guard lock(mutex);
      events.push_back(std::move(e));
      changed.notify_all();
    };
    checker = std::make_unique<Checker>(std::make_shared<const Running>(config), 0, output, lookup);
    checker->start();
  }
  bool eventually(const std::function<bool()>& done, milliseconds limit = seconds(10)) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, limit, [&] { return topology && view && done(); });
  }
  // For use outside eventually(): the checker goes on publishing.
  TopologyPtr last_topology() {
    std::lock_guard lock(mutex);
    return topology;
  }
  ClusterViewPtr last_view() {
    std::lock_guard lock(mutex);
    return view;
  }
  steady_clock::time_point last_published() {
    std::lock_guard lock(mutex);
    return published;
  }
  bool admitted(std::size_t node) const {
    return topology->pools[0].by_node[node].admission == Admission::kAdmit;
  }
  bool leads(std::size_t node) const { return topology->primary == node && admitted(node); }
  Reason reason(std::size_t node) const { return topology->pools[0].by_node[node].reason; }
  // An event whose text contains `part`.
  const EventView* event(const std::string& part) const {
    for (const EventView& e : events) {
      if (e.text.find(part) != std::string::npos) return &e;
    }
    return nullptr;
  }

  Config config;
  Lookup lookup = look_up;
  std::vector<std::unique_ptr<FakePatroni>> rest;
  std::vector<std::unique_ptr<FakePort>> database;
  std::mutex mutex;
  std::condition_variable changed;
  TopologyPtr topology;
  ClusterViewPtr view;
  unsigned views = 0;  // that it has published
  steady_clock::time_point published;
  std::vector<std::uint64_t> generations;
  std::vector<EventView> events;
  std::unique_ptr<Checker> checker;
};

}  // namespace pgsteer
