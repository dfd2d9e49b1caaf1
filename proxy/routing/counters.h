// What the data plane counts. Every counter is a relaxed atomic that any thread may read.
//
// What happens once per session (begun, ended, held) is counted for all workers together, because
// limits and balancing need the sum. Bytes are counted per worker, with that worker as the only
// writer, so that no cache line moves between cores for every message.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/routing/end_reason.h"
#include "proxy/routing/handshake_rate.h"

namespace pgsteer {

// A number that only one thread adds to: no locked instruction, and readable by all.
class OwnCounter {
 public:
  void add(std::uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }
  void reset() { value_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// How many there are, the most there ever were, and how many there have been.
struct Gauge {
  std::atomic<std::uint64_t> now{0};
  std::atomic<std::uint64_t> most{0};
  std::atomic<std::uint64_t> total{0};

  void enter() { count(now.fetch_add(1, std::memory_order_relaxed) + 1); }
  void count(std::uint64_t mine) {
    total.fetch_add(1, std::memory_order_relaxed);
    std::uint64_t seen = most.load(std::memory_order_relaxed);
    while (mine > seen && !most.compare_exchange_weak(seen, mine, std::memory_order_relaxed)) {
    }
  }
  // The same, unless there are `limit` already. Workers that come at the same moment do not exceed
  // it.
  bool enter_below(std::uint64_t limit) {
    std::uint64_t seen = now.load(std::memory_order_relaxed);
    do {
      if (seen >= limit) return false;
    } while (!now.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
    count(seen + 1);
    return true;
  }
  void leave() { now.fetch_sub(1, std::memory_order_relaxed); }
  void reset() {
    for (auto* each : {&now, &most, &total}) each->store(0, std::memory_order_relaxed);
  }
};

// Durations in buckets; bounds in seconds.
struct Histogram {
  static constexpr std::array<double, 12> kBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05,
                                                  0.1,    0.5,   1,      2.5,   5,    10};
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> counts{};
  std::atomic<std::uint64_t> sum_us{0};

  void reset() {
    for (auto& count : counts) count.store(0, std::memory_order_relaxed);
    sum_us.store(0, std::memory_order_relaxed);
  }
  void record(std::chrono::microseconds time) {
    const double seconds = static_cast<double>(time.count()) / 1e6;
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    counts[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_us.fetch_add(static_cast<std::uint64_t>(time.count()), std::memory_order_relaxed);
  }
};

// One listener's sessions on one node.
struct PairCounters {
  Gauge sessions;
  std::atomic<std::uint64_t> connect_errors{0};
  void reset() {
    sessions.reset();
    connect_errors.store(0, std::memory_order_relaxed);
  }
};

struct ListenerCounters {
  explicit ListenerCounters(std::size_t nodes) : by_node(nodes) {}

  Gauge sessions;  // waiting ones included
  Gauge held;
  std::atomic<std::uint64_t> cancels{0};
  std::atomic<std::uint64_t> cancels_dropped{0};
  std::array<std::atomic<std::uint64_t>, kEndReasonCount> ends{};
  std::atomic<bool> open{true};
  std::atomic<std::uint32_t> clients{0};  // accepted, and the acceptor has not heard of their end
  Histogram connect;
  Histogram hold;
  std::vector<PairCounters> by_node;

  // For a listener that gets the slot of one that has gone.
  void reset() {
    sessions.reset();
    held.reset();
    for (auto* each : {&cancels, &cancels_dropped}) each->store(0, std::memory_order_relaxed);
    for (auto& each : ends) each.store(0, std::memory_order_relaxed);
    open.store(true, std::memory_order_relaxed);
    connect.reset();
    hold.reset();
  }
};

// All listeners of a node together: what its limit and the balance look at.
struct NodeCounters {
  std::atomic<std::uint32_t> sessions{0};
};

struct Counters {
  Counters(std::size_t listeners, std::size_t node_count) : nodes(node_count) {
    for (std::size_t i = 0; i < listeners; ++i) {
      by_listener.push_back(std::make_unique<ListenerCounters>(node_count));
    }
  }

  std::vector<std::unique_ptr<ListenerCounters>> by_listener;
  std::vector<NodeCounters> nodes;
  unsigned workers = 1;  // among whom limits are shared out; set before they run
  std::atomic<std::uint64_t> accept_errors{0};
  std::atomic<std::uint64_t> accept_waits{0};  // times that there was no room for a client
  // Clusters of which the workers act on an expired topology, a bit for each slot.
  std::atomic<std::uint32_t> checks_stopped{0};
  std::atomic<std::uint64_t> next_session{1};
  std::atomic<std::uint32_t> turn{0};  // breaks ties of the balance
  HandshakeRate handshakes;            // of all listeners
};

// Bytes moved by one worker, by listener and node.
struct ByteCounters {
  struct Pair {
    OwnCounter in;   // from clients
    OwnCounter out;  // to clients
    void reset() {
      in.reset();
      out.reset();
    }
  };
  ByteCounters(std::size_t listeners, std::size_t node_count)
      : nodes(node_count), pairs(listeners * node_count) {}

  Pair& at(std::size_t listener, std::size_t node) { return pairs[listener * nodes + node]; }
  const Pair& at(std::size_t listener, std::size_t node) const {
    return pairs[listener * nodes + node];
  }

  std::size_t nodes;
  std::vector<Pair> pairs;
};

}  // namespace pgsteer
