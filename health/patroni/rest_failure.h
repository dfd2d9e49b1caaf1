// Why a request to a REST API failed, from what libcurl says about it: the outcome that judge works
// with, and a few words that name the cause and, if a setting is wrong, the remedy. Pure, but for
// the types of libcurl; any thread.
#pragma once

#include <curl/curl.h>

#include <string>

#include "config/config.h"
#include "health/patroni/report.h"

namespace pgsteer {

// The largest body that is read; a real one has a few kB at most.
inline constexpr std::size_t kMostBody = 64 * 1024;

// What libcurl knows of a transfer that has failed.
struct TransferFailure {
  CURLcode code = CURLE_OK;
  std::string error;       // CURLOPT_ERRORBUFFER; may be empty
  int socket_error = 0;    // why no socket could be opened; 0: one could
  long os_error = 0;       // CURLINFO_OS_ERRNO
  long verify_result = 0;  // CURLINFO_SSL_VERIFYRESULT: OpenSSL's X509_V_...
  bool https = false;
  bool connected = false;       // TCP
  bool handshake_done = false;  // TLS
  bool reply_began = false;
};

struct RestFailure {
  Outcome outcome = Outcome::kMalformed;
  std::string detail;  // for a person
};

RestFailure rest_failure(const HealthConfig& config, const TransferFailure& failure);

}  // namespace pgsteer
