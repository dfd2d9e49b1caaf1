// Reads addresses, networks, host names and URLs. Resolves no names. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "config/value.h"

namespace pgsteer {

// "*:5000" and ":5000" (every IPv4 and IPv6 address), "10.0.0.1:5000", "[::1]:5000", or the
// absolute path of a Unix socket. Refuses names, even localhost: its addresses differ from machine
// to machine, and a bind must mean the same everywhere.
ParseResult<BindAddress> read_bind(std::string_view text);

// True if the two cannot be bound at the same time. 0.0.0.0 and * take the port on every IPv4
// address, [::] and * on every IPv6 address ([::] alone leaves IPv4 free).
bool in_conflict(const BindAddress& a, const BindAddress& b);

// "10.0.0.0/8", "fd00::/8", "10.0.0.7", "::1". The bits to the right of the prefix must be 0.
ParseResult<Network> read_network(std::string_view text);

// A host name, or an address without brackets.
ParseResult<std::string> read_host(std::string_view text);

// "http://HOST:PORT" or "https://HOST:PORT". Removes a single slash at the end.
ParseResult<std::string> read_rest_url(std::string_view text);

// "http://HOST:8008", with brackets around an IPv6 address.
std::string default_rest_url(const std::string& host);
// The URL of the node's REST API, configured or default, without a slash at the end.
std::string rest_url(const NodeConfig& node);
// "HOST:PORT", with brackets around an IPv6 address.
std::string host_port(const std::string& host, unsigned port);

}  // namespace pgsteer
