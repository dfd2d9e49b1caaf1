// A client of the proxy inside a test: connects, speaks PostgreSQL's protocol with or without TLS,
// and says what it was told. Every wait is bounded (WireEnd).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "tests/component/wire_end.h"

namespace pgsteer {

class ProxyClient : public WireEnd {
 public:
  // What an ErrorResponse said.
  struct Told {
    std::string severity, sqlstate, message, detail;
  };
  struct BackendKey {
    std::uint32_t pid = 0;
    std::string key;
  };

  // From 127.0.0.1, or another address of the loopback.
  static ProxyClient tcp(std::uint16_t port, const char* from = "127.0.0.1");
  static ProxyClient unix_socket(const std::string& path);

  static std::string startup_packet(std::string_view application = "test");

  // Sends the startup packet.
  bool ask();
  // Reads up to the first ReadyForQuery. False if it does not come: `told` has the error, if any.
  bool wait_until_ready();
  bool log_in() { return ask() && wait_until_ready(); }
  // SSLRequest and the byte that answers it; 0 if none came.
  char request_ssl();
  char request_gss();
  // Sends a query and reads up to ReadyForQuery. The text of its last row or command tag.
  std::optional<std::string> query(std::string_view sql);
  bool send_query(std::string_view sql);
  // Reads an ErrorResponse; empty if something else or nothing came.
  std::optional<Told> error();
  // An ErrorResponse with `sqlstate`, and then the end.
  bool ended_with(std::string_view sqlstate);
  // The end without a word.
  bool ended_silently() {
    const Closed how = closed();
    return how == Closed::kEof || how == Closed::kReset;
  }

  Told told;
  BackendKey key;
  std::string tag;  // of the last command
  char status = 0;  // of the last ReadyForQuery

 private:
  using WireEnd::WireEnd;
};

std::string cancel_packet(const ProxyClient::BackendKey& key);

}  // namespace pgsteer
