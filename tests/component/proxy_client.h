// A client of the proxy inside a test: speaks PostgreSQL's protocol with or without TLS and keeps
// the errors it receives. Every wait has a timeout (WireEnd).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "tests/component/wire_end.h"

namespace pgsteer {

class ProxyClient : public WireEnd {
 public:
  // The fields of an ErrorResponse.
  struct Error {
    std::string severity, sqlstate, message, detail;
  };
  struct BackendKey {
    std::uint32_t pid = 0;
    std::string key;
  };

  // Connects from 127.0.0.1 or another loopback address.
  static ProxyClient tcp(std::uint16_t port, const char* from = "127.0.0.1");
  static ProxyClient unix_socket(const std::string& path);

  static std::string startup_packet(std::string_view application = "test");

  bool send_startup();
  // Reads up to the first ReadyForQuery. False if it does not come; an error is in `last_error`.
  bool wait_until_ready();
  bool log_in() { return send_startup() && wait_until_ready(); }
  // Sends an SSLRequest and returns the answer; 0 if none came.
  char request_ssl();
  char request_gss();
  // Sends a query and reads up to ReadyForQuery. Returns the text of the last row.
  std::optional<std::string> query(std::string_view sql);
  bool send_query(std::string_view sql);
  // Reads an ErrorResponse; empty if something else or nothing came.
  std::optional<Error> read_error();
  // Receives an ErrorResponse with `sqlstate`, then the end of the connection.
  bool ended_with(std::string_view sqlstate);
  // The connection ends without an ErrorResponse.
  bool ended_silently() {
    const Closed how = closed();
    return how == Closed::kEof || how == Closed::kReset;
  }

  Error last_error;
  BackendKey key;
  std::string tag;  // of the last command
  char status = 0;  // of the last ReadyForQuery

 private:
  using WireEnd::WireEnd;
};

std::string cancel_packet(const ProxyClient::BackendKey& key);

}  // namespace pgsteer
