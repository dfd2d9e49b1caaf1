// What stands between the quotes: addresses, networks, host names, URLs. Nothing is resolved. Pure;
// any thread.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "config/value.h"

namespace pgsteer {

// "*:5000" and ":5000" (every IPv4 and IPv6 address), "10.0.0.1:5000", "[::1]:5000", or the
// absolute path of a Unix socket. Names are refused, localhost too: what it stands for differs from
// host to host, and a bind has to mean the same on each.
ParseResult<BindAddress> read_bind(std::string_view text);

// Can the two not be bound at the same time? 0.0.0.0 and * take a port on every IPv4 address, [::]
// and * on every IPv6 address ([::] alone does not take IPv4).
bool in_conflict(const BindAddress& a, const BindAddress& b);

// "10.0.0.0/8", "fd00::/8", "10.0.0.7", "::1". Bits to the right of the prefix must be 0.
ParseResult<Network> read_network(std::string_view text);

// A host name, or an address without brackets.
ParseResult<std::string> read_host(std::string_view text);

// "http://HOST:PORT" or "https://HOST:PORT"; a lone slash at the end is dropped.
ParseResult<std::string> read_rest_url(std::string_view text);

// "http://HOST:8008", with brackets where the host is an IPv6 address.
std::string default_rest_url(const std::string& host);
// The URL of the node's REST API, without a slash at the end: as configured, else the default.
std::string rest_url(const NodeConfig& node);
// "HOST:PORT", with brackets where the host is an IPv6 address.
std::string host_port(const std::string& host, unsigned port);

}  // namespace pgsteer
