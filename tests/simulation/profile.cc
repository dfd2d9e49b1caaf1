#include "tests/simulation/profile.h"

#include <array>

namespace pgsteer {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

using F = Fault;

struct Kind {
  const char* name;
  void (*shape)(ModelSettings& s, Dice& dice);
  std::vector<Fault> likely;
};

void nothing(ModelSettings&, Dice&) {}
void with_failsafe(ModelSettings& s, Dice&) { s.times.failsafe_mode = true; }
void as_standby(ModelSettings& s, Dice&) { s.standby = true; }
void with_standby(ModelSettings& s, Dice& dice) { s.beside = 1 + dice.below(2); }
void with_sync(ModelSettings& s, Dice& dice) {
  s.sync = dice.chance(0.5) ? SyncMode::kSync : SyncMode::kQuorum;
  s.nodes = 3 + dice.below(2);
}
void with_overruns(ModelSettings& s, Dice&) { s.overruns = true; }
void without_rewind(ModelSettings& s, Dice& dice) {
  s.can_rewind = false;
  s.duplicates = dice.chance(0.4);
}
void with_others(ModelSettings& s, Dice& dice) {
  s.nodes = 3 + dice.below(2);
  s.spare = dice.below(2);
  s.strangers = dice.below(3);
}
void with_members(ModelSettings& s, Dice& dice) {
  s.nodes = 3 + dice.below(3);
  s.spare = s.nodes - 1 - dice.below(2);
  s.strangers = dice.below(3);
  s.discover = true;
}
void several(ModelSettings& s, Dice& dice) { s.proxies = 1 + dice.below(2); }

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kKinds = {
      {"mixed", nothing, {}},
      {"failover",
       nothing,
       {F::kPatroniKilled, F::kPatroniStopped, F::kPowerLoss, F::kSwitchover, F::kPostgresCrash,
        F::kPostgresRestart, F::kFreeze}},
      {"paused",
       nothing,
       {F::kPause, F::kPausedStop, F::kPromoteByHand, F::kStoreDown, F::kCutFromStore,
        F::kPatroniKilled, F::kPause}},
      {"store",
       nothing,
       {F::kStoreElection, F::kStoreDown, F::kCutFromStore, F::kRestHung, F::kPatroniSuspended,
        F::kStoreElection}},
      {"failsafe",
       with_failsafe,
       {F::kStoreDown, F::kStoreElection, F::kRestHung, F::kPatroniSuspended, F::kPeerRestDropped,
        F::kRestBacklog}},
      {"hung",
       nothing,
       {F::kRestHung, F::kRestBacklog, F::kRestDropped, F::kStoreElection, F::kPatroniSuspended,
        F::kProxyRestart}},
      {"standby",
       as_standby,
       {F::kPromoteStandby, F::kPatroniKilled, F::kRestHung, F::kPowerLoss, F::kLag, F::kSwitchover,
        F::kPeerSqlDropped}},
      {"standby beside",
       with_standby,
       {F::kPromoteStandby, F::kRestHung, F::kPatroniKilled, F::kPause, F::kProxyRestart,
        F::kRestSlow}},
      {"identity",
       nothing,
       {F::kReplaceCluster, F::kForeignNode, F::kReinitialise, F::kProxyRestart}},
      {"timelines",
       without_rewind,
       {F::kTheft, F::kFreeze, F::kPromoteByHand, F::kPause, F::kPatroniKilled, F::kReinitialise,
        F::kProxyRestart}},
      {"names",
       nothing,
       {F::kNameEmpty, F::kNameSlow, F::kNameMoves, F::kNameSecond, F::kProxyRestart,
        F::kRestHung}},
      {"proxies",
       several,
       {F::kProxyRestart, F::kProxyFrozen, F::kCheckerStalled, F::kPatroniKilled, F::kSwitchover,
        F::kRestHung}},
      {"tls", nothing, {F::kTlsOne, F::kTlsAll, F::kPatroniKilled, F::kProxyRestart}},
      {"reads",
       with_sync,
       {F::kLag, F::kNoLoadBalance, F::kArchiveOnly, F::kTagChange, F::kPeerSqlDropped,
        F::kPostgresRestart, F::kRestRefusing, F::kQueryFails}},
      {"overruns",
       with_overruns,
       {F::kChangeTimes, F::kPatroniKilled, F::kPatroniSuspended, F::kStoreElection, F::kRestHung}},
      {"partitions",
       several,
       {F::kRestDropped, F::kSqlDropped, F::kUnreachable, F::kCutFromStore, F::kIsolated,
        F::kPeerRestDropped, F::kPeerSqlDropped}},
      {"no heir",
       nothing,
       {F::kNoFailover, F::kPatroniKilled, F::kRestHung, F::kStoreDown, F::kCutFromStore,
        F::kPowerLoss}},
      {"queries",
       nothing,
       {F::kQueryFails, F::kPostmasterHangs, F::kPatroniRestart, F::kRestEmpty, F::kRestGarbage,
        F::kPostgresCrash}},
      {"reloads", with_others, {F::kReload, F::kReload, F::kLag}},
      {"reloads in trouble",
       with_others,
       {F::kReload, F::kReload, F::kReload, F::kPatroniKilled, F::kRestHung, F::kCutFromStore,
        F::kSwitchover, F::kPowerLoss, F::kNoFailover}},
      {"reloads of others",
       with_others,
       {F::kReload, F::kReload, F::kForeignNode, F::kProxyRestart, F::kReplaceCluster,
        F::kReinitialise, F::kNameEmpty}},
      {"discovery",
       with_members,
       {F::kListLies, F::kListLies, F::kPatroniStopped, F::kPowerLoss, F::kReload, F::kSwitchover,
        F::kProxyRestart}},
      {"discovery in trouble",
       with_members,
       {F::kListLies, F::kPatroniKilled, F::kPowerLoss, F::kRestHung, F::kCutFromStore, F::kReload,
        F::kForeignNode, F::kReinitialise, F::kReplaceCluster, F::kCheckerStalled}},
  };
  return kKinds;
}

}  // namespace

const char* to_string(Fault fault) {
  static constexpr std::array<const char*, kFaults> kNames = {"patroni killed",
                                                              "patroni stopped",
                                                              "patroni suspended",
                                                              "power loss",
                                                              "freeze",
                                                              "theft",
                                                              "clock step",
                                                              "rest dropped",
                                                              "sql dropped",
                                                              "unreachable",
                                                              "cut from store",
                                                              "peer rest dropped",
                                                              "peer sql dropped",
                                                              "isolated",
                                                              "store down",
                                                              "store election",
                                                              "rest slow",
                                                              "rest hung",
                                                              "rest backlog full",
                                                              "rest refusing",
                                                              "rest empty",
                                                              "rest garbage",
                                                              "query fails",
                                                              "tls fails on one",
                                                              "tls fails on all",
                                                              "name empty",
                                                              "name slow",
                                                              "name moves",
                                                              "second address",
                                                              "pgsteer restart",
                                                              "pgsteer frozen",
                                                              "checker stalled",
                                                              "switchover",
                                                              "pause",
                                                              "stop in a pause",
                                                              "promotion by hand",
                                                              "foreign node",
                                                              "reinitialise",
                                                              "cluster replaced",
                                                              "standby promoted",
                                                              "times changed",
                                                              "postgres crash",
                                                              "postgres restart",
                                                              "postmaster hangs",
                                                              "lag",
                                                              "noloadbalance",
                                                              "nofailover",
                                                              "archive only",
                                                              "tag change",
                                                              "patroni restart",
                                                              "reload",
                                                              "list lies"};
  return kNames[static_cast<std::size_t>(fault)];
}

Profile draw_profile(Dice& dice) {
  const Kind& kind = kinds()[dice.below(kinds().size())];
  Profile p;
  p.name = kind.name;
  p.likely = kind.likely;
  ModelSettings& s = p.cluster;
  s.nodes = 2 + dice.below(3);
  if (dice.chance(0.5)) {
    s.times.ttl = seconds(20);
    s.times.loop_wait = seconds(2 + static_cast<int>(dice.below(4)));
    s.times.retry_timeout = seconds(5);
  }
  s.times.failsafe_mode = dice.chance(0.2);
  s.version = static_cast<PatroniVersion>(dice.below(4));
  s.wal_rate = dice.below(2) * 300'000;
  s.spells_times = dice.chance(0.2);
  if (dice.chance(0.15)) s.sync = dice.chance(0.5) ? SyncMode::kSync : SyncMode::kQuorum;
  if (dice.chance(0.2)) s.spare = 1;
  if (dice.chance(0.1)) s.strangers = 1;
  kind.shape(s, dice);
  if (s.beside > 0) s.spare = 0;  // those would be the majority
  if (s.sync == SyncMode::kQuorum) s.version = PatroniVersion::k4_0;
  // Some clusters are almost always in trouble, some almost never.
  static constexpr int kMeans[] = {4, 15, 40, 150};
  p.fault_every = seconds(dice.pick(kMeans));
  // Members are listed, and then known, by their addresses.
  p.names = !s.discover && (p.name == "names" || dice.chance(0.2));
  p.rename = dice.chance(0.3);
  return p;
}

Config draw_config(Dice& dice, const Profile& profile) {
  Config c;
  const std::size_t nodes =
      profile.cluster.nodes + profile.cluster.beside + profile.cluster.strangers;
  for (std::size_t i = 0; i < nodes; ++i) {
    NodeConfig node;
    node.name = profile.rename ? "db" + std::to_string(i) : model_name(i);
    node.host = profile.names ? model_name(i) + ".example" : model_address(i, 0);
    node.rest = "http://" + node.host + ":8008";
    c.nodes.push_back(node);
  }
  static constexpr int kForgets[] = {10, 20, 60, 300};
  c.clusters.front().discover = profile.cluster.discover;
  c.clusters.front().forget_after = seconds(dice.pick(kForgets));
  const auto listen = [&](const char* name, Target to) -> ListenConfig& {
    c.listen.emplace_back();
    c.listen.back().name = name;
    c.listen.back().to = to;
    return c.listen.back();
  };
  listen("read_write", Target::kPrimary);
  listen("read_only", Target::kReplica).max_lag = 16'000'000;
  listen("read_any", dice.chance(0.5) ? Target::kAny : Target::kReplica);
  c.listen[2].fallback_to_primary = c.listen[2].to == Target::kReplica;
  if (dice.chance(0.3)) c.listen[2].drain_timeout = seconds(20);
  if (profile.cluster.sync != SyncMode::kOff) {
    listen("sync", Target::kSync);
    listen("quorum", Target::kQuorum);
    listen("async", Target::kAsync);
  }
  if (profile.name == "reads" || dice.chance(0.2)) {
    listen("regional", Target::kReplica).tags["region"] = "eu";
    if (dice.chance(0.3)) c.listen.back().max_lag = 3;
  }
  listen("reports", Target::kReplica);
  if (dice.chance(0.5)) return c;
  static constexpr int kIntervals[] = {500, 1'000, 2'000};
  static constexpr int kHunts[] = {50, 100, 200};
  static constexpr int kTimeouts[] = {600, 1'000, 2'000, 3'000};
  static constexpr int kMargins[] = {500, 1'000, 2'000};
  c.health.interval = milliseconds(dice.pick(kIntervals));
  c.health.hunt_interval = milliseconds(dice.pick(kHunts));
  c.health.timeout = milliseconds(dice.pick(kTimeouts));
  c.health.clock_margin = milliseconds(dice.pick(kMargins));
  static constexpr int kSettles[] = {1, 5, 30, 60};
  c.health.identity_settle = seconds(dice.pick(kSettles));
  return c;
}

}  // namespace pgsteer
