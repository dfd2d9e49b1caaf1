#include "config/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace pgsteer {

namespace {

constexpr unsigned kPatroniPort = 8008;

struct NumericAddress {
  bool v6 = false;
  IpAddress bytes{};
  std::string text;  // as inet_ntop writes it
};

std::optional<NumericAddress> parse_numeric(std::string_view text) {
  const std::string host(text);
  if (host.find('\0') != std::string::npos) return std::nullopt;
  NumericAddress out;
  char buffer[INET6_ADDRSTRLEN] = {};
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    out.bytes = map_ipv4(&v4);
    inet_ntop(AF_INET, &v4, buffer, sizeof buffer);
  } else if (inet_pton(AF_INET6, host.c_str(), out.bytes.data()) == 1) {
    out.v6 = true;
    inet_ntop(AF_INET6, out.bytes.data(), buffer, sizeof buffer);
  } else {
    return std::nullopt;
  }
  out.text = buffer;
  return out;
}

std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

struct HostPort {
  std::string_view host;
  std::string_view port;
  bool bracketed = false;
  bool has_port = false;
};

// Splits "HOST:PORT" and "[HOST]:PORT". Empty if brackets or colons do not match.
std::optional<HostPort> split_port(std::string_view text) {
  HostPort out;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.bracketed = true;
    out.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
  } else {
    const std::size_t colon = text.find(':');
    if (colon != text.rfind(':')) return std::nullopt;
    out.host = text.substr(0, colon);
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  out.has_port = !rest.empty();
  if (out.has_port) out.port = rest.substr(1);
  return out;
}

bool has_only_name_characters(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

// Only digits and dots: a mistyped address, because the last part of a host name is never a number
// (RFC 1123, 2.1).
bool looks_like_ipv4(std::string_view host) {
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

ParseResult<BindAddress> read_unix(std::string_view text) {
  using R = ParseResult<BindAddress>;
  constexpr std::size_t kMaxPathSize = sizeof(sockaddr_un::sun_path) - 1;
  if (text.size() > kMaxPathSize) {
    return R::failure(in_quotes(text) + " is too long for a Unix socket: at most " +
                      std::to_string(kMaxPathSize) + " bytes");
  }
  if (text.ends_with('/') || text.find('\0') != std::string_view::npos) {
    return R::failure(in_quotes(text) +
                      " is a directory; write the path of the socket itself, such as " +
                      in_quotes(std::string(text.substr(0, text.find('\0'))) + ".s.PGSQL.5000"));
  }
  return R::ok({std::string(text), "", 0, std::string(text)});
}

bool wildcard_v4(const BindAddress& bind) { return bind.host == "*" || bind.host == "0.0.0.0"; }
bool wildcard_v6(const BindAddress& bind) { return bind.host == "*" || bind.host == "::"; }
bool is_v6(const BindAddress& bind) { return bind.host.find(':') != std::string::npos; }

}  // namespace

ParseResult<BindAddress> read_bind(std::string_view text) {
  using R = ParseResult<BindAddress>;
  static const std::string kAllowed =
      "; write \"*:5000\", \"10.0.0.1:5000\", \"[::1]:5000\" or the absolute path of a Unix socket";
  if (text.starts_with('/')) return read_unix(text);
  const std::optional<HostPort> parts = split_port(text);
  if (!parts) {
    return R::failure(in_quotes(text) +
                      " is not an address with a port (an IPv6 address needs brackets)" + kAllowed);
  }
  if (!parts->has_port) return R::failure(in_quotes(text) + " has no port" + kAllowed);
  const std::optional<unsigned> port = parse_number(parts->port, 65535);
  if (!port) {
    return R::failure(in_quotes(parts->port) + " is not a port: 1 to 65535" + kAllowed);
  }
  BindAddress bind{std::string(text), "*", static_cast<std::uint16_t>(*port), ""};
  if (!parts->bracketed && (parts->host.empty() || parts->host == "*")) return R::ok(bind);
  const std::optional<NumericAddress> host = parse_numeric(parts->host);
  if (host && host->v6 == parts->bracketed) {
    bind.host = host->text;
    return R::ok(bind);
  }
  const std::string port_text = ":" + std::to_string(*port);
  if (parts->host == "localhost") {
    return R::failure("names are not resolved here, not even localhost; write \"127.0.0.1" +
                      port_text + "\", \"[::1]" + port_text + "\" or an array of both");
  }
  return R::failure(in_quotes(parts->host) +
                    " is not a numeric address, and names are not resolved here" + kAllowed);
}

bool in_conflict(const BindAddress& a, const BindAddress& b) {
  if (!a.unix_path.empty() || !b.unix_path.empty()) return a.unix_path == b.unix_path;
  if (a.port != b.port || a.port == 0) return false;
  if (a.host == b.host) return true;
  const bool v4 = (wildcard_v4(a) && !is_v6(b)) || (wildcard_v4(b) && !is_v6(a));
  const bool v6 = (wildcard_v6(a) && (is_v6(b) || b.host == "*")) ||
                  (wildcard_v6(b) && (is_v6(a) || a.host == "*"));
  return v4 || v6;
}

ParseResult<Network> read_network(std::string_view text) {
  using R = ParseResult<Network>;
  const std::size_t slash = text.find('/');
  const std::optional<NumericAddress> address = parse_numeric(text.substr(0, slash));
  if (!address) {
    return R::failure(in_quotes(text) +
                      " is not a network; write \"10.0.0.0/8\", \"fd00::/8\" or a single address");
  }
  const unsigned max_prefix = address->v6 ? 128 : 32;
  unsigned prefix = max_prefix;
  if (slash != std::string_view::npos) {
    const std::optional<unsigned> bits = parse_number(text.substr(slash + 1), max_prefix);
    if (!bits) {
      return R::failure(in_quotes(text.substr(slash + 1)) + " is not a prefix length: 0 to " +
                        std::to_string(max_prefix));
    }
    prefix = *bits;
  }
  Network network;
  network.prefix = prefix + 128 - max_prefix;
  network.text = std::string(text);
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned begin = i * 8;
    const unsigned kept = network.prefix <= begin ? 0 : std::min(network.prefix - begin, 8U);
    network.base[i] = static_cast<std::uint8_t>(address->bytes[i] & ~(0xffU >> kept));
  }
  if (network.base != address->bytes) {
    char buffer[INET6_ADDRSTRLEN] = {};
    inet_ntop(address->v6 ? AF_INET6 : AF_INET, &network.base[address->v6 ? 0 : 12], buffer,
              sizeof buffer);
    return R::failure(in_quotes(text) + " has bits set to the right of its prefix; write \"" +
                      buffer + "/" + std::to_string(prefix) + "\" for the network or \"" +
                      address->text + "\" for the single address");
  }
  return R::ok(network);
}

ParseResult<std::string> read_host(std::string_view text) {
  using R = ParseResult<std::string>;
  constexpr std::size_t kMaxHostSize = 253;  // RFC 1035, 2.3.4: 255 with the length and root bytes
  if (parse_numeric(text)) return R::ok(std::string(text));
  if (text.find("://") != std::string_view::npos) {
    return R::failure(in_quotes(text) +
                      " is a URL; write only the host (the setting rest takes a URL)");
  }
  if (text.starts_with('[') && text.ends_with(']') &&
      parse_numeric(text.substr(1, text.size() - 2))) {
    return R::failure("write the IPv6 address without brackets");
  }
  const std::optional<HostPort> parts = split_port(text);
  if (parts && parts->has_port && parse_number(parts->port, 65535)) {
    return R::failure(in_quotes(text) +
                      " contains a port; write it as port = " + std::string(parts->port));
  }
  if (text.empty() || text.size() > kMaxHostSize || !has_only_name_characters(text) ||
      looks_like_ipv4(text)) {
    return R::failure(in_quotes(text) + " is neither a host name nor an address");
  }
  return R::ok(std::string(text));
}

ParseResult<std::string> read_rest_url(std::string_view text) {
  using R = ParseResult<std::string>;
  static const std::string kAllowed = "; write \"http://HOST:8008\" or \"https://HOST:8008\"";
  std::string_view rest = text;
  std::string scheme = "http://";
  if (rest.starts_with("https://")) scheme = "https://";
  if (!rest.starts_with(scheme)) {
    return R::failure(in_quotes(text) + " does not begin with http:// or https://" + kAllowed);
  }
  rest.remove_prefix(scheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('@') != std::string_view::npos) {
    return R::failure("the URL contains a user; set user and password under [health]" + kAllowed);
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return R::failure(in_quotes(text) + " has a path; pgsteer adds the paths itself" + kAllowed);
  }
  const std::optional<HostPort> parts = split_port(rest);
  if (!parts)
    return R::failure(in_quotes(text) + " has no host and port (an IPv6 address needs brackets)" +
                      kAllowed);
  const std::optional<NumericAddress> address = parse_numeric(parts->host);
  const bool host_ok = parts->bracketed ? address && address->v6
                                        : read_host(parts->host).value && !(address && address->v6);
  if (!host_ok) {
    return R::failure(in_quotes(parts->host) + " is neither a host name nor an address" + kAllowed);
  }
  if (!parts->has_port) {
    return R::failure(in_quotes(text) + " has no port; Patroni listens on " +
                      std::to_string(kPatroniPort) + " by default" + kAllowed);
  }
  const std::optional<unsigned> port = parse_number(parts->port, 65535);
  if (!port || *port == 0) {
    return R::failure(in_quotes(parts->port) + " is not a port: 1 to 65535" + kAllowed);
  }
  return R::ok(scheme + std::string(rest));
}

std::string host_port(const std::string& host, unsigned port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string default_rest_url(const std::string& host) {
  return "http://" + host_port(host, kPatroniPort);
}

std::string rest_url(const NodeConfig& node) {
  std::string url = node.rest.empty() ? default_rest_url(node.host) : node.rest;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace pgsteer
