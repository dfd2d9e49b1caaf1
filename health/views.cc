#include "health/views.h"

namespace pgsteer {

// The switches have no default, so that a new enumerator without a word does not compile.
const char* to_string(FailoverStepKind kind) {
  switch (kind) {
    case FailoverStepKind::kFirstSuspicion:
      return "first_suspicion";
    case FailoverStepKind::kServerEnded:
      return "server_ended";
    case FailoverStepKind::kProof:
      return "proof";
    case FailoverStepKind::kCut:
      return "cut";
    case FailoverStepKind::kNewPrimary:
      return "new_primary";
    case FailoverStepKind::kFirstSession:
      return "first_session";
    case FailoverStepKind::kHeldReleased:
      return "held_released";
    case FailoverStepKind::kDone:
      return "done";
  }
  return "?";
}

const char* to_string(FailoverKind kind) {
  switch (kind) {
    case FailoverKind::kFailover:
      return "failover";
    case FailoverKind::kInterruption:
      return "interruption";
  }
  return "?";
}

}  // namespace pgsteer
