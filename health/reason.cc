#include "health/reason.h"

#include <array>

#include "health/evidence.h"
#include "health/node_role.h"
#include "health/severity.h"

namespace pgsteer {
namespace {

constexpr std::array kReasons = {
    ReasonWord{Reason::kPrimary, "primary"},
    ReasonWord{Reason::kReplica, "replica"},
    ReasonWord{Reason::kUnknown, "unknown"},
    ReasonWord{Reason::kPromoting, "promoting"},
    ReasonWord{Reason::kNotRunning, "not_running"},
    ReasonWord{Reason::kStandbyLeader, "standby_leader"},
    ReasonWord{Reason::kNotPrimary, "not_primary"},
    ReasonWord{Reason::kIsPrimary, "is_primary"},
    ReasonWord{Reason::kLostRole, "lost_role"},
    ReasonWord{Reason::kSuperseded, "superseded"},
    ReasonWord{Reason::kStaleTimeline, "stale_timeline"},
    ReasonWord{Reason::kForeign, "foreign"},
    ReasonWord{Reason::kSilent, "silent"},
    ReasonWord{Reason::kOrphaned, "orphaned"},
    ReasonWord{Reason::kMaintenance, "maintenance"},
    ReasonWord{Reason::kWitnessed, "witnessed"},
    ReasonWord{Reason::kFenced, "fenced"},
    ReasonWord{Reason::kDown, "down"},
    ReasonWord{Reason::kUnresolved, "unresolved"},
    ReasonWord{Reason::kLagging, "lagging"},
    ReasonWord{Reason::kNotStreaming, "not_streaming"},
    ReasonWord{Reason::kNoLoadBalance, "no_load_balance"},
    ReasonWord{Reason::kTagMismatch, "tag_mismatch"},
    ReasonWord{Reason::kNotSync, "not_sync"},
    ReasonWord{Reason::kNotAsync, "not_async"},
    ReasonWord{Reason::kPromoted, "promoted"},
    ReasonWord{Reason::kFallback, "fallback"},
    ReasonWord{Reason::kStandIn, "stand_in"},
    ReasonWord{Reason::kDegraded, "degraded"},
};

}  // namespace

std::span<const ReasonWord> reason_table() { return kReasons; }

const char* to_string(Reason reason) {
  const auto i = static_cast<std::size_t>(reason);
  return i < kReasons.size() ? kReasons[i].word : "?";
}

// No switch has a default: an enumerator without a word does not compile.
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
