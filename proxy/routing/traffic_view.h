// What an observer sees of the data plane's counters: plain values. stats/ shows them. The copy is
// made beside the counters, in traffic_view.cc. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/running.h"
#include "proxy/routing/end_reason.h"

namespace pgsteer {

struct ByteCounters;
struct Counters;

// Sessions of one listener on one node.
struct NodeTrafficView {
  std::string node;
  std::uint64_t sessions = 0;
  std::uint64_t sessions_most = 0;
  std::uint64_t sessions_total = 0;
  std::uint64_t bytes_in = 0;   // from clients
  std::uint64_t bytes_out = 0;  // to clients
  std::uint64_t connect_errors_total = 0;
};

// Bounds in seconds; counts per bucket (not cumulated), the last one is +Inf.
struct HistogramView {
  std::vector<double> bounds;
  std::vector<std::uint64_t> counts;  // bounds.size() + 1
  double sum = 0;
};

struct ListenerView {
  std::string name;
  std::string cluster;           // its name; empty: it has none
  std::size_t cluster_slot = 0;  // not shown
  Target to = Target::kPrimary;
  std::vector<std::string> bind;
  bool open = true;      // false: closed because there is no node
  bool leaving = false;  // no longer in the configuration file; its sessions may still be there
  std::uint64_t clients = 0;  // connected, waiting ones included
  std::uint64_t clients_most = 0;
  std::uint64_t clients_total = 0;
  std::uint64_t held_clients = 0;  // waiting for a node
  std::uint64_t held_clients_total = 0;
  std::uint64_t cancels_total = 0;          // CancelRequests forwarded
  std::uint64_t cancels_dropped_total = 0;  // and those that were sent to no node
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::array<std::uint64_t, kEndReasonCount> session_ends{};  // by EndReason
  std::vector<NodeTrafficView> nodes;  // of its cluster, in the order of the config
  HistogramView connect_seconds;       // to the node
  HistogramView hold_seconds;          // of the clients that waited
};

struct TrafficView {
  std::vector<ListenerView> listeners;
  std::uint64_t accept_errors_total = 0;  // out of descriptors and the like
  // Times that no client was accepted because the descriptors for clients were all in use.
  std::uint64_t accept_waits_total = 0;
  unsigned workers = 0;
  // Clusters whose checker has published nothing for too long, a bit for each slot: sessions of
  // their primary listeners are cut or held.
  std::uint32_t checks_stopped = 0;
  bool stopped(std::size_t cluster) const { return (checks_stopped >> cluster & 1) != 0; }
};

// `bytes` has one entry per worker.
TrafficView traffic_view(const Running& running, const Counters& counters,
                         std::span<const ByteCounters* const> bytes);

}  // namespace pgsteer
