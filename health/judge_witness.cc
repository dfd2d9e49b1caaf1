// What others say about a node whose Patroni cannot be asked: members that read the store for
// pgsteer (GET /cluster), members that the leader calls in failsafe mode, and whether anybody could
// take its place at all.
#include <algorithm>

#include "config/address.h"
#include "health/judge_context.h"

namespace pgsteer {
namespace {

// Host and port of a URL: "10.0.0.1:8008" for both "http://10.0.0.1:8008/patroni", as a member
// states its own API, and "http://10.0.0.1:8008", as the configuration does.
std::string authority(const std::string& url) {
  const auto scheme = url.find("://");
  const auto begin = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

// The configured node that each member is. A member keeps the node that it was matched with by
// name, since an address may change, and go to another member.
std::vector<std::optional<std::size_t>> match(JudgeContext& j, const ClusterReport& report) {
  std::vector<std::optional<std::size_t>> found(report.members.size());
  std::vector<bool> taken(j.s.nodes.size(), false);
  const auto match_by = [&](const auto& fits) {
    for (std::size_t m = 0; m < found.size(); ++m) {
      for (std::size_t i = 0; i < taken.size() && !found[m]; ++i) {
        if (taken[i] || !fits(report.members[m], i)) continue;
        found[m] = i;
        taken[i] = true;
      }
    }
  };
  match_by([&](const ClusterMember& m, std::size_t i) {
    const NodeState& n = j.node(i);
    const bool says_itself = n.rest.report && !n.rest.report->patroni_name.empty();
    return !says_itself && !m.name.empty() && m.name == n.member;
  });
  match_by([&](const ClusterMember& m, std::size_t i) { return names_node(j.config, j.s, m, i); });
  for (std::size_t m = 0; m < found.size(); ++m) {
    if (found[m]) j.node(*found[m]).member = report.members[m].name;
  }
  return found;
}

void note_members(JudgeContext& j, const std::vector<std::optional<std::size_t>>& found,
                  Instant asked) {
  MemberList& list = j.s.members;
  list.known = true;
  list.asked = asked;
  list.due = j.now + members_period(j.config);
  list.by_node.assign(j.s.nodes.size(), false);
  list.strangers = 0;
  for (const auto& i : found) {
    if (i) list.by_node[*i] = true;
    list.strangers += i ? 0 : 1;
  }
}

// Perhaps for another cluster: what it reads in its store speaks against nobody.
bool is_rebuilt(const NodeState& n) {
  return n.rest.report && n.rest.report->state != State::kRunning && !n.rest.report->incomplete();
}

// The node's answer of GET /cluster, if it counts now and does not come from `about` itself.
const StoreAnswer* recent_answer(const JudgeContext& j, std::size_t i, std::size_t about) {
  const NodeState& n = j.node(i);
  if (i == about || !n.store || is_foreign(j.s, n)) return nullptr;
  if (n.store->leader != about && is_rebuilt(n)) return nullptr;
  return j.now - n.store->sent <= kWitnessFresh ? &*n.store : nullptr;
}

bool is_of_another_scope(const JudgeState& s, const NodeState& n) {
  return shows_another_cluster(s, n) && !n.rest.report->scope.empty() &&
         n.rest.report->scope != s.identity.scope;
}

// A replica in sight that has not got the lease, and cannot get it: it never may, or it has lost
// the store and last read it while the key was good.
bool is_barred(const NodeState& n, Instant deadline) {
  if (!is_fresh(n) || !n.rest.report->in_recovery() || n.rest.report->lease) return false;
  const Report& r = *n.rest.report;
  return r.nofailover || (r.cluster_unlocked && n.reads.known && n.reads.before < deadline);
}

// Its last answer was that it neither leads nor takes writes.
bool stepped_down(const NodeState& n) {
  return n.rest.report && !n.rest.report->lease && !n.rest.report->writable();
}

// The list of members did not name it: its key was not written for a ttl. It has answered since, or
// nothing shows that Patroni does not run there: a node that pgsteer does not reach may be cut off
// from it alone.
bool may_have_joined(const NodeState& n, const MemberList& list) {
  if (n.rest.report && n.rest.report_received >= list.asked) return true;
  return n.rest.failures > 0 && n.rest.attempt.outcome != Outcome::kRefused;
}

bool shows_lease(const NodeState& n) {
  return is_fresh(n) && n.rest.report->lease && !n.rest.report->by_role();
}

}  // namespace

void note_cluster(JudgeContext& j, const ClusterEvidence& e) {
  NodeState& n = j.node(e.node);
  n.rest.in_flight = false;
  note_list(j, e);
  // A member that fails to answer proves nothing.
  if (!e.report || is_foreign(j.s, n) || (n.store && e.sent < n.store->sent)) return;
  const auto found = match(j, *e.report);
  if (!is_rebuilt(n)) note_members(j, found, e.sent);
  note_nominees(j, e.node, *e.report, found);
  StoreAnswer answer;
  answer.sent = e.sent;
  answer.named = e.report->leader.has_value();
  answer.complete = std::all_of(j.s.members.by_node.begin(), j.s.members.by_node.end(),
                                [](bool listed) { return listed; });
  for (std::size_t m = 0; m < found.size(); ++m) {
    const ClusterMember& member = e.report->members[m];
    if (!member.leader) continue;
    answer.leader = found[m];
    answer.standby = member.role == "standby_leader";
    answer.timeline = member.timeline;
  }
  n.store = answer;
}

bool names_node(const Config& config, const JudgeState& s, const ClusterMember& member,
                std::size_t node) {
  const NodeState& n = s.nodes[node];
  const NodeConfig& c = config.nodes[node];
  if (n.rest.report && !n.rest.report->patroni_name.empty()) {
    return n.rest.report->patroni_name == member.name;
  }
  // Before Patroni 3.2 a node does not report its name: compare addresses.
  if (!member.api_url.empty() && authority(member.api_url) == authority(rest_url(c))) return true;
  if (!member.host.empty() && member.port == c.port) {
    if (member.host == c.host) return true;
    for (const Address& a : n.addresses) {
      if (a.text() == member.host + ":" + std::to_string(member.port)) return true;
      if (a.text() == "[" + member.host + "]:" + std::to_string(member.port)) return true;
    }
  }
  return member.name == c.name;
}

// An old leader that stood still, clock and all, shows its lease when it thaws, on a lower timeline
// or with PostgreSQL down, until its first loop. Such a lease counts once the node has shown a
// newer read of the store than it did at a moment after the last proof of `node`: no clock is
// needed for that, and a read without the key would have ended the lease.
std::optional<std::size_t> lease_elsewhere(const JudgeState& s, std::size_t node,
                                           unsigned replies) {
  for (std::size_t i = 0; i < s.nodes.size(); ++i) {
    const NodeState& n = s.nodes[i];
    if (i == node || !shows_lease(n) || is_foreign(s, n) || n.lease.replies < replies) continue;
    const Report& r = *n.rest.report;
    if (!r.in_recovery() && !r.writable()) continue;
    const bool behind = s.primary && r.timeline != 0 && r.timeline < s.primary->timeline;
    const bool confirmed = n.reads.after && *n.reads.after > s.nodes[node].lease.proof_received;
    if (!behind || confirmed) return i;
  }
  return std::nullopt;
}

// What was read may be a little old, in ZooKeeper for example: a node that has answered since and
// does not show the lease outweighs it.
std::optional<std::size_t> named_elsewhere(const JudgeContext& j, std::size_t node) {
  // Nor does it count once somebody has read later that `node` is the leader.
  Instant outdated = j.node(node).lease.proof_received;
  for (const std::size_t i : witnesses(j, node)) {
    outdated = std::max(outdated, j.node(i).store->sent);
  }
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const StoreAnswer* answer = recent_answer(j, i, node);
    if (!answer || !answer->named || answer->leader == node) continue;
    if (answer->sent <= outdated) continue;
    if (!answer->leader && !answer->complete) continue;  // it may be `node` at a new address
    if (answer->leader) {
      const NodeState& named = j.node(*answer->leader);
      if (is_fresh(named) && named.rest.report_received > answer->sent && !shows_lease(named)) {
        continue;
      }
    }
    return i;
  }
  return std::nullopt;
}

std::vector<std::size_t> witnesses(const JudgeContext& j, std::size_t node) {
  std::vector<std::size_t> found;
  const StoreAnswer* newest = nullptr;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const StoreAnswer* answer = recent_answer(j, i, node);
    if (!answer) continue;
    if (!newest || answer->sent > newest->sent) newest = answer;
    if (answer->leader == node) found.push_back(i);
  }
  if (newest && (newest->leader != node || newest->standby)) found.clear();
  return found;
}

// A hung API that comes back closes the connections that it had accepted: one such failure does not
// mean that Patroni is dead.
bool is_hung(const NodeState& n) {
  return n.rest.failures > n.rest.definite_failures && n.rest.definite_failures < 2;
}

std::string witnessed_by(const JudgeContext& j, std::size_t node) {
  const NodeState& n = j.node(node);
  if (!is_hung(n) || n.database.answer != DatabaseAnswer::kAnswers) return "";
  if (const auto found = witnesses(j, node); !found.empty()) {
    return j.name(found.front()) + " finds it named as the leader in the store";
  }
  // The leader calls every member in each of its loops; none of them promotes for ttl after that.
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& other = j.node(i);
    if (i == node || !is_fresh(other) || is_foreign(j.s, other)) continue;
    if (other.rest.report->failsafe && !other.rest.report->lease) {
      return "the leader has called " + j.name(i) + " in failsafe mode";
    }
  }
  return "";
}

bool has_heir(const JudgeContext& j, std::size_t node, Instant deadline) {
  const MemberList& list = j.s.members;
  // If `node` was never listed as itself it may be one of them, at a new address.
  const bool itself = list.known && !list.by_node[node] && j.node(node).member.empty();
  if (list.known && list.strangers > (itself ? 1U : 0U)) return true;
  bool others = !list.known;
  for (std::size_t i = 0; i < j.s.nodes.size(); ++i) {
    const NodeState& n = j.node(i);
    if (i == node || is_of_another_scope(j.s, n)) continue;
    // Built anew in our scope, after pg_upgrade for example: it may lead.
    if (is_foreign(j.s, n)) return true;
    const bool member = !list.known || list.by_node[i] || is_fresh(n) || may_have_joined(n, list);
    if (member && !is_barred(n, deadline)) return true;
    others = false;
  }
  return others;
}

bool is_uncheckable(const JudgeContext& j, std::size_t node) {
  if (j.node(node).rest.attempt.outcome != Outcome::kTlsFailed) return false;
  return std::all_of(j.s.nodes.begin(), j.s.nodes.end(), [](const NodeState& n) {
    // A new node says nothing until it was asked, and one that a list has named before its proof.
    if (!n.rest.tried || is_unproven(n)) return true;
    if (n.rest.failures == 0) return false;
    const Outcome outcome = n.rest.attempt.outcome;
    return outcome != Outcome::kEmpty && outcome != Outcome::kMalformed;
  });
}

void choose_witnessed(JudgeContext& j) {
  JudgeState& s = j.s;
  if (s.identity.identifier.empty()) return;
  const bool leased = std::any_of(s.nodes.begin(), s.nodes.end(), [&](const NodeState& n) {
    return shows_lease(n) && !is_foreign(s, n);
  });
  for (std::size_t i = 0; i < s.nodes.size() && !leased; ++i) {
    NodeState& n = j.node(i);
    if (!is_hung(n) || is_foreign(s, n) || n.database.in_recovery) continue;
    if (n.database.answer != DatabaseAnswer::kAnswers) continue;
    const std::vector<std::size_t> found = witnesses(j, i);
    if (found.empty()) continue;
    const std::uint32_t timeline = s.nodes[found.front()].store->timeline;
    if (timeline == 0 || higher_timeline(j, i, timeline)) continue;
    // The key lives on for a while after a leader has stepped down. Only a promotion since
    // outweighs what the node said itself.
    if (stepped_down(n) && timeline <= n.rest.report->timeline) continue;
    const bool writable = n.database.writable_at && *n.database.writable_at > n.rest.failing_since;
    s.primary =
        CurrentPrimary{i, timeline, j.now, {}, false, found.size() < 2 && !writable, writable};
    const Assessment assessed = assess_unproven(j, i);
    if (assessed.verdict.admission != Admission::kAdmit) {
      s.primary.reset();
      continue;
    }
    s.primary->verdict = assessed.verdict;
    s.last_primary = i;
    n.primary = {j.now, Reason::kNotPrimary, ""};
    j.announce(TransitionKind::kNewPrimary, Severity::kWarn,
               j.name(i) + " is the primary: " + s.primary->verdict.why, i);
    return;
  }
}

}  // namespace pgsteer
