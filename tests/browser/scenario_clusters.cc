#include "tests/browser/scenario_clusters.h"

#include <utility>

#include "tests/browser/scenario_traffic.h"

namespace pgsteer {

void add_second(Scene& scene, ClusterView& first, ClusterView second, double elapsed) {
  first.name = "orders";
  for (ListenerView& listener : scene.traffic.listeners) listener.cluster = first.name;
  second.name = second.scope = "billing";
  second.slot = 1;
  second.alarms = {"billing: pg-3 shows a higher timeline"};
  scene.traffic.listeners.push_back(
      listener_view(second, "read_write", Target::kPrimary, "5010", elapsed));
  ListenerView& listener = scene.traffic.listeners.back();
  listener.name = "billing_rw";
  listener.cluster = second.name;
  listener.cluster_slot = second.slot;
  second.nodes.back().discovered = true;
  for (NodeView& node : second.nodes) {
    node.verdicts.resize(1);
    node.verdicts[0].listener = listener.name;
  }
  scene.second = std::make_shared<const ClusterView>(std::move(second));
}

}  // namespace pgsteer
