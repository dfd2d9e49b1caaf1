// The distributed store: the leader key, and what Patroni does without it.
#include <algorithm>

#include "tests/simulation/model_cluster.h"

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

void ModelCluster::take_key(std::size_t i) {
  ModelStore& s = store(i);
  s.leader = i;
  s.last_leader = i;
  granted[i] = nodes[i].times.ttl;
  s.expires = agenda_.now() + granted[i];
  promised[i] = s.expires;
  nodes[i].lease_until = wall(i) + nodes[i].times.ttl;
  nodes[i].unlocked_view = false;
  say(i, "takes the leader key");
  watch_expiry(nodes[i].scope);
}

void ModelCluster::drop_key(std::size_t s) {
  scopes[s].store.leader.reset();
  ++scopes[s].store.version;
  if (trace) trace("  the leader key of " + scopes[s].name + " is gone");
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (nodes[k].scope == s && reaches_store(k)) {
      wake_patroni(k, dice_.between(milliseconds(5), milliseconds(200)));
    }
  }
}

// The keys of a store that is down do not expire.
void ModelCluster::watch_expiry(std::size_t s) {
  const unsigned version = ++scopes[s].store.version;
  agenda_.at(scopes[s].store.expires, [this, s, version] {
    const ModelStore& st = scopes[s].store;
    if (st.version == version && st.up && st.leader) drop_key(s);
  });
}

void ModelCluster::set_store(std::size_t s, bool up) {
  ModelStore& st = scopes[s].store;
  if (st.up == up) return;
  if (trace) trace("  the store of " + scopes[s].name + (up ? " is back" : " is down"));
  st.up = up;
  if (up) st.up_since = agenda_.now();
  if (!up || !st.leader) return;
  const Span ttl = scopes[s].times.ttl;
  st.expires = std::max(st.expires, agenda_.now() + dice_.between(Span(0), ttl));
  promised[*st.leader] = std::max(promised[*st.leader], st.expires);
  watch_expiry(s);
}

bool ModelCluster::members_consent(std::size_t i) {
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == i || !same_cluster(i, k)) continue;                              // not a member
    const bool slow = nodes[k].rest == RestMode::kSlow && dice_.chance(0.3);  // above 2 s
    if (!peer_answers(i, k) || slow || nodes[k].writable()) return false;
  }
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    if (k == i || !same_cluster(i, k)) continue;
    nodes[k].consent_until = agenda_.now() + nodes[k].times.ttl;
    nodes[k].failsafe_until = wall(k) + nodes[k].times.ttl;
  }
  // A member that is restarted forgets its consent; pgsteer cannot know that.
  granted[i] = nodes[i].times.ttl;
  promised[i] = agenda_.now() + granted[i];
  return true;
}

void ModelCluster::store_failed(std::size_t i) {
  ModelNode& n = nodes[i];
  n.store_known = false;
  if (!n.writable() || n.paused_view) return end_loop(i);
  if (n.times.failsafe_mode && store(i).last_leader == i && members_consent(i)) {
    n.lease_until = wall(i) + n.times.ttl;
    n.failsafe_until = n.lease_until;
    say(i, "goes on in failsafe mode");
    return end_loop(i);
  }
  n.failsafe_until = {};
  say(i, "demotes itself: the store does not answer");
  stop_postgres(i, dice_.skewed(milliseconds(50), seconds(3)), by_patroni(i, [this, i] {
                  nodes[i].lease_until = {};
                  nodes[i].memory_role = Role::kDemoted;
                  start_postgres(i, false, dice_.skewed(milliseconds(300), seconds(10)));
                }));
  end_loop(i);
}

}  // namespace pgsteer
