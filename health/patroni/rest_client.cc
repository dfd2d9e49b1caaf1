#include "health/patroni/rest_client.h"

#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <stdexcept>

#include "config/address.h"
#include "health/local_fault.h"
#include "health/patroni/rest_failure.h"

namespace pgsteer {
namespace {

struct EasyFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

const char* path_of(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kConfig:
      return "/config";
    case ProbeKind::kCluster:
      return "/cluster";
    default:
      return "/leader";
  }
}

std::size_t take_body(char* data, std::size_t, std::size_t size, void* to) {
  auto& body = *static_cast<std::string*>(to);
  if (body.size() + size > kMostBody) return 0;
  body.append(data, size);
  return size;
}

// As libcurl does it; but it keeps the reason to itself when there is no socket.
curl_socket_t open_socket(void* error, curlsocktype, curl_sockaddr* where) {
  const int fd = ::socket(where->family, where->socktype | SOCK_CLOEXEC, where->protocol);
  if (is_local_fault(fd < 0 ? errno : 0)) *static_cast<int*>(error) = errno;
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

// "10.0.0.1" or "[::1]": an address without its port, as CURLOPT_RESOLVE wants it.
std::string bare(const Address& address) {
  const std::string text = address.text();
  return text.substr(0, text.rfind(':'));
}

}  // namespace

struct RestClient::Transfer {
  RestReply reply;
  std::unique_ptr<curl_slist, ListFree> resolve;
  std::unique_ptr<CURL, EasyFree> easy;
  char error[CURL_ERROR_SIZE] = "";
  int socket_error = 0;
};

RestEndpoint rest_endpoint(const NodeConfig& node) {
  RestEndpoint endpoint;
  endpoint.base = rest_url(node);
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  char* part = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL, endpoint.base.c_str(), 0) != CURLUE_OK)
    return endpoint;
  if (curl_url_get(url.get(), CURLUPART_HOST, &part, 0) == CURLUE_OK) {
    endpoint.host = part;
    curl_free(part);
    if (endpoint.host.starts_with('['))
      endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  }
  if (curl_url_get(url.get(), CURLUPART_PORT, &part, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    endpoint.port = static_cast<std::uint16_t>(std::strtoul(part, nullptr, 10));
    curl_free(part);
  }
  return endpoint;
}

RestClient::RestClient(const HealthConfig& config) : config_(config) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  multi_.reset(curl_multi_init());
  if (!multi_) throw std::runtime_error("libcurl: no multi handle");
}

RestClient::~RestClient() {
  for (auto& transfer : transfers_) curl_multi_remove_handle(multi_.get(), transfer->easy.get());
}

void RestClient::begin(std::size_t node, ProbeKind kind, const RestEndpoint& endpoint,
                       const std::vector<Address>& addresses) {
  auto transfer = std::make_unique<Transfer>();
  Transfer& t = *transfer;
  t.reply.node = node;
  t.reply.kind = kind;
  t.easy.reset(curl_easy_init());
  CURL* easy = t.easy.get();
  if (!easy) throw std::bad_alloc();
  std::string entry = endpoint.host + ":" + std::to_string(endpoint.port) + ":";
  for (std::size_t i = 0; i < addresses.size(); ++i) entry += (i ? "," : "") + bare(addresses[i]);
  if (endpoint.host.find(':') == std::string::npos)
    t.resolve.reset(curl_slist_append(nullptr, entry.c_str()));
  curl_easy_setopt(easy, CURLOPT_RESOLVE, t.resolve.get());
  curl_easy_setopt(easy, CURLOPT_URL, (endpoint.base + path_of(kind)).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_0));
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(config_.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "pgsteer");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t.reply.body);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t.error);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &t);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &t.socket_error);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, config_.verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config_.verify ? 2L : 0L);
  const auto text = [&](CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(easy, option, value.c_str());
  };
  text(CURLOPT_CAINFO, config_.ca);
  text(CURLOPT_SSLCERT, config_.certificate);
  text(CURLOPT_SSLKEY, config_.key);
  if (endpoint.proven || (config_.verify && endpoint.base.starts_with("https:"))) {
    text(CURLOPT_USERNAME, config_.user);
    text(CURLOPT_PASSWORD, config_.password.value);
  }
  t.reply.sent = std::chrono::steady_clock::now();
  curl_multi_add_handle(multi_.get(), easy);
  transfers_.push_back(std::move(transfer));
}

void RestClient::renumber(std::span<const std::optional<std::size_t>> nodes) {
  std::erase_if(transfers_, [&](const auto& transfer) {
    const auto to = nodes[transfer->reply.node];
    if (!to) curl_multi_remove_handle(multi_.get(), transfer->easy.get());
    transfer->reply.node = to.value_or(0);
    return !to;
  });
}

void RestClient::wait(std::span<curl_waitfd> sockets, std::chrono::milliseconds timeout) {
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  // A transfer that has just ended must be collected before the thread sleeps.
  if (running < static_cast<int>(transfers_.size())) return;
  curl_multi_poll(multi_.get(), sockets.data(), static_cast<unsigned>(sockets.size()),
                  static_cast<int>(timeout.count()), nullptr);
  curl_multi_perform(multi_.get(), &running);
}

void RestClient::wake() { curl_multi_wakeup(multi_.get()); }

namespace {

long info(CURL* easy, CURLINFO which) {
  long value = 0;
  curl_easy_getinfo(easy, which, &value);
  return value;
}

TransferFailure failure_of(CURL* easy, CURLcode code, const char* error, int socket_error,
                           bool reply_began) {
  curl_off_t connected = 0;
  const char* scheme = nullptr;
  curl_off_t encrypted = 0;
  curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &encrypted);
  curl_easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
  return {.code = code,
          .error = error,
          .socket_error = socket_error,
          .os_error = info(easy, CURLINFO_OS_ERRNO),
          .verify_result = info(easy, CURLINFO_SSL_VERIFYRESULT),
          .https = scheme != nullptr && strcasecmp(scheme, "https") == 0,
          .connected = connected > 0,
          .handshake_done = encrypted > 0,
          .reply_began = reply_began};
}

// How a request ended, as an Outcome and a few words.
void conclude(const HealthConfig& config, CURL* easy, CURLcode code, const char* error,
              int socket_error, RestReply& reply) {
  reply.status = static_cast<int>(info(easy, CURLINFO_RESPONSE_CODE));
  curl_header* date = nullptr;
  if (curl_easy_header(easy, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK)
    reply.date = date->value;
  if (code == CURLE_OK) {
    reply.outcome = Outcome::kAnswered;
    reply.detail = std::to_string(reply.status);
    return;
  }
  const bool reply_began = !reply.body.empty() || reply.status != 0;
  RestFailure failed =
      rest_failure(config, failure_of(easy, code, error, socket_error, reply_began));
  reply.outcome = failed.outcome;
  reply.detail = std::move(failed.detail);
}

}  // namespace

std::vector<RestReply> RestClient::collect() {
  std::vector<RestReply> replies;
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    CURLcode code = message->data.result;
    char* owner = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
    const auto it = std::find_if(transfers_.begin(), transfers_.end(), [&](const auto& t) {
      return static_cast<void*>(t.get()) == owner;
    });
    Transfer& t = **it;
    t.reply.received = std::chrono::steady_clock::now();
    conclude(config_, easy, code, t.error, t.socket_error, t.reply);
    curl_multi_remove_handle(multi_.get(), easy);
    replies.push_back(std::move(t.reply));
    transfers_.erase(it);
  }
  return replies;
}

}  // namespace pgsteer
