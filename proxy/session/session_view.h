// What an observer sees of one session: a plain value, filled in by its worker. stats/ shows it.
#pragma once

#include <cstdint>
#include <string>

namespace pgsteer {

// One live session, for the session table.
struct SessionView {
  std::uint64_t id = 0;
  std::string listener;
  std::string client;  // address and port (behind a PROXY header: the header's)
  std::string node;    // empty: waiting
  std::string
      local;  // pgsteer's address and port as the node sees it: pg_stat_activity.client_port
  std::string phase;  // greeting, held, connecting, login, relay
  std::string user;   // where visible
  std::string database;
  std::string application;
  std::string tls;    // off, pass, terminate
  bool busy = false;  // a statement is running, where visible
  double age_seconds = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

}  // namespace pgsteer
