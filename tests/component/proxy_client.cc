#include "tests/component/proxy_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "proxy/wire/error_response.h"
#include "proxy/wire/first_packet.h"
#include "proxy/wire/message_cursor.h"
#include "tests/unit/wire.h"

namespace pgsteer {

namespace {

ProxyClient::Error parse_error(const std::string& body) {
  const auto fields = decode_error_fields(wire::bytes(body));
  if (!fields) return {};
  return {std::string(fields->severity), std::string(fields->sqlstate),
          std::string(fields->message), std::string(fields->detail)};
}

}  // namespace

ProxyClient ProxyClient::tcp(std::uint16_t port, const char* from) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, from, &address.sin_addr);
  ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fd.reset();
  }
  return ProxyClient(std::move(fd));
}

ProxyClient ProxyClient::unix_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fd.reset();
  }
  return ProxyClient(std::move(fd));
}

std::string ProxyClient::startup_packet(std::string_view application) {
  return wire::startup(
      protocol_version(3, 0),
      {{"user", "alice"}, {"database", "shop"}, {"application_name", application}});
}

bool ProxyClient::send_startup() { return send(startup_packet()); }

bool ProxyClient::wait_until_ready() {
  while (const auto m = message()) {
    switch (m->type) {
      case 'Z':
        status = m->body[0];
        return true;
      case 'K':
        key = {load_u32(wire::bytes(m->body).data()), m->body.substr(4)};
        break;
      case 'E':
        last_error = parse_error(m->body);
        break;
      case 'C':
        tag = m->body.c_str();
        break;
      default:
        break;
    }
  }
  return false;
}

char ProxyClient::request_ssl() {
  if (!send(wire::packet(kSslRequestCode))) return 0;
  const auto answer = receive(1);
  return answer ? answer->front() : '\0';
}

char ProxyClient::request_gss() {
  if (!send(wire::packet(kGssRequestCode))) return 0;
  const auto answer = receive(1);
  return answer ? answer->front() : '\0';
}

bool ProxyClient::send_query(std::string_view sql) { return send(wire::query(sql)); }

std::optional<std::string> ProxyClient::query(std::string_view sql) {
  if (!send_query(sql)) return std::nullopt;
  std::string text;
  last_error = {};
  while (const auto m = message()) {
    if (m->type == 'D') text = m->body.substr(6);
    if (m->type == 'C') tag = m->body.c_str();
    if (m->type == 'E') last_error = parse_error(m->body);
    if (m->type != 'Z') continue;
    status = m->body[0];
    return text;
  }
  return std::nullopt;
}

std::optional<ProxyClient::Error> ProxyClient::read_error() {
  const auto m = message();
  if (!m || m->type != 'E') return std::nullopt;
  return last_error = parse_error(m->body);
}

bool ProxyClient::ended_with(std::string_view sqlstate) {
  return read_error() && last_error.sqlstate == sqlstate && closed() == Closed::kEof;
}

std::string cancel_packet(const ProxyClient::BackendKey& key) {
  return wire::packet(kCancelRequestCode, wire::u32(key.pid) + key.key);
}

}  // namespace pgsteer
