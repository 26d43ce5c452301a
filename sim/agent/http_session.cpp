// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/http_session.h"

#include <curl/curl.h>

#include <array>

namespace postern::sim {
namespace {

constexpr long kPatienceMs = 10'000;

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* into) {
  static_cast<std::string*>(into)->append(bytes, size * count);
  return size * count;
}

}  // namespace

void HttpSession::Close::operator()(void* handle) const { curl_easy_cleanup(handle); }

Result<HttpSession> HttpSession::open(const Netns& from, TlsFiles tls) {
  std::unique_ptr<void, Close> handle(curl_easy_init());
  if (!handle) return fail(ErrorCode::internal, "libcurl cannot be used");
  return HttpSession(from, std::move(tls), std::move(handle));
}

Result<HttpReply> HttpSession::ask(const HttpRequest& request) {
  auto scope = NetnsScope::enter(*from_);
  if (!scope) return fail_as(scope);
  CURL* handle = handle_.get();
  curl_easy_reset(handle);
  HttpReply reply;
  std::array<char, CURL_ERROR_SIZE> why{};
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, kPatienceMs);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why.data());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &reply.body);
  if (!tls_.authority.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, tls_.authority.c_str());
    curl_easy_setopt(handle, CURLOPT_SSLCERT, tls_.certificate.c_str());
    curl_easy_setopt(handle, CURLOPT_SSLKEY, tls_.key.c_str());
  }
  curl_slist* headers = nullptr;
  if (!request.body.empty()) {
    headers = curl_slist_append(nullptr, ("Content-Type: " + request.content_type).c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.c_str());
  }
  const CURLcode done = curl_easy_perform(handle);
  curl_slist_free_all(headers);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
  if (done != CURLE_OK) {
    return fail(ErrorCode::io, request.method + " " + request.url + ": " +
                                   (why.front() != '\0' ? why.data() : curl_easy_strerror(done)));
  }
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &reply.code);
  return reply;
}

}  // namespace postern::sim
