// What an observer sees of one session: a plain value, filled in by its worker. stats/ shows it.
#pragma once

#include <cstdint>
#include <string>

namespace pgsteer {

enum class SessionPhase : std::uint8_t {
  kStartup,     // has not said yet what it wants
  kHeld,        // waits for a node
  kConnecting,  // TCP to the node
  kLogin,       // connected; no answer from the server yet
  kRelay,
  kEnding,
};

// What becomes of the client's TLS.
enum class TlsUse : std::uint8_t {
  kOff,         // the client speaks in clear
  kPassed,      // relayed to the node unread
  kTerminated,  // ends at pgsteer
};

const char* to_string(SessionPhase phase);
const char* to_string(TlsUse tls);

struct SessionView {
  std::uint64_t id = 0;
  std::string listener;
  std::string cluster;  // of the listener; empty: it has no name
  std::string client;   // address and port (behind a PROXY header: the header's)
  std::string node;     // empty: none yet
  std::string local;    // pgsteer's end of the connection to the node: pg_stat_activity.client_port
  SessionPhase phase = SessionPhase::kStartup;
  std::string user;  // where visible
  std::string database;
  std::string application;
  TlsUse tls = TlsUse::kOff;
  bool busy = false;  // a statement is running, where visible
  double age_seconds = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

}  // namespace pgsteer
