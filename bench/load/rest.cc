#include "bench/load/rest.h"

#include <poll.h>
#include <sys/socket.h>

#include <ctime>
#include <stdexcept>
#include <string>

namespace pgsteer {
namespace {

// The format of Patroni 3.0.2 (api.py): HTTP/1.0, no length, the body ends at EOF.
std::string reply_to(const std::string& request, bool& primary) {
  const auto from = request.find(' ');
  const std::string path = request.substr(from == std::string::npos ? 0 : from + 1);
  const std::time_t now = std::time(nullptr);
  std::string body;
  if (path.starts_with("/demote")) primary = false;
  if (path.starts_with("/promote")) primary = true;
  if (path.starts_with("/config")) {
    body = R"({"ttl": 30, "loop_wait": 10, "retry_timeout": 10})";
  } else {
    body = std::string(R"({"state": "running", "role": ")") + (primary ? "master" : "replica") +
           R"(", "server_version": 150002, "xlog": {)" +
           (primary ? R"("location": 123456789)"
                    : R"("received_location": 123456789, "replayed_location": 123456789)") +
           R"(}, "timeline": 1, "database_system_identifier": "7", "dcs_last_seen": )" +
           std::to_string(now) + R"(, "patroni": {"version": "3.0.2", "scope": "bench"}})";
  }
  const bool as_asked = path.starts_with("/replica") ? !primary : primary;
  const bool about_role =
      path.starts_with("/leader") || path.starts_with("/primary") || path.starts_with("/replica");
  char date[64] = {};
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return std::string("HTTP/1.0 ") +
         (about_role && !as_asked ? "503 Service Unavailable" : "200 OK") +
         "\r\nServer: BaseHTTP/0.6\r\nDate: " + date +
         "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
         (request.starts_with("GET ") ? body : "");
}

void answer(int fd, bool& primary) {
  make_blocking(fd);
  std::string request;
  char buffer[4096];
  while (request.size() < 16384 && request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    request.append(buffer, static_cast<std::size_t>(got));
  }
  const std::string reply = reply_to(request, primary);
  send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
}

}  // namespace

std::jthread serve_rest(const Address& address, bool primary) {
  return std::jthread(
      [listener = listen_on(address), primary](const std::stop_token& stop) mutable {
        pollfd ready{.fd = listener.get(), .events = POLLIN, .revents = 0};
        while (!stop.stop_requested()) {
          if (poll(&ready, 1, 500) <= 0) continue;
          const Fd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
          if (client.get() >= 0) answer(client.get(), primary);
        }
      });
}

void change_role(const Address& rest, bool primary) {
  const Fd fd = begin_connect(rest);
  make_blocking(fd.get());
  const std::string request =
      std::string("GET /") + (primary ? "promote" : "demote") + " HTTP/1.0\r\n\r\n";
  char reply[16] = {};
  if (send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0 ||
      recv(fd.get(), reply, sizeof reply, 0) <= 0) {
    throw std::runtime_error("the source's REST API does not answer");
  }
}

}  // namespace pgsteer
