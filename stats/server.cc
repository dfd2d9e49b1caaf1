#include "stats/server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "proxy/net/listen_socket.h"

namespace pgsteer {
namespace {

// A silent or slow client is disconnected after this; until then it costs no thread.
constexpr unsigned kTimeoutSeconds = 5;
constexpr int kBacklog = 128;
constexpr unsigned kConnectionLimit = 256;           // per listening socket
constexpr std::size_t kConnectionMemory = 16 << 10;  // request line and headers must fit

struct Header {
  const char* name;
  const char* value;
};

// The page loads nothing from other hosts and runs no inline script.
constexpr Header kHeaders[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

MHD_Result send(MHD_Connection* connection, const HttpAnswer& answer) {
  // The library only reads the buffer, and copies it at once.
  MHD_Response* response = MHD_create_response_from_buffer(
      answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type.c_str());
  for (const Header& header : kHeaders)
    MHD_add_response_header(response, header.name, header.value);
  if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  }
  const MHD_Result result =
      MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return result;
}

// MHD_AccessHandlerCallback: called first with the headers, then with each piece of a body, then
// once more. noexcept: an exception here would be a bug and must not unwind through C code.
MHD_Result on_request(void* routes, MHD_Connection* connection, const char* url, const char* method,
                      const char* /*version*/, const char* /*upload*/, std::size_t* upload_size,
                      void** state) noexcept {
  static char headers_seen;
  const std::string_view verb = method;
  const bool served = verb == MHD_HTTP_METHOD_GET || verb == MHD_HTTP_METHOD_HEAD;
  // Answering any other method at once makes the library close instead of reading its body.
  if (served && *state == nullptr) {
    *state = &headers_seen;
    return MHD_YES;
  }
  if (*upload_size != 0) {  // a body on GET: read and dropped
    *upload_size = 0;
    return MHD_YES;
  }
  std::optional<std::string> listener;
  if (const char* value =
          MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "listener")) {
    listener = value;
  }
  return send(connection, static_cast<Routes*>(routes)->answer(verb, url, listener));
}

// Malformed requests and clients that vanish are not worth a log line.
void ignore_log(void* /*unused*/, const char* /*format*/, va_list /*arguments*/) {}

UniqueFd open_socket(const BindAddress& bind) try {
  if (!bind.unix_path.empty()) {
    throw std::runtime_error(bind.text +
                             ": the page is not served on a Unix socket; give HOST:PORT");
  }
  UniqueFd fd = open_listen_socket(bind, kBacklog);
  // Browsers open connections in advance and send nothing; they stay in the kernel until they do.
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof on);
  return fd;
} catch (const std::runtime_error& problem) {
  throw std::runtime_error(std::string("stats.bind ") + problem.what());
}

MHD_Daemon* start_daemon(int fd, unsigned threads, Routes& routes) {
  // At least two threads, so that a slow session table does not delay other requests.
  return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, nullptr, nullptr,
                          &on_request, &routes, MHD_OPTION_EXTERNAL_LOGGER, &ignore_log, nullptr,
                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
                          std::clamp(threads, 2u, 64u), MHD_OPTION_CONNECTION_LIMIT,
                          kConnectionLimit, MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds,
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, MHD_OPTION_END);
}

}  // namespace

StatsServer::StatsServer(const StatsConfig& config, StatsSources sources)
    : config_(config), routes_(store_, std::move(sources), config.show_sessions) {}

StatsServer::~StatsServer() { stop(); }

void StatsServer::publish(ClusterViewPtr view) { store_.publish(std::move(view)); }

void StatsServer::event(EventView event) { store_.event(std::move(event)); }

void StatsServer::start() {
  std::vector<UniqueFd> sockets;
  for (const BindAddress& bind : config_.bind) sockets.push_back(open_socket(bind));
  for (UniqueFd& socket : sockets) {
    const std::uint16_t port = bound_port(socket.get());
    MHD_Daemon* daemon = start_daemon(socket.get(), config_.threads, routes_);
    if (daemon == nullptr) {
      stop();
      throw std::runtime_error("stats.bind: the HTTP server did not start on port " +
                               std::to_string(port) + " (no threads or descriptors left?)");
    }
    socket.release();  // the daemon closes it when it is stopped
    daemons_.push_back(daemon);
    ports_.push_back(port);
  }
}

void StatsServer::stop() {
  for (MHD_Daemon* daemon : daemons_) MHD_stop_daemon(daemon);
  daemons_.clear();
  ports_.clear();
}

}  // namespace pgsteer
