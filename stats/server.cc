#include "stats/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/address.h"
#include "proxy/net/listen_socket.h"
#include "stats/connection_guard.h"

namespace pgsteer {

struct HttpListener {
  HttpListener(Routes& its_routes, const BindAddress& its_bind, bool loopback,
               const HttpLimits& limits)
      : routes(its_routes), bind(its_bind), on_loopback(loopback), guard(limits) {}
  ~HttpListener() { stop(); }
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;

  // MHD_stop_daemon() alone would shut the socket down, also for a daemon that shares it.
  void stop() {
    if (daemon == nullptr) return;
    if (MHD_quiesce_daemon(daemon) == MHD_INVALID_SOCKET) socket.release();
    MHD_stop_daemon(std::exchange(daemon, nullptr));
  }

  Routes& routes;
  const BindAddress bind;
  const bool on_loopback;
  ConnectionGuard guard;
  UniqueFd socket;
  MHD_Daemon* daemon = nullptr;
  std::uint16_t port = 0;
};

namespace {

// A silent client is disconnected after this; until then it costs no thread. HttpLimits bounds a
// slow one.
constexpr unsigned kTimeoutSeconds = 5;
constexpr int kBacklog = 1'024;
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

int descriptor_of(MHD_Connection* connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

std::optional<std::string> value_of(MHD_Connection* connection, MHD_ValueKind kind,
                                    const char* name) {
  const char* const value = MHD_lookup_connection_value(connection, kind, name);
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

bool is_loopback(const BindAddress& bind) {
  return bind.host.starts_with("127.") || bind.host == "::1";
}

// The names by which this machine knows itself.
std::vector<std::string> with_machine_names(std::vector<std::string> names) {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return names;
  const std::string full = name.data();
  names.push_back(full);
  names.push_back(full.substr(0, full.find('.')));
  return names;
}

// MHD_NotifyConnectionCallback: the library closes the descriptor after the second call.
void on_connection(void* owner, MHD_Connection* connection, void** /*state*/,
                   MHD_ConnectionNotificationCode what) noexcept {
  ConnectionGuard& guard = static_cast<HttpListener*>(owner)->guard;
  const int fd = descriptor_of(connection);
  if (what == MHD_CONNECTION_NOTIFY_CLOSED) return guard.closed(fd);
  guard.opened(
      fd, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
}

// MHD_RequestCompletedCallback
void on_answered(void* owner, MHD_Connection* connection, void** /*state*/,
                 MHD_RequestTerminationCode /*how*/) noexcept {
  static_cast<HttpListener*>(owner)->guard.answered(descriptor_of(connection));
}

// MHD_AccessHandlerCallback: called first with the headers, then with each piece of a body, then
// once more. noexcept: an exception here would be a bug and must not unwind through C code.
MHD_Result on_request(void* owner, MHD_Connection* connection, const char* url, const char* method,
                      const char* /*version*/, const char* /*upload*/, std::size_t* upload_size,
                      void** state) noexcept {
  static char headers_seen;
  const std::string_view verb = method;
  const bool served = verb == MHD_HTTP_METHOD_GET || verb == MHD_HTTP_METHOD_HEAD;
  // Answering any other method at once makes the library close instead of reading its body.
  auto& listener = *static_cast<HttpListener*>(owner);
  if (served && *state == nullptr) {
    listener.guard.request_read(descriptor_of(connection));
    *state = &headers_seen;
    return MHD_YES;
  }
  if (*upload_size != 0) {  // a body on GET: read and dropped
    *upload_size = 0;
    return MHD_YES;
  }
  HttpRequest request{.method = verb, .path = url, .listener = {}, .host = {}};
  request.listener = value_of(connection, MHD_GET_ARGUMENT_KIND, "listener");
  request.host = value_of(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
  request.on_loopback = listener.on_loopback;
  return send(connection, listener.routes.answer(request));
}

// Malformed requests and clients that vanish are not worth a log line.
void ignore_log(void* /*unused*/, const char* /*format*/, va_list /*arguments*/) {}

UniqueFd open_socket(const BindAddress& bind) try {
  if (!bind.unix_path.empty()) {
    throw std::runtime_error(bind.text +
                             ": the page is not served on a Unix socket; give HOST:PORT");
  }
  return open_listen_socket(bind, kBacklog);
} catch (const std::runtime_error& problem) {
  throw std::runtime_error(std::string("stats.bind ") + problem.what());
}

MHD_Daemon* start_daemon(int fd, unsigned threads, HttpListener& listener) {
  // At least two threads, so that a slow session table does not delay other requests.
  return MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, nullptr, nullptr,
      &on_request, &listener, MHD_OPTION_EXTERNAL_LOGGER, &ignore_log, nullptr,
      MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, std::clamp(threads, 2u, 64u),
      MHD_OPTION_NOTIFY_CONNECTION, &on_connection, &listener, MHD_OPTION_NOTIFY_COMPLETED,
      &on_answered, &listener, MHD_OPTION_CONNECTION_LIMIT, kStatsConnections,
      MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      kConnectionMemory, MHD_OPTION_END);
}

}  // namespace

StatsServer::StatsServer(const StatsConfig& config, StatsSources sources, const HttpLimits& limits)
    : config_(config),
      limits_(limits),
      routes_(store_, std::move(sources), config.show_sessions, with_machine_names(config.hosts)) {}

StatsServer::~StatsServer() { stop(); }

void StatsServer::publish(ClusterViewPtr view) { store_.publish(std::move(view)); }

void StatsServer::remove(std::size_t cluster) { store_.remove(cluster); }

void StatsServer::publish(ConfigView view) { store_.publish(std::move(view)); }

void StatsServer::event(EventView event) { store_.event(std::move(event)); }

void StatsServer::Close::operator()(HttpListener* listener) const { delete listener; }

std::unique_ptr<HttpListener, StatsServer::Close> StatsServer::listen(const BindAddress& bind,
                                                                      unsigned threads,
                                                                      UniqueFd socket) {
  std::unique_ptr<HttpListener, Close> listener(
      new HttpListener(routes_, bind, is_loopback(bind), limits_));
  listener->port = bound_port(socket.get());
  listener->daemon = start_daemon(socket.get(), threads, *listener);
  if (listener->daemon == nullptr) {
    throw std::runtime_error("stats.bind: the HTTP server did not start on port " +
                             std::to_string(listener->port) + " (no threads or descriptors left?)");
  }
  listener->socket = std::move(socket);
  return listener;
}

void StatsServer::start() {
  Listeners opened;
  for (const BindAddress& bind : config_.bind) {
    opened.push_back(listen(bind, config_.threads, open_socket(bind)));
  }
  listeners_ = std::move(opened);
}

StatsServer::Listeners StatsServer::prepare(const StatsConfig& next) {
  Listeners opened;
  for (const BindAddress& bind : next.bind) {
    const auto same = [&](const auto& other) { return other->bind == bind; };
    const auto in_the_way = [&](const auto& other) { return in_conflict(other->bind, bind); };
    const auto old = std::ranges::find_if(listeners_, same);
    if (old != listeners_.end()) {
      if (next.threads == config_.threads) continue;
      // The same queue, for other threads.
      UniqueFd socket(::fcntl((*old)->socket.get(), F_DUPFD_CLOEXEC, 0));
      opened.push_back(listen(bind, next.threads, std::move(socket)));
    } else if (std::ranges::none_of(listeners_, in_the_way)) {
      opened.push_back(listen(bind, next.threads, open_socket(bind)));
    } else {
      check_address(bind);
    }
  }
  return opened;
}

void StatsServer::use(const StatsConfig& next, Listeners opened) {
  routes_.use(next.show_sessions, with_machine_names(next.hosts));
  const auto among = [](const Listeners& listeners, const BindAddress& bind) {
    return std::ranges::any_of(listeners, [&](const auto& one) { return one->bind == bind; });
  };
  std::erase_if(listeners_, [&](const auto& listener) {
    return among(opened, listener->bind) ||
           std::ranges::find(next.bind, listener->bind) == next.bind.end();
  });
  config_ = next;
  for (auto& listener : opened) listeners_.push_back(std::move(listener));
  for (const BindAddress& bind : next.bind) {
    if (among(listeners_, bind)) continue;
    try {  // what was in the way is closed now
      listeners_.push_back(listen(bind, next.threads, open_socket(bind)));
    } catch (const std::runtime_error& problem) {
      spdlog::error("{}", problem.what());
    }
  }
}

void StatsServer::stop() { listeners_.clear(); }

std::vector<std::uint16_t> StatsServer::ports() const {
  std::vector<std::uint16_t> ports;
  for (const auto& listener : listeners_) ports.push_back(listener->port);
  return ports;
}

}  // namespace pgsteer
