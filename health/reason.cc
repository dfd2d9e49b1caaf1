#include "health/reason.h"

#include "health/evidence.h"
#include "health/node_role.h"
#include "health/severity.h"

namespace pgsteer {

// No switch has a default: an enumerator without a word does not compile.
const char* to_string(Reason reason) {
  switch (reason) {
    case Reason::kPrimary:
      return "primary";
    case Reason::kReplica:
      return "replica";
    case Reason::kUnknown:
      return "unknown";
    case Reason::kPromoting:
      return "promoting";
    case Reason::kNotRunning:
      return "not_running";
    case Reason::kStandbyLeader:
      return "standby_leader";
    case Reason::kNotPrimary:
      return "not_primary";
    case Reason::kIsPrimary:
      return "is_primary";
    case Reason::kLostRole:
      return "lost_role";
    case Reason::kSuperseded:
      return "superseded";
    case Reason::kStaleTimeline:
      return "stale_timeline";
    case Reason::kForeign:
      return "foreign";
    case Reason::kSilent:
      return "silent";
    case Reason::kOrphaned:
      return "orphaned";
    case Reason::kMaintenance:
      return "maintenance";
    case Reason::kWitnessed:
      return "witnessed";
    case Reason::kFenced:
      return "fenced";
    case Reason::kDown:
      return "down";
    case Reason::kUnresolved:
      return "unresolved";
    case Reason::kLagging:
      return "lagging";
    case Reason::kNotStreaming:
      return "not_streaming";
    case Reason::kNoLoadBalance:
      return "no_load_balance";
    case Reason::kTagMismatch:
      return "tag_mismatch";
    case Reason::kNotSync:
      return "not_sync";
    case Reason::kNotQuorum:
      return "not_quorum";
    case Reason::kNotAsync:
      return "not_async";
    case Reason::kPromoted:
      return "promoted";
    case Reason::kFallback:
      return "fallback";
    case Reason::kStandIn:
      return "stand_in";
    case Reason::kDegraded:
      return "degraded";
    case Reason::kTrial:
      return "trial";
    case Reason::kRemoved:
      return "removed";
    case Reason::kUncheckable:
      return "uncheckable";
  }
  return "?";
}

const char* to_string(Admission admission) {
  switch (admission) {
    case Admission::kAdmit:
      return "admit";
    case Admission::kDrain:
      return "drain";
    case Admission::kCut:
      return "cut";
  }
  return "?";
}

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarn:
      return "warn";
    case Severity::kError:
      return "error";
  }
  return "?";
}

const char* to_string(NodeRole role) {
  switch (role) {
    case NodeRole::kPrimary:
      return "primary";
    case NodeRole::kPromoting:
      return "promoting";
    case NodeRole::kReplica:
      return "replica";
    case NodeRole::kSyncReplica:
      return "sync_replica";
    case NodeRole::kQuorumReplica:
      return "quorum_replica";
    case NodeRole::kStandbyLeader:
      return "standby_leader";
    case NodeRole::kStopped:
      return "stopped";
    case NodeRole::kSilent:
      return "silent";
    case NodeRole::kDown:
      return "down";
    case NodeRole::kForeign:
      return "foreign";
    case NodeRole::kUnknown:
      return "unknown";
  }
  return "?";
}

const char* to_string(TlsAnswer answer) {
  switch (answer) {
    case TlsAnswer::kUnknown:
      return "unknown";
    case TlsAnswer::kYes:
      return "yes";
    case TlsAnswer::kNo:
      return "no";
  }
  return "?";
}

const char* to_string(DatabaseAnswer answer) {
  switch (answer) {
    case DatabaseAnswer::kUnknown:
      return "unknown";
    case DatabaseAnswer::kAnswers:
      return "yes";
    case DatabaseAnswer::kRefused:
      return "refused";
    case DatabaseAnswer::kUnreachable:
      return "unreachable";
    case DatabaseAnswer::kHung:
      return "silent";
  }
  return "?";
}

const char* to_string(SuspicionKind kind) {
  switch (kind) {
    case SuspicionKind::kConnectRefused:
      return "connect_refused";
    case SuspicionKind::kConnectTimedOut:
      return "connect_timed_out";
    case SuspicionKind::kServerEnded:
      return "server_ended";
    case SuspicionKind::kShuttingDown:
      return "shutting_down";
    case SuspicionKind::kInHotStandby:
      return "in_hot_standby";
  }
  return "?";
}

}  // namespace pgsteer
