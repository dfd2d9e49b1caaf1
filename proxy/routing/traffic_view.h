// What an observer sees of the data plane's counters: plain values. stats/ shows them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pgsteer {

// Sessions of one listener on one node.
struct NodeTrafficView {
  std::string node;
  std::uint64_t now = 0;
  std::uint64_t most = 0;
  std::uint64_t total = 0;
  std::uint64_t bytes_in = 0;   // from clients
  std::uint64_t bytes_out = 0;  // to clients
  std::uint64_t connect_errors = 0;
};

// A cumulative histogram; bounds in seconds, counts per bucket (not cumulated), the last one is
// +Inf.
struct HistogramView {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;  // bounds.size() + 1
  double sum = 0;
};

struct ListenerView {
  std::string name;
  std::string to;
  std::vector<std::string> bind;
  bool open = true;       // false: closed because there is no node
  std::uint64_t now = 0;  // sessions, waiting ones included
  std::uint64_t most = 0;
  std::uint64_t total = 0;
  std::uint64_t held = 0;  // waiting for a node now
  std::uint64_t held_total = 0;
  std::uint64_t cancels = 0;  // CancelRequests passed on
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::vector<std::pair<std::string, std::uint64_t>> ends;  // every End word, zero included
  std::vector<NodeTrafficView> nodes;                       // in the order of the config
  HistogramView connect;                                    // to the node
  HistogramView hold;                                       // time held, of those that were
};

struct TrafficView {
  std::vector<ListenerView> listeners;
  std::uint64_t accept_errors = 0;  // descriptors exhausted and the like
  unsigned workers = 0;
};

}  // namespace pgsteer
