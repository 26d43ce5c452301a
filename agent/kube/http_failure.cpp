// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/http_failure.h"

#include <openssl/x509_vfy.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace postern::agent::kube {

namespace {

std::string untrusted(CURL* easy, const std::string& detail) {
  long result = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the server's certificate, or its CA's, has expired, expected one that is valid now (or this "
             "machine's "
             "clock is wrong)";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the server's certificate, or its CA's, is not valid yet, expected one that is (or this "
             "machine's clock "
             "is wrong)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "the server's certificate is not of the configured CA, expected the CA that issued it (" +
             detail + ")";
    default:
      break;
  }
  return "the server's certificate is not accepted (" + detail +
         "), expected one of the configured CA with the server's name or address";
}

// curl says it inside a longer sentence, with the addresses it tried.
bool nobody_listens(CURL* easy, const std::string& detail) {
  long error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
  return error == ECONNREFUSED || detail.find("Connection refused") != std::string::npos;
}

std::string timed_out(const std::string& detail) {
  if (detail.find("Resolving") != std::string::npos) return "the name did not resolve in time";
  const bool connecting = detail.find("onnect") != std::string::npos;
  return connecting
             ? "no connection in time, expected a server that answers there (or a firewall that lets it)"
             : "no answer in time";
}

}  // namespace

HttpFailure failure_of(CURL* easy, CURLcode code, const char* text) {
  using Kind = HttpFailure::Kind;
  const std::string detail = text == nullptr || *text == '\0' ? curl_easy_strerror(code) : text;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Kind::unresolved,
              "the name does not resolve (" + detail + "), expected a host with an address"};
    case CURLE_COULDNT_CONNECT: {
      if (nobody_listens(easy, detail)) {
        return {Kind::refused, "connection refused, expected a server that listens there"};
      }
      long error = 0;
      curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
      // curl's sentence says how long it took, and would be another each time.
      return {Kind::broken,
              "no connection: " +
                  (error == 0 ? detail : std::generic_category().message(static_cast<int>(error)))};
    }
    case CURLE_OPERATION_TIMEDOUT:
      return {Kind::timeout, timed_out(detail)};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return {Kind::untrusted, untrusted(easy, detail)};
    case CURLE_SSL_CACERT_BADFILE:
      return {Kind::untrusted,
              "the configured CA cannot be read (" + detail + "), expected PEM certificates"};
    case CURLE_SSL_CERTPROBLEM:
      return {Kind::untrusted, "the client certificate or its key cannot be used (" + detail +
                                   "), expected PEM of a certificate and of its unencrypted key"};
    case CURLE_SSL_CONNECT_ERROR:
      if (detail.find("reset by peer") != std::string::npos || detail.find("SYSCALL") != std::string::npos) {
        return {Kind::broken, "the connection broke off before TLS was agreed on"};
      }
      return {Kind::untrusted,
              "no TLS (" + detail + "), expected a server that speaks TLS 1.2 or later there"};
    default:
      return {Kind::broken, detail};
  }
}

}  // namespace postern::agent::kube
