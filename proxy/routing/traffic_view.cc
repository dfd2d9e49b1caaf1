#include "proxy/routing/traffic_view.h"

#include <utility>

#include "proxy/routing/counters.h"

namespace pgsteer {
namespace {

std::uint64_t get(const std::atomic<std::uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

HistogramView view_of(const Histogram& histogram) {
  HistogramView view;
  view.bounds.assign(Histogram::kBounds.begin(), Histogram::kBounds.end());
  for (const auto& count : histogram.counts) view.counts.push_back(get(count));
  view.sum = static_cast<double>(get(histogram.sum_us)) / 1e6;
  return view;
}

NodeTrafficView view_of(const PairCounters& from) {
  NodeTrafficView view;
  view.sessions = get(from.sessions.now);
  view.sessions_most = get(from.sessions.most);
  view.sessions_total = get(from.sessions.total);
  view.connect_errors_total = get(from.connect_errors);
  return view;
}

ListenerView view_of(const ListenerCounters& from) {
  ListenerView view;
  view.open = from.open.load(std::memory_order_relaxed);
  view.clients = get(from.sessions.now);
  view.clients_most = get(from.sessions.most);
  view.clients_total = get(from.sessions.total);
  view.held_clients = get(from.held.now);
  view.held_clients_total = get(from.held.total);
  view.cancels_total = get(from.cancels);
  view.cancels_dropped_total = get(from.cancels_dropped);
  for (std::size_t i = 0; i < kEndReasonCount; ++i) view.session_ends[i] = get(from.ends[i]);
  view.connect_seconds = view_of(from.connect);
  view.hold_seconds = view_of(from.hold);
  return view;
}

}  // namespace

TrafficView traffic_view(const Running& running, const Counters& counters,
                         std::span<const ByteCounters* const> bytes) {
  TrafficView view;
  const Config& config = running.config;
  for (std::size_t l = 0; l < config.listen.size(); ++l) {
    const std::size_t listener_slot = running.slots.listeners[l];
    const ListenerCounters& from = *counters.by_listener[listener_slot];
    ListenerView& listener = view.listeners.emplace_back(view_of(from));
    listener.name = config.listen[l].name;
    listener.cluster = config.listen[l].cluster;
    listener.cluster_slot = running.cluster_of_listener(listener_slot);
    listener.to = config.listen[l].to;
    listener.leaving = config.listen[l].leaving;
    for (const BindAddress& bind : config.listen[l].bind) listener.bind.push_back(bind.text);
    for (std::size_t n = 0; n < config.nodes.size(); ++n) {
      const std::size_t node_slot = running.slots.nodes[n];
      if (running.cluster_of_node(node_slot) != listener.cluster_slot) continue;
      NodeTrafficView& node = listener.nodes.emplace_back(view_of(from.by_node[node_slot]));
      node.node = config.nodes[n].name;
      for (const ByteCounters* worker : bytes) {
        node.bytes_in += worker->at(listener_slot, node_slot).in.get();
        node.bytes_out += worker->at(listener_slot, node_slot).out.get();
      }
      listener.bytes_in += node.bytes_in;
      listener.bytes_out += node.bytes_out;
    }
  }
  view.accept_errors_total = get(counters.accept_errors);
  view.accept_waits_total = get(counters.accept_waits);
  view.workers = static_cast<unsigned>(bytes.size());
  const std::uint32_t stopped = counters.checks_stopped.load(std::memory_order_relaxed);
  for (const std::size_t cluster : running.slots.clusters) {
    view.checks_stopped |= stopped & std::uint32_t{1} << cluster;
  }
  return view;
}

}  // namespace pgsteer
