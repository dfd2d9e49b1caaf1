#include "health/patroni/rest_failure.h"

#include <openssl/x509_vfy.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "health/text.h"

namespace pgsteer {
namespace {

bool says(const TransferFailure& failure, std::string_view words) {
  return failure.error.find(words) != std::string::npos;
}

std::string in_curls_words(const TransferFailure& failure) {
  return failure.error.empty() ? curl_easy_strerror(failure.code) : failure.error;
}

// OpenSSL found fault with what the peer sent. With TLS 1.3 that may be an alert after the client's
// handshake is done: the server looks at the client's certificate last (RFC 8446, 4.4.2.4).
bool is_tls_error(const TransferFailure& failure) {
  return says(failure, "error:") && !says(failure, "unexpected eof") &&
         !says(failure, "system library");
}

// "unknown ca" of "error:0A000418:SSL routines::tlsv1 alert unknown ca, errno 0"; or empty.
std::string alert_in(const TransferFailure& failure) {
  static constexpr std::string_view kAlert = " alert ";
  const auto at = failure.error.find(kAlert);
  if (at == std::string::npos) return {};
  const auto from = at + kAlert.size();
  return failure.error.substr(from, failure.error.find(',', from) - from);
}

// The node's certificate.
std::string why_not_trusted(const HealthConfig& config, const TransferFailure& failure) {
  switch (failure.verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate has expired: renew it";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate is not valid yet: compare the clocks";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      if (config.ca.empty()) return "its certificate comes from an unknown CA: set health.ca";
      return "its certificate does not come from the CA in health.ca (" + config.ca + ")";
    default:
      break;
  }
  // libcurl's words for an alert about the client certificate.
  if (failure.error == "SSL certificate verification failed") {
    return "it rejects health.certificate (certificate expired)";
  }
  if (says(failure, "host name") || says(failure, "common name")) {
    return "its certificate has another name: rest must use one that is in the certificate";
  }
  return in_curls_words(failure);
}

// The node has sent an alert: mostly about the client certificate, or about its absence.
std::string why_alerted(const HealthConfig& config, const std::string& alert) {
  if (alert == "certificate required") {
    return "it asks for a client certificate: set health.certificate and health.key";
  }
  // TLS 1.2 has no word of its own for that.
  if (alert == "handshake failure" && config.certificate.empty()) {
    return "it refuses the TLS handshake; if it asks for a client certificate, set "
           "health.certificate and health.key";
  }
  if (config.certificate.empty()) return "it ends TLS with the alert \"" + alert + "\"";
  if (alert == "unknown ca") {
    return "it does not know the CA of health.certificate: Patroni's restapi.cafile must have it";
  }
  return "it rejects health.certificate (" + alert + ")";
}

RestFailure tls_failure_of(const HealthConfig& config, const TransferFailure& failure) {
  const auto failed = [](std::string detail) {
    return RestFailure{Outcome::kTlsFailed, std::move(detail)};
  };
  switch (failure.code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return failed(why_not_trusted(config, failure));
    case CURLE_SSL_CERTPROBLEM:
      return failed("health.certificate or health.key cannot be used: " + in_curls_words(failure));
    case CURLE_SSL_CACERT_BADFILE:
      return failed("health.ca cannot be used: " + in_curls_words(failure));
    default:
      break;
  }
  if (says(failure, "wrong version number")) {
    return failed("it does not speak https: set rest = \"http://...\"");
  }
  // The node's certificate names a CA as its issuer that has another key here.
  if (says(failure, "asn1 encoding routines") || says(failure, "rsa routines")) {
    return failed("the signature of its certificate is not of the CA that health.ca has");
  }
  const std::string alert = alert_in(failure);
  return failed(alert.empty() ? in_curls_words(failure) : why_alerted(config, alert));
}

// The connection was reset, or closed without TLS's goodbye.
RestFailure broken_off(const HealthConfig& config, const TransferFailure& failure) {
  if (is_tls_error(failure)) return tls_failure_of(config, failure);
  if (failure.reply_began) return {Outcome::kMalformed, "reset in the middle of the reply"};
  if (says(failure, "unexpected eof")) return {Outcome::kEmpty, "closed without a reply"};
  // The reset may overtake the alert about the client certificate: libcurl then finds a closed
  // socket before it has looked.
  if (failure.handshake_done) {
    return {Outcome::kTlsFailed,
            config.certificate.empty()
                ? "reset after the TLS handshake; if it asks for a client certificate, set "
                  "health.certificate and health.key"
                : "reset after the TLS handshake; it may reject health.certificate"};
  }
  // So Python's TLS server answers a request in clear: it closes with the request unread.
  if (!failure.https) {
    return {Outcome::kEmpty,
            "reset without a reply; if it expects https, set rest = \"https://...\""};
  }
  return {Outcome::kEmpty, "reset without a reply"};
}

}  // namespace

RestFailure rest_failure(const HealthConfig& config, const TransferFailure& failure) {
  if (failure.socket_error != 0) {
    return {Outcome::kLocalFault, std::strerror(failure.socket_error)};
  }
  switch (failure.code) {
    case CURLE_COULDNT_CONNECT:
      if (failure.os_error == ECONNREFUSED) return {Outcome::kRefused, "connection refused"};
      return {Outcome::kUnreachable, failure.os_error != 0
                                         ? std::strerror(static_cast<int>(failure.os_error))
                                         : failure.error};
    case CURLE_OPERATION_TIMEDOUT:
      if (failure.connected) {
        return {Outcome::kSilent, "no reply within " + seconds_text(config.timeout)};
      }
      return {Outcome::kUnreachable, "no connection within " + seconds_text(config.timeout)};
    case CURLE_GOT_NOTHING:
      return {Outcome::kEmpty, "closed without a reply"};
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return broken_off(config, failure);
    case CURLE_WRITE_ERROR:
      return {Outcome::kMalformed, "reply larger than " + bytes_text(kMostBody)};
    case CURLE_SSL_CONNECT_ERROR:
      if (is_tls_error(failure)) return tls_failure_of(config, failure);
      return {Outcome::kEmpty, "closed during the TLS handshake"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return tls_failure_of(config, failure);
    default:
      return {Outcome::kMalformed, in_curls_words(failure)};
  }
}

}  // namespace pgsteer
