// Faults around the nodes: the network, REST, names, the pgsteers; and what the operator does.
#include <algorithm>

#include "tests/simulation/faults.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::optional<RestMode> rest_mode(Fault fault) {
  switch (fault) {
    case Fault::kRestSlow:
      return RestMode::kSlow;
    case Fault::kRestHung:
      return RestMode::kHung;
    case Fault::kRestBacklog:
      return RestMode::kBacklogFull;
    case Fault::kRestRefusing:
      return RestMode::kRefusing;
    case Fault::kRestEmpty:
      return RestMode::kEmpty;
    case Fault::kRestGarbage:
      return RestMode::kGarbage;
    case Fault::kQueryFails:
      return RestMode::kQueryFails;
    default:
      return std::nullopt;
  }
}

// A counter of ModelNetwork up or down.
void bump(unsigned& counter, int by) { counter += static_cast<unsigned>(by); }

}  // namespace

void Faults::isolate(std::size_t node, int by) {
  ModelNetwork& net = cluster_.net;
  bump(net.store[node], by);
  for (auto& ways : net.proxy) {
    bump(ways[node].rest, by);
    bump(ways[node].sql, by);
  }
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    for (ModelNetwork::Way* way : {&net.peer[node][k], &net.peer[k][node]}) {
      bump(way->rest, by);
      bump(way->sql, by);
    }
  }
}

bool Faults::strike_network(Fault fault, std::size_t node) {
  ModelNetwork& net = cluster_.net;
  const std::size_t peer = dice_.below(cluster_.nodes.size());
  ModelNetwork::Way* way = &net.proxy[dice_.below(proxies_.size())][node];
  bool rest = false, sql = false;
  switch (fault) {
    case Fault::kRestDropped:
      rest = true;
      break;
    case Fault::kSqlDropped:
      sql = true;
      break;
    case Fault::kUnreachable:
      rest = sql = true;
      break;
    case Fault::kPeerRestDropped:
      way = &net.peer[peer][node];
      rest = true;
      break;
    case Fault::kPeerSqlDropped:
      way = &net.peer[node][peer];
      sql = true;
      break;
    case Fault::kCutFromStore:
      begin(fault, node);
      ++net.store[node];
      end_after(fault, milliseconds(50), seconds(90), [&net, node] { --net.store[node]; });
      return true;
    case Fault::kIsolated:
      begin(fault, node);
      isolate(node, 1);
      end_after(fault, milliseconds(50), seconds(90), [this, node] { isolate(node, -1); });
      return true;
    case Fault::kStoreDown:
    case Fault::kStoreElection: {
      // One store for all scopes, or only that of the first.
      begin(fault, node);
      const std::size_t last = dice_.chance(0.7) ? cluster_.scopes.size() : 1;
      const bool election = fault == Fault::kStoreElection;
      for (std::size_t s = 0; s < last; ++s) cluster_.set_store(s, false);
      const auto back = [this] {
        for (std::size_t s = 0; s < cluster_.scopes.size(); ++s) cluster_.set_store(s, true);
      };
      end_at(fault,
             election ? dice_.between(seconds(1), seconds(5))
                      : dice_.skewed(milliseconds(100), seconds(120)),
             back);
      return true;
    }
    default:
      return false;
  }
  begin(fault, node);
  way->rest += rest;
  way->sql += sql;
  end_after(fault, milliseconds(50), seconds(90), [way, rest, sql] {
    way->rest -= rest;
    way->sql -= sql;
  });
  return true;
}

bool Faults::strike_rest(Fault fault, std::size_t node) {
  ModelNode& n = cluster_.nodes[node];
  if (const auto mode = rest_mode(fault)) {
    begin(fault, node);
    n.rest = *mode;
    end_after(fault, milliseconds(100), seconds(120), [&n] { n.rest = RestMode::kPrompt; });
    return true;
  }
  if (fault == Fault::kListLies) {
    begin(fault, node);
    ++n.lies;
    end_after(fault, seconds(1), seconds(60), [&n] { --n.lies; });
    return true;
  }
  if (fault != Fault::kTlsOne && fault != Fault::kTlsAll) return false;
  begin(fault, node);
  const bool all = fault == Fault::kTlsAll;
  for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
    if (all || k == node) ++cluster_.nodes[k].tls_faults;
  }
  end_after(fault, milliseconds(500), seconds(120), [this, all, node] {
    for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
      if (all || k == node) --cluster_.nodes[k].tls_faults;
    }
  });
  return true;
}

bool Faults::strike_names(Fault fault, std::size_t node) {
  ModelNetwork::Name& name = cluster_.net.names[node];
  switch (fault) {
    case Fault::kNameEmpty:
      begin(fault, node);
      ++name.failures;
      end_after(fault, seconds(1), seconds(120), [&name] { --name.failures; });
      return true;
    case Fault::kNameSlow:
      begin(fault, node);
      ++name.slow;
      end_after(fault, seconds(1), seconds(120), [&name] { --name.slow; });
      return true;
    case Fault::kNameMoves:
      // The host changes its address; the name follows later. Only where pgsteer uses names.
      begin(fault, node);
      if (!profile_.names) return end_at(fault, seconds(1), nullptr), true;
      ++cluster_.nodes[node].address;
      cluster_.sessions_end(node, true);
      end_after(fault, milliseconds(100), seconds(30),
                [this, &name, node] { name.address = cluster_.nodes[node].address; });
      return true;
    case Fault::kNameSecond:
      begin(fault, node);
      name.second = true;
      end_after(fault, seconds(5), seconds(120), [&name] { name.second = false; });
      return true;
    default:
      return false;
  }
}

bool Faults::strike_proxies(Fault fault) {
  const std::size_t index = dice_.below(proxies_.size());
  SimulatedProxy* const p = proxies_[index].get();
  switch (fault) {
    case Fault::kProxyRestart: {
      begin(fault, index);
      const Span down = dice_.skewed(milliseconds(50), seconds(20));
      p->restart(down);
      end_at(fault, down + kStarts, nullptr);
      return true;
    }
    case Fault::kProxyFrozen:
      begin(fault, index);
      p->freeze(true);
      end_after(fault, milliseconds(100), seconds(60), [p] { p->freeze(false); });
      return true;
    case Fault::kCheckerStalled:
      begin(fault, index);
      p->stall(true);
      end_after(fault, milliseconds(100), seconds(60), [p] { p->stall(false); });
      return true;
    case Fault::kReload: {
      // Often several of them in a row.
      begin(fault, index);
      const std::size_t more = dice_.chance(0.4) ? dice_.below(4) : 0;
      reload(*p);
      for (std::size_t k = 0; k < more; ++k) {
        agenda_.after(dice_.skewed(milliseconds(1), seconds(20)), [this, p] { reload(*p); });
      }
      end_at(fault, kConsequences, nullptr);
      return true;
    }
    default:
      return false;
  }
}

// Nodes most often: the rest concerns fewer rules.
void Faults::reload(SimulatedProxy& proxy) {
  static constexpr Edit kNodes[] = {Edit::kOrderOfNodes, Edit::kAddNode, Edit::kRemoveNode,
                                    Edit::kRemoveNode, Edit::kBringBack};
  const bool nodes = dice_.chance(0.5);
  proxy.reload(nodes ? dice_.pick(kNodes) : static_cast<Edit>(dice_.below(kEdits)));
}

void Faults::pause(std::size_t node, bool stops) {
  cluster_.set_pause(true);
  if (stops) {
    agenda_.after(dice_.skewed(seconds(3), seconds(30)),
                  [this, node] { cluster_.stop_patroni(node); });
    agenda_.after(dice_.skewed(seconds(30), seconds(90)),
                  [this, node] { cluster_.start_patroni(node); });
  }
  const Fault fault = stops ? Fault::kPausedStop : Fault::kPause;
  end_after(fault, seconds(20), seconds(200), [this] {
    cluster_.set_pause(false);
    if (cluster_.scopes[0].store.pause) {
      agenda_.after(seconds(60), [this] { cluster_.set_pause(false); });
    }
  });
}

// Never so many that the others are no majority.
void Faults::foreign_node(std::size_t node) {
  if (cluster_.nodes[node].scope != 0 || profile_.cluster.nodes < 3) return;
  for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) {
    if (cluster_.nodes[i].strange) return cluster_.reinitialise(i, false);
  }
  if (cluster_.serves_rest(node)) cluster_.reinitialise(node, true);
}

void Faults::change_times() {
  static constexpr int kTtls[] = {20, 30, 45};
  static constexpr int kWaits[] = {2, 5, 10};
  ModelTimes t = cluster_.scopes[0].times;
  t.ttl = seconds(dice_.pick(kTtls));
  t.loop_wait = seconds(dice_.pick(kWaits));
  t.retry_timeout = seconds(t.ttl >= seconds(30) ? 10 : 5);
  if (dice_.chance(0.2)) t.failsafe_mode = !t.failsafe_mode;
  cluster_.change_times(t);
}

// A node that missed it is rebuilt later.
void Faults::replace_cluster() {
  if (profile_.cluster.beside > 0 || cluster_.scopes[0].standby) return;
  cluster_.replace_cluster();
  agenda_.after(seconds(150), [this] {
    for (std::size_t k = 0; k < cluster_.nodes.size(); ++k) {
      const std::string& data = cluster_.nodes[k].system_identifier;
      if (data != "666" && data != cluster_.scopes[0].identifier) cluster_.reinitialise(k, false);
    }
  });
}

bool Faults::operate(Fault fault, std::size_t node) {
  switch (fault) {
    case Fault::kPause:
    case Fault::kPausedStop:
      begin(fault, node);
      pause(node, fault == Fault::kPausedStop);
      return true;
    case Fault::kSwitchover:
      begin(fault, node);
      cluster_.switchover();
      break;
    case Fault::kPromoteByHand:
      begin(fault, node);
      cluster_.promote_by_hand(dice_.below(cluster_.nodes.size()));
      break;
    case Fault::kForeignNode:
      begin(fault, node);
      foreign_node(node);
      break;
    case Fault::kReinitialise: {
      begin(fault, node);
      const ModelNode& n = cluster_.nodes[node];
      cluster_.reinitialise(node, n.system_identifier == "666");
      break;
    }
    case Fault::kReplaceCluster:
      begin(fault, node);
      replace_cluster();
      break;
    case Fault::kPromoteStandby:
      begin(fault, node);
      cluster_.promote_standby_cluster(profile_.cluster.beside > 0 ? 1 : 0);
      break;
    case Fault::kChangeTimes:
      begin(fault, node);
      change_times();
      break;
    default:
      return false;
  }
  end_at(fault, kConsequences, nullptr);
  return true;
}

}  // namespace pgsteer
