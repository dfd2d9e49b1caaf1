#include "proxy/session/session_view.h"

namespace pgsteer {

const char* to_string(SessionPhase phase) {
  switch (phase) {
    case SessionPhase::kStartup:
      return "startup";
    case SessionPhase::kHeld:
      return "held";
    case SessionPhase::kConnecting:
      return "connecting";
    case SessionPhase::kLogin:
      return "login";
    case SessionPhase::kRelay:
      return "relay";
    case SessionPhase::kEnding:
      return "ending";
  }
  return "?";
}

const char* to_string(TlsUse tls) {
  switch (tls) {
    case TlsUse::kOff:
      return "off";
    case TlsUse::kPassed:
      return "pass";
    case TlsUse::kTerminated:
      return "terminate";
  }
  return "?";
}

}  // namespace pgsteer
