// Nodes that members name in their lists and the configuration file does not. judge nominates them;
// whoever puts configurations in force adds them, and from then on they are nodes like others that
// have yet to prove that they belong to the cluster (is_foreign()).
#include <algorithm>
#include <cctype>

#include "config/address.h"
#include "health/judge_context.h"
#include "proxy/net/address.h"

namespace pgsteer {
namespace {

constexpr std::size_t kMaxNameSize = 63;
// Complaints about lists are made once each, and not about more members than this.
constexpr std::size_t kMaxTold = 64;

// Its own history shows that it is one of us, and its list is from the store that it lives by. The
// lists of strangers have been dropped before.
bool may_nominate(const JudgeContext& j, const NodeState& n) {
  return j.s.identity.settled && n.was_ours && is_fresh(n) &&
         n.rest.report->state == State::kRunning;
}

void tell_once(JudgeContext& j, const std::string& about, const std::string& text) {
  auto& told = j.s.discovery.told;
  if (told.size() >= kMaxTold || !told.insert(about).second) return;
  j.announce(TransitionKind::kNode, Severity::kWarn, text);
}

// One that is being taken out of the file may stay, because it is still a member.
bool is_written(const NodeConfig& node) { return !node.discovered && !node.leaving; }

bool same_address(const Nominee& a, const NodeConfig& b) {
  return a.host == b.host && a.port == b.port;
}

// One that is written down by a name has this address.
bool is_written_by_name(const JudgeContext& j, const std::string& host, std::uint16_t port) {
  const auto numeric = numeric_address(host);
  if (!numeric) return false;
  const Address address = with_port(*numeric, port);
  for (std::size_t i = 0; i < j.config.nodes.size(); ++i) {
    const auto& known = j.node(i).addresses;
    if (is_written(j.config.nodes[i]) && std::ranges::find(known, address) != known.end()) {
      return true;
    }
  }
  return false;
}

// "http://10.0.0.4:8008" of "http://10.0.0.4:8008/patroni".
std::string base_url(const std::string& url) {
  const auto scheme = url.find("://");
  return scheme == std::string::npos ? url : url.substr(0, url.find('/', scheme + 3));
}

// Nothing, and a warning: what the list says of the member is not usable.
std::optional<Nominee> nominee(JudgeContext& j, const ClusterMember& member,
                               const std::string& lister) {
  const auto host = read_host(member.host);
  const auto rest = read_rest_url(base_url(member.api_url));
  if (host.value && rest.value && member.port != 0 && !member.name.empty()) {
    return Nominee{member.name, *host.value, member.port, *rest.value, {}, {}};
  }
  const std::string who = member.name.empty() ? "a member without a name" : "'" + member.name + "'";
  tell_once(j, member.name + " " + member.host + " " + member.api_url,
            lister + " lists " + who + ", whose address cannot be used: host '" + member.host +
                "', port " + std::to_string(member.port) + ", REST API '" + member.api_url + "'");
  return std::nullopt;
}

void note_member(JudgeContext& j, const ClusterMember& member, const std::string& lister) {
  std::optional<Nominee> found = nominee(j, member, lister);
  if (!found || is_written_by_name(j, found->host, found->port)) return;
  auto& nominees = j.s.discovery.nominees;
  const auto known = std::ranges::find_if(
      nominees, [&](const Nominee& n) { return n.host == found->host && n.port == found->port; });
  if (known != nominees.end()) {
    found->refused = known->refused;
    *known = std::move(*found);
    return;
  }
  const auto& nodes = j.config.nodes;
  const auto written = std::ranges::count_if(nodes, is_written);
  if (static_cast<std::size_t>(written) + nominees.size() >= kMaxNodes) {
    return tell_once(j, "full",
                     lister + " lists '" + member.name + "', which is not used: there are " +
                         std::to_string(kMaxNodes) + " nodes already");
  }
  j.announce(TransitionKind::kNode, Severity::kInfo,
             lister + " lists a further member: " + member.name + " at " +
                 host_port(found->host, found->port));
  nominees.push_back(std::move(*found));
}

std::optional<std::size_t> node_of(const JudgeContext& j, const Nominee& nominee) {
  const auto& nodes = j.config.nodes;
  const auto at =
      std::ranges::find_if(nodes, [&](const NodeConfig& c) { return same_address(nominee, c); });
  if (at == nodes.end()) return std::nullopt;
  return static_cast<std::size_t>(at - nodes.begin());
}

// Since when it has not answered as one of ours; nothing: it does.
std::optional<Instant> silent_since(const JudgeState& s, const NodeState& n) {
  if (shows_another_cluster(s, n)) return Instant{};
  if (n.rest.failures > 0) return n.rest.failing_since;
  return n.rest.report ? std::nullopt : std::optional(Instant{});
}

// Written down meanwhile, or for too long absent from the lists and silent. Where no list can be
// read, as when it is pgsteer that is cut off, nobody is forgotten; nor just after it stood still.
bool is_over(JudgeContext& j, const Nominee& nominee) {
  const auto i = node_of(j, nominee);
  if (i && is_written(j.config.nodes[*i])) return true;
  if (is_written_by_name(j, nominee.host, nominee.port)) return true;
  if (!nominee.absent || j.now < j.s.grace_until) return false;
  const auto silent = i ? silent_since(j.s, j.node(*i)) : std::optional(Instant{});
  if (!silent) return false;
  const auto both = j.now - std::max(*nominee.absent, *silent);
  if (both < j.config.clusters.front().forget_after) return false;
  j.announce(TransitionKind::kNode, Severity::kInfo,
             nominee.member + " at " + host_port(nominee.host, nominee.port) +
                 " is forgotten: no member that answers lists it, and it does not answer as one of "
                 "them, for " +
                 seconds_text(both));
  return true;
}

// A node that was one of ours is no matter of this: the whole cluster may be about to change its
// identifier, and the node has a say in that.
void note_refusal(JudgeContext& j, Nominee& nominee) {
  const auto limit = j.config.clusters.front().forget_after;
  if (nominee.refused && j.now - *nominee.refused >= limit) nominee.refused.reset();
  const auto i = node_of(j, nominee);
  if (nominee.refused || !i || !is_unproven(j.node(*i))) return;
  if (!shows_another_cluster(j.s, j.node(*i))) return;
  nominee.refused = j.now;
  j.announce(TransitionKind::kNode, Severity::kWarn,
             nominee.member + " at " + host_port(nominee.host, nominee.port) +
                 " is listed as a member, and is not used: " + other_cluster(j, *i));
}

// A name that the configuration file could have, and that no other node has.
std::string free_name(const std::string& member, const std::vector<NodeConfig>& taken) {
  std::string name = member.substr(0, kMaxNameSize - 3);
  for (char& c : name) {
    const auto letter = static_cast<unsigned char>(c);
    const bool allowed =
        letter < 0x80 && (std::isalnum(letter) != 0 || c == '.' || c == '_' || c == '-');
    if (!allowed) c = '_';
  }
  const auto is_taken = [&](const std::string& text) {
    return std::ranges::any_of(taken, [&](const NodeConfig& n) { return n.name == text; });
  };
  if (!is_taken(name)) return name;
  for (unsigned i = 2;; ++i) {
    const std::string numbered = name + "-" + std::to_string(i);
    if (!is_taken(numbered)) return numbered;
  }
}

// Those that are to be nodes. One that is a node already keeps its name.
std::vector<NodeConfig> nominated(const JudgeContext& j) {
  std::vector<NodeConfig> nodes;
  std::vector<NodeConfig> taken = j.config.nodes;
  for (const Nominee& each : j.s.discovery.nominees) {
    if (each.refused) continue;
    const auto i = node_of(j, each);
    NodeConfig node = i ? j.config.nodes[*i] : NodeConfig{};
    if (!i) node.name = free_name(each.member, taken);
    node.cluster = j.config.clusters.front().name;
    node.host = each.host;
    node.port = each.port;
    node.rest = each.rest;
    node.leaving = false;
    node.discovered = true;
    taken.push_back(node);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace

void note_list(JudgeContext& j, const ClusterEvidence& e) {
  if (!j.config.clusters.front().discover) return;
  const std::string about = "list of " + j.name(e.node);
  if (e.report) {
    j.s.discovery.told.erase(about);
  } else if (!e.failure.empty()) {
    tell_once(j, about,
              "the list of members cannot be read from " + j.name(e.node) + ": " + e.failure);
  }
}

void note_nominees(JudgeContext& j, std::size_t lister, const ClusterReport& report,
                   const std::vector<std::optional<std::size_t>>& found) {
  if (!j.config.clusters.front().discover || !may_nominate(j, j.node(lister))) return;
  for (Nominee& each : j.s.discovery.nominees) each.absent = each.absent.value_or(j.now);
  for (std::size_t m = 0; m < report.members.size(); ++m) {
    // Nominees are the same by address alone: a member that moves is nominated at the new one.
    if (!found[m] || !is_written(j.config.nodes[*found[m]]))
      note_member(j, report.members[m], j.name(lister));
  }
}

void judge_discovery(JudgeContext& j) {
  DiscoveryState& d = j.s.discovery;
  if (!j.config.clusters.front().discover) {
    d.nominees.clear();
    d.told.clear();
  }
  if (d.nominees.empty() && d.published.empty()) return;
  std::erase_if(d.nominees, [&](const Nominee& each) { return is_over(j, each); });
  for (Nominee& each : d.nominees) note_refusal(j, each);
  std::vector<NodeConfig> nodes = nominated(j);
  if (nodes == d.published) return;
  d.published = nodes;
  j.out.nominated = std::move(nodes);
}

}  // namespace pgsteer
