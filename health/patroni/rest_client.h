// Sends requests to the nodes' REST APIs, through one libcurl multi handle: HTTP/1.0, one deadline
// for connect, request and reply, a limit on the body. Names are resolved elsewhere. Owned by the
// checker thread; only wake() may be called from another one.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "health/evidence.h"

namespace pgsteer {

// Where a REST API is: the parts of the URL in the configuration.
struct RestEndpoint {
  std::string base;  // "https://pg-1.example:8008", without a slash at the end
  std::string host;  // name or numeric address, without brackets
  std::uint16_t port = 0;
  // False: a member's list has named it, and it may be anybody's. The password goes there over TLS
  // that is verified, or not at all.
  bool proven = true;
};
RestEndpoint rest_endpoint(const NodeConfig& node);

struct RestReply {
  std::size_t node = 0;
  ProbeKind kind = ProbeKind::kLeader;
  Instant sent, received;
  Outcome outcome = Outcome::kMalformed;
  std::string detail;  // for a person
  int status = 0;
  std::string date;
  std::string body;
};

class RestClient {
 public:
  explicit RestClient(const HealthConfig& config);
  ~RestClient();

  // `addresses`: what the endpoint's host resolves to.
  void begin(std::size_t node, ProbeKind kind, const RestEndpoint& endpoint,
             const std::vector<Address>& addresses);
  // Sleeps until a request or one of `sockets` makes progress, wake() is called or `timeout`
  // passes.
  void wait(std::span<curl_waitfd> sockets, std::chrono::milliseconds timeout);
  // Nodes have other indices from now on: by index, the new one. Requests to those without one end
  // unanswered.
  void renumber(std::span<const std::optional<std::size_t>> nodes);
  // Every request that has ended since the last call.
  std::vector<RestReply> collect();
  void wake();  // any thread

 private:
  struct Transfer;
  struct MultiFree {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  const HealthConfig& config_;
  std::unique_ptr<CURLM, MultiFree> multi_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
};

}  // namespace pgsteer
