// How one seed differs from another, besides what happens in it: the cluster, the settings of
// pgsteer, and which faults are likely. A seed draws a profile, because a rare state (a paused
// cluster that has lost its store, say) is reached by a few faults that fit together, and hardly by
// uniform noise. Plain values.
#pragma once

#include "config/config.h"
#include "tests/simulation/model_cluster.h"

namespace pgsteer {

enum class Fault : std::uint8_t {
  kPatroniKilled,
  kPatroniStopped,
  kPatroniSuspended,
  kPowerLoss,
  kFreeze,
  kTheft,  // a freeze, after which the old leader takes the key back
  kClockStep,
  kRestDropped,  // between one pgsteer and one node
  kSqlDropped,
  kUnreachable,  // both
  kCutFromStore,
  kPeerRestDropped,  // between two nodes, one way
  kPeerSqlDropped,
  kIsolated,  // from the store, the other nodes and every pgsteer
  kStoreDown,
  kStoreElection,
  kRestSlow,
  kRestHung,
  kRestBacklog,
  kRestRefusing,
  kRestEmpty,
  kRestGarbage,
  kQueryFails,
  kTlsOne,
  kTlsAll,
  kNameEmpty,
  kNameSlow,
  kNameMoves,
  kNameSecond,
  kProxyRestart,
  kProxyFrozen,
  kCheckerStalled,
  kSwitchover,
  kPause,
  kPausedStop,  // a pause, and Patroni on a node is stopped in it
  kPromoteByHand,
  kForeignNode,
  kReinitialise,
  kReplaceCluster,
  kPromoteStandby,
  kChangeTimes,
  kPostgresCrash,
  kPostgresRestart,
  kPostmasterHangs,
  kLag,
  kNoLoadBalance,
  kNoFailover,
  kArchiveOnly,
  kTagChange,
  kPatroniRestart,  // while PostgreSQL is out of connections
  kReload,          // of one pgsteer's configuration; see Edit
  kListLies,        // of a node: it has strangers and nonsense in it
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kListLies) + 1;
const char* to_string(Fault);

struct Profile {
  std::string name;
  ModelSettings cluster;
  std::vector<Fault> likely;
  Span fault_every{};   // on average
  bool names = false;   // hosts are configured by name
  bool rename = false;  // and nodes by other names than Patroni's
};

Profile draw_profile(Dice& dice);
// Every node and every listener that there can be; see ModelConfig.
Config draw_config(Dice& dice, const Profile& profile);

}  // namespace pgsteer
